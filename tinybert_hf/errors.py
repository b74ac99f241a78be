"""The errors that this package raises on purpose, and its warnings: what was wrong, where, and what to do.

Beside them the one check of numbers, which every room may ask.
"""

import math
from numbers import Integral, Real
from typing import Any

_SCREEN = 2000  # characters
# With less, logits overflow in float32; with more, all answers are even.
_COLDEST, _HOTTEST = 1e-4, 1e6


class TinyBertError(ValueError):
    """Base of every error that a user can mend: bad data, a teacher that does not fit, a wrong setting."""

    def __init__(self, message: str = "") -> None:
        """Keep the message to a screen, whatever a file holds where a name should be."""
        if len(message) > _SCREEN:
            message = f"{message[: _SCREEN * 3 // 4]} [...] {message[-_SCREEN // 4 :]}"
        super().__init__(message)


class DataError(TinyBertError):
    """A file or its rows cannot be used: missing, empty, a column absent, a text that is None, labels that differ."""


class TeacherError(TinyBertError):
    """The teacher does not fit: untrained head, another label set, another vocabulary."""


class LayerMapError(TinyBertError):
    """A layer map cannot be read, or points outside the student or the teacher."""


class CaptureError(TinyBertError):
    """Queries, keys or hidden states cannot be taken from a model, so that a loss could not be computed."""


class RecipeError(TinyBertError):
    """A recipe or an option holds an unknown field or a value of the wrong type."""


class OutputFolderError(TinyBertError):
    """The output folder holds something else, or cannot be written."""


class FileFormatWarning(UserWarning):
    """A file is not quite what its name says, and is read as what it is."""


class OpeningWarning(UserWarning):
    """What a user should know of a saved model that was opened: its tokenizer, weights that it has no place for."""


class ChangedFilesWarning(OpeningWarning):
    """Files of a saved model are not those that were saved; it works, but not as it was measured."""


def check_number(
    value: Any,
    what: str,
    *,
    zero: bool = False,
    whole: bool = False,
    below: float = math.inf,
    most: float = math.inf,
    error: type[TinyBertError] = RecipeError,
) -> None:
    """Refuse a number that a setting cannot have; None is left open.

    Args:
        value: above 0 and finite.
        what: it is, for the message.
        zero: 0 is allowed too.
        whole: it counts something, so that a fraction is none.
        below: what it must stay under.
        most: the largest that is allowed.
        error: to raise.

    Raises:
        TinyBertError: it is no number, not a number (NaN), infinite or out of its range.
    """
    if value is None:
        return
    least = "0 or more" if zero else "1 or more" if whole else "above 0"
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        kind = "a whole number" if whole else "a number"
        raise error(f"{what} is {value!r:.60}; it must be {kind} {'of ' if zero or whole else ''}{least}.")
    number = as_float(value)
    if not ((0 < number < below and number <= most) or (zero and number == 0)):
        limits = [f" and below {below:g}"] * (below < math.inf) + [f" and at most {most:g}"] * (most < math.inf)
        limit = "".join(limits) + (", and finite" if number == below == math.inf else "")
        raise error(f"{what} is {value if math.isfinite(number) else number}; it must be {least}{limit}.")


def as_float(number: Any) -> float:
    """A number as a float; a whole number of hundreds of digits, which none can hold, is infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def check_temperature(value: Any, what: str = "The temperature", *, error: type[TinyBertError] = CaptureError) -> None:
    """Refuse a temperature with which no student could learn.

    Raises:
        TinyBertError: as `check_number`, or float32 could not hold the answers, or all of them would be even.
    """
    check_number(value, what, error=error)
    if value is not None and not _COLDEST <= value <= _HOTTEST:
        raise error(f"{what} is {value:g}; it must be from {_COLDEST:g} to {_HOTTEST:g}.")
