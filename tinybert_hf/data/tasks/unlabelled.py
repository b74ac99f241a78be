"""Rows without labels, which a student learns from as its teacher answers them."""

from collections.abc import Sequence

from tinybert_hf.data.files import read_file
from tinybert_hf.data.raw_rows import RawRows, columns_named_by
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.errors import DataError


def read_unlabelled(settings: DataSettings, columns: Sequence[str]) -> RawRows:
    """Reads `settings.unlabelled_file`, unchecked.

    Args:
        settings: the file, and how many rows of it.
        columns: that are needed, as the training rows call them.

    Raises:
        DataError: the file cannot be read, has no rows, or lacks a column.
    """
    file = settings.unlabelled_file
    assert file is not None
    with columns_named_by("Rows without labels need the columns of the training rows, under the same names."):
        table = read_file(file, columns, settings.max_unlabelled_rows)
    if not len(table):
        raise DataError(f"{file} has no rows. Leave it out (--unlabelled-file), or name another file.")
    return table
