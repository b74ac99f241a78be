"""Plain text out of files of any size and kind, a piece at a time."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinybert_hf.data.columns import OBVIOUS_COLUMNS
from tinybert_hf.data.files import SUFFIXES, file_columns, stream_file, stream_lines
from tinybert_hf.data.raw_rows import columns_named_by
from tinybert_hf.errors import DataError

MAX_CHARACTERS = 100_000
"""Longer documents are cut between two words; one without a space, anywhere."""


@dataclass(frozen=True)
class TextFiles:
    """Files that hold nothing but text, or rows with text in one or more columns.

    Attributes:
        files: .txt (every line is a text), .jsonl, .json, .csv, .tsv or .parquet, each also with .gz behind it.
        columns: of the files that have columns; none: text, or else sentence.
    """

    files: tuple[str, ...]
    columns: tuple[str, ...] = ()

    def check(self) -> None:
        """Look at each file's first row, so that a wrong name is found before anything long begins.

        Raises:
            DataError: no files, one that is missing or cannot be read, a column that is not there.
        """
        if not self.files:
            raise DataError("There is no corpus: give at least one file of text.")
        for file in self.files:
            next(iter(_texts_of(file, self.columns)), None)

    def __iter__(self) -> Iterator[str]:
        """Every text that holds more than white space, in pieces of at most `MAX_CHARACTERS`.

        Raises:
            DataError: a file that is missing, damaged or not UTF-8, a column that is not there, a value that is not
                text; or all texts are empty.
        """
        found = False
        for file in self.files:
            for text in _texts_of(file, self.columns):
                if text.strip():
                    found = True
                    yield from pieces(text)
        if not found:
            raise DataError(f"{', '.join(self.files)}: there is no text in it, only empty lines or values.")


def pieces(text: str, most: int = MAX_CHARACTERS) -> Iterator[str]:
    """A text in pieces that are cut in front of white space, so that no word is cut in two.

    Args:
        text: of any length.
        most: characters of a piece.
    """
    start = 0
    while len(text) - start > most:
        spaces = list(re.finditer(r"(?<=\S)\s", text[start : start + most]))
        end = start + (spaces[-1].start() if spaces else most)
        yield text[start:end]
        start = end
    yield text[start:]


def _texts_of(file: str, columns: Sequence[str]) -> Iterator[str]:
    if not file.lower().removesuffix(".gz").endswith(SUFFIXES):  # what is no .txt either, is refused there
        for number, line in stream_lines(file):
            yield _checked(line.rstrip("\r\n"), f"{file}, line {number}")
        return
    names = tuple(columns) or (_obvious_column(file),)
    with columns_named_by("Name the column with --text-column; in a recipe, prune_vocabulary.text_columns."):
        for number, row in stream_file(file, names):
            for name in names:
                value = row[name]
                if value is not None and not isinstance(value, str):
                    raise DataError(
                        f"{file}, row {number}, column {name!r}: {value!r:.60} is no text. Name the column that holds "
                        "the text (--text-column)."
                    )
                yield _checked(value or "", f"{file}, row {number}, column {name!r}")


def _obvious_column(file: str) -> str:
    names = OBVIOUS_COLUMNS["text_column"]
    there = file_columns(file)
    return next((name for name in names if name in there), names[0])


def _checked(text: str, place: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{place}: the text holds half a surrogate pair, which is no character. Repair it.") from error
    return text
