"""Where `tinybert translate` takes its texts from: the command line, a file, or standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import typer

from tinybert_hf.errors import DataError

# Batches of texts of like length waste little on padding, so more than one batch is read at once.
_BATCHES_AT_ONCE = 32


def read_sources(
    texts: list[str] | None, input_file: str | None, column: str | None, batch_size: int, usual_column: str
) -> tuple[Iterable[str], int]:
    """Find what is to be translated.

    Args:
        texts: from the command line.
        input_file: lines, or a table.
        column: of a table.
        batch_size: texts of a batch.
        usual_column: of a table, where `column` is None.

    Returns:
        The texts; and how many of them to read before they are translated.

    Raises:
        DataError: the file cannot be used.
    """
    is_table = input_file is not None and _has_columns(input_file)
    if column is not None and not is_table:
        raise typer.BadParameter("--source-column names a column of an --input-file that has columns")
    if texts:
        return texts, batch_size * _BATCHES_AT_ONCE
    if input_file is None:
        if sys.stdin.isatty():
            print("Type a text a line; end with Ctrl-D.", file=sys.stderr)
            return _lines(sys.stdin.buffer, "standard input"), 1
        return _lines(sys.stdin.buffer, "standard input"), batch_size
    found = _column(input_file, column or usual_column) if is_table else _lines_of_file(input_file)
    return found, batch_size * _BATCHES_AT_ONCE


def _has_columns(file: str) -> bool:
    from tinybert_hf.data.files import SUFFIXES

    return file.lower().removesuffix(".gz").endswith(SUFFIXES)


def _column(file: str, column: str) -> list[str]:
    from tinybert_hf.data.files import read_file
    from tinybert_hf.data.raw_rows import columns_named_by
    from tinybert_hf.data.source_texts import texts_or_blank

    with columns_named_by("Name the column with --source-column."):
        return texts_or_blank(read_file(file, [column]), column)


def _lines_of_file(file: str) -> list[str]:
    from tinybert_hf.data.lines import reading

    if Path(file).is_dir():
        raise DataError(f"{file} is a folder. Give a file with a text a line, or a table.")
    if not Path(file).exists():
        raise DataError(f"{file} does not exist (looked from {Path.cwd()}).")
    with reading(file) as handle:
        return list(_lines(handle, file))


def _lines(handle: IO[bytes], name: str) -> Iterator[str]:
    from tinybert_hf.data.lines import text_lines

    return (line.rstrip("\r\n") for _, line in text_lines(handle, name))
