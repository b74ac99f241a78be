"""How often a training that names no epochs goes over its rows, and which numbers no training can have."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, NamedTuple

from tinybert_hf.errors import RecipeError


class Readings(NamedTuple):
    """What a training is to read.

    Attributes:
        rows: together, over all its epochs.
        least: epochs, however many rows there are.
        most: epochs, however few there are.
    """

    rows: int
    least: int
    most: int

    def epochs(self, rows: int | None) -> float:
        """Over so many rows; None: they cannot be counted, as in a stream, or do not matter."""
        if not rows:
            return float(self.least)
        return float(min(self.most, max(self.least, math.ceil(self.rows / rows))))


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


def count_rows(dataset: Any) -> int | None:
    """Of a data set; None of a stream."""
    return len(dataset) if hasattr(dataset, "__len__") else None
