"""Reads a corpus line by line, whatever its size."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from tinybert_hf.data.corpus.settings import CorpusSettings
from tinybert_hf.data.files import SUFFIXES, file_columns, read_blocks
from tinybert_hf.data.lines import reading, text_lines
from tinybert_hf.data.parquet import refuse_changed_values
from tinybert_hf.data.raw_rows import check_columns, columns_named_by
from tinybert_hf.errors import DataError

OBVIOUS = ("text", "sentence", "content")
_ROWS_AT_ONCE = 1000


class Line(NamedTuple):
    """A line that is not blank; whether it is the first of a document; and the share of its source that is read."""

    text: str
    begins_document: bool
    share: float


class _Row(NamedTuple):
    """A text of a table."""

    place: str
    text: Any
    document: Any
    share: float


def file_lines(path: str, settings: CorpusSettings) -> Iterator[Line]:
    """The lines of one file.

    Args:
        path: a text file, or a table of `SUFFIXES`; each also with .gz behind it.
        settings: which columns are read.

    Raises:
        DataError: the file is broken, binary or not UTF-8, or lacks the column; with the line.
    """
    if Path(path.lower().removesuffix(".gz")).suffix in SUFFIXES:
        yield from _split(_table_rows(path, settings), settings)
        return
    with reading(path) as handle:
        yield from _plain(handle, path)


def hub_lines(dataset: Any, name: str, settings: CorpusSettings) -> Iterator[Line]:
    """The lines of a split on the Hub.

    Args:
        dataset: opened, streaming or not.
        name: for messages.
        settings: which columns are read.

    Raises:
        DataError: a column is absent, or a text is none.
    """
    total = getattr(dataset, "num_rows", None)
    features = dataset.features

    def rows() -> Iterator[_Row]:
        number = 0
        for batch in dataset.iter(batch_size=_ROWS_AT_ONCE):
            column = _text_column(name, list(batch), settings)
            if features is not None:
                refuse_changed_values(name, column, features[column], batch[column], number)
            documents = batch[settings.document_column] if settings.document_column else batch[column]
            for text, document in zip(batch[column], documents, strict=True):
                number += 1
                yield _Row(f"{name}, row {number}", text, document, number / total if total else 0.0)

    yield from _split(rows(), settings)


def _plain(handle: IO[bytes], path: str) -> Iterator[Line]:
    size = max(1, Path(path).stat().st_size)
    packed: Any = getattr(handle, "fileobj", None) or handle  # of a gzip file the packed bytes count
    begins, done = True, 0.0
    for number, raw in text_lines(handle, path):
        if "\0" in raw:
            raise DataError(f"{path}, line {number}: a zero byte, so this is a binary file and no text. Leave it out.")
        text = raw.strip()
        if number % 256 == 1:
            done = min(1.0, packed.tell() / size)
        if text:
            yield Line(text, begins, done)
        begins = not text


def _split(rows: Iterable[_Row], settings: CorpusSettings) -> Iterator[Line]:
    """The lines of each row's text; an absent text is a blank line."""
    before: Any = None
    is_first = True
    for row in rows:
        if row.text is not None and not isinstance(row.text, str):
            kind = type(row.text).__name__
            raise DataError(f"{row.place}: the text is {row.text!r:.60}, of type {kind}; it must be a string.")
        text = row.text or ""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{row.place}: the text holds half a surrogate pair, which is no character.") from error
        begins = is_first or settings.document_column is None or row.document != before
        before, is_first = row.document, False
        for part in text.split("\n"):
            stripped = part.strip()
            if stripped:
                yield Line(stripped, begins, row.share)
            begins = not stripped


def _table_rows(path: str, settings: CorpusSettings) -> Iterator[_Row]:
    column = _text_column(path, file_columns(path), settings)
    unit = "row" if path.lower().removesuffix(".gz").endswith(".parquet") else "line"
    for block in read_blocks(path, _wanted(column, settings)):
        for line, row in zip(block.lines, block.rows, strict=True):
            if column not in row:
                raise DataError(f"{path}, line {line}: no column {column!r}, only {', '.join(row) or 'none'}.")
            document = row.get(settings.document_column) if settings.document_column else None
            yield _Row(f"{path}, {unit} {line}", row[column], document, block.share)


def _text_column(source: str, present: list[str], settings: CorpusSettings) -> str:
    column = settings.text_column or next((name for name in OBVIOUS if name in present), OBVIOUS[0])
    with columns_named_by("Name the column with --text-column; in a recipe, corpus.text_column."):
        check_columns(source, _wanted(column, settings), present)
    return column


def _wanted(column: str, settings: CorpusSettings) -> list[str]:
    return list(dict.fromkeys([column, *([settings.document_column] if settings.document_column else [])]))
