"""Rows as they were read, with the place of each, so that a message can name it."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tinybert_hf.errors import DataError


class MissingColumnError(DataError):
    """A file or split lacks a column; what names the columns depends on who reads them."""


@dataclass
class RawRows:
    """Some columns of one file or split, unchecked.

    Attributes:
        source: the file, or the dataset with its split.
        columns: column name -> one value per row.
        lines: line of each row in its file; empty where a row has no line (parquet, the Hub).
        class_names: names that the source itself gives to its whole-number labels.
        is_text: every value was read as text (CSV, TSV), so that numbers are still to be found.
    """

    source: str
    columns: dict[str, list[Any]]
    lines: list[int] = field(default_factory=list)
    class_names: tuple[str, ...] | None = None
    is_text: bool = False

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def place(self, row: int) -> str:
        """Says where a row (counted from 0) stands: "train.csv, row 3 (line 4)"."""
        line = self.lines[row] if self.lines else row + 1
        return f"{self.source}, row {row + 1}" + (f" (line {line})" if line != row + 1 else "")

    def refuse(self, row: int, column: str, problem: str) -> NoReturn:
        """Raises the DataError for one bad value."""
        raise DataError(f"{self.place(row)}, column {column!r}: {problem}")


def check_columns(source: str, wanted: Sequence[str], present: Iterable[str]) -> None:
    """Refuses a source that lacks a column.

    Args:
        source: the file or split, for the message.
        wanted: the columns that are needed.
        present: the columns that are there.

    Raises:
        MissingColumnError: naming the absent column, the present ones, and the nearest name.
    """
    there = [str(name) for name in present]
    for column in wanted:
        if column in there:
            continue
        folded = {name.lower(): name for name in there}
        near = difflib.get_close_matches(column.lower(), folded, n=1)
        hint = f" Did you mean {folded[near[0]]!r}?" if near else ""
        raise MissingColumnError(
            f"{source} has no column {column!r}. Columns there: {', '.join(there) or 'none'}.{hint}"
        )


@contextmanager
def columns_named_by(advice: str) -> Iterator[None]:
    """Around what reads columns: where one is absent, the message ends with how the columns of this task are named.

    Args:
        advice: a sentence.

    Raises:
        DataError: in place of a MissingColumnError.
    """
    try:
        yield
    except MissingColumnError as error:
        raise DataError(f"{error} {advice}") from error


def check_texts(rows: RawRows, column: str) -> list[str]:
    """Returns the texts of a column after looking at each.

    Raises:
        DataError: a text is None, is not a string, or holds characters that UTF-8 cannot write.
    """
    texts = rows.columns[column]
    if _are_sound(texts, may_be_empty=not rows.is_text):
        return texts
    for row, text in enumerate(texts):
        if text is None or (rows.is_text and text == ""):
            rows.refuse(row, column, "the text is missing (None). Fill it or remove the row.")
        if not isinstance(text, str):
            rows.refuse(row, column, f"the text is {text!r:.60}, of type {type(text).__name__}; it must be a string.")
        try:
            text.encode()
        except UnicodeEncodeError:
            rows.refuse(row, column, "the text holds half a surrogate pair, which is no character. Repair it.")
    return texts


def _are_sound(texts: list[Any], *, may_be_empty: bool) -> bool:
    """Whether all values are texts that UTF-8 can write; half a million of them in the time of a message about one."""
    if set(map(type, texts)) - {str} or not (may_be_empty or all(texts)):
        return False
    try:
        for start in range(0, len(texts), 1000):
            "".join(texts[start : start + 1000]).encode()
    except UnicodeEncodeError:
        return False
    return True
