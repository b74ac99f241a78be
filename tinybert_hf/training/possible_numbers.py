"""Which numbers a training can have; with another it would end at once and look like a finished one."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from tinybert_hf.errors import RecipeError


def check_number(value: Any, what: str) -> None:
    """Refuse a number that no training can have; None is left open.

    Args:
        value: above 0.
        what: it is, for the message.

    Raises:
        RecipeError: it is no number, not above 0 or not finite.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Real):
        raise RecipeError(f"{what} is {value!r}; it must be a number above 0.")
    if not 0 < float(value) < math.inf:
        raise RecipeError(f"{what} is {value}; it must be above 0" + (", and finite." if value == math.inf else "."))


def known_epochs(epochs: float | None) -> float:
    """Epochs that are not open any more.

    Raises:
        RecipeError: they are.
    """
    if epochs is None:
        raise RecipeError("The epochs of a training are still open; with_epochs fills them in.")
    return epochs
