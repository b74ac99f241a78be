"""The errors that this package raises on purpose, and its warnings: what was wrong, where, and what to do.

Beside them the one check of numbers, which every room may ask.
"""

import math
from numbers import Real
from typing import Any

_SCREEN = 2000  # characters


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
    value: Any, what: str, *, zero: bool = False, below: float = math.inf, error: type[TinyBertError] = RecipeError
) -> None:
    """Refuse a number that a setting cannot have; None is left open.

    Args:
        value: above 0 and finite.
        what: it is, for the message.
        zero: 0 is allowed too.
        below: what it must stay under.
        error: to raise.

    Raises:
        TinyBertError: it is no number, not a number (NaN), infinite or out of its range.
    """
    if value is None:
        return
    least = "0 or more" if zero else "above 0"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise error(f"{what} is {value!r}; it must be a number {'of ' if zero else ''}{least}.")
    number = float(value)
    if not (0 < number < below or (zero and number == 0)):
        most = (", and finite" if number == math.inf else "") if below == math.inf else f" and below {below:g}"
        raise error(f"{what} is {value}; it must be {least}{most}.")
