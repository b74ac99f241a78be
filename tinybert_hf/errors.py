"""The errors that this package raises on purpose. Each message says what was wrong, where, and what to do."""


class TinyBertError(ValueError):
    """Base of every error that a user can mend: bad data, a teacher that does not fit, a wrong setting."""


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
