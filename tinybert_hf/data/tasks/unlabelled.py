"""Rows without labels, which a student learns from as its teacher answers them."""

from collections.abc import Sequence
from itertools import islice

from tinybert_hf.data.files import SUFFIXES, read_file, stream_lines
from tinybert_hf.data.raw_rows import RawRows, columns_named_by
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.errors import DataError


def read_unlabelled(settings: DataSettings, columns: Sequence[str], *, as_lines: bool = False) -> RawRows:
    """Reads `settings.unlabelled_file`, unchecked.

    Args:
        settings: the file, and how many rows of it.
        columns: that are needed, as the training rows call them.
        as_lines: one column is needed, and its values are texts: each line of a .txt file that is not blank is one.

    Raises:
        DataError: the file cannot be read, has no rows, or lacks a column.
    """
    file = settings.unlabelled_file
    assert file is not None
    if file.lower().removesuffix(".gz").endswith(".txt"):
        table = _lines(file, columns, settings.max_unlabelled_rows, as_lines)
    else:
        with columns_named_by("Rows without labels need the columns of the training rows, under the same names."):
            table = read_file(file, columns, settings.max_unlabelled_rows)
    if not len(table):
        raise DataError(f"{file} has no rows. Leave it out (--unlabelled-file), or name another file.")
    return table


def _lines(file: str, columns: Sequence[str], most: int | None, as_lines: bool) -> RawRows:
    if not as_lines:
        raise DataError(
            f"{file}: the lines of a text file are single texts, and the rows of this task have "
            f"{' and '.join(repr(name) for name in columns)}. Give {', '.join(SUFFIXES)} with these columns."
        )
    read = list(islice(((number, text.strip()) for number, text in stream_lines(file) if text.strip()), most))
    return RawRows(file, {columns[0]: [text for _, text in read]}, [number for number, _ in read])
