"""The errors that this package raises on purpose, and its warnings: what was wrong, where, and what to do."""

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


class OpeningWarning(UserWarning):
    """What a user should know of a saved model that was opened: its tokenizer, weights that it has no place for."""


class ChangedFilesWarning(OpeningWarning):
    """Files of a saved model are not those that were saved; it works, but not as it was measured."""
