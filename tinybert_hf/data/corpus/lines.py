"""Reads a corpus line by line, whatever its size."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from tinybert_hf.data.corpus.settings import CorpusSettings
from tinybert_hf.data.files import READERS, open_file
from tinybert_hf.data.formats import text_lines
from tinybert_hf.data.raw_rows import check_columns, columns_named_by
from tinybert_hf.errors import DataError

TABLES = (*READERS, ".parquet")
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
        path: a text file, or a table of `TABLES`; each also with .gz behind it.
        settings: which columns are read.

    Raises:
        DataError: the file is broken, binary or not UTF-8, or lacks the column; with the line.
    """
    suffix = Path(path.lower().removesuffix(".gz")).suffix
    try:
        with open_file(path) as handle:
            share = _share_of(handle, path)
            if suffix not in TABLES:
                yield from _plain(handle, path, share)
            elif suffix == ".parquet":
                yield from _split(_parquet_rows(handle, path, settings, share), settings)
            else:
                yield from _split(_table_rows(READERS[suffix](handle, path), path, settings, share), settings)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}). Make or download it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


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

    def rows() -> Iterator[_Row]:
        number = 0
        for batch in dataset.iter(batch_size=_ROWS_AT_ONCE):
            column = _text_column(name, list(batch), settings)
            documents = batch[settings.document_column] if settings.document_column else batch[column]
            for text, document in zip(batch[column], documents, strict=True):
                number += 1
                yield _Row(f"{name}, row {number}", text, document, number / total if total else 0.0)

    yield from _split(rows(), settings)


def _share_of(handle: IO[bytes], path: str) -> Any:
    size = max(1, Path(path).stat().st_size)
    raw: Any = getattr(handle, "fileobj", None) or handle  # of a gzip file the packed bytes count
    return lambda: min(1.0, raw.tell() / size)


def _plain(handle: IO[bytes], path: str, share: Any) -> Iterator[Line]:
    begins, done = True, 0.0
    for number, raw in text_lines(handle, path):
        if "\0" in raw:
            raise DataError(f"{path}, line {number}: a zero byte, so this is a binary file and no text. Leave it out.")
        text = raw.strip()
        if number % 256 == 1:
            done = share()
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


def _table_rows(rows: Iterable[Any], path: str, settings: CorpusSettings, share: Any) -> Iterator[_Row]:
    column, done = "", 0.0
    for line, row in rows:
        column = column or _text_column(path, list(row), settings)
        if column not in row:
            raise DataError(f"{path}, line {line}: no column {column!r}, only {', '.join(row) or 'none'}.")
        if line % 256 == 1:
            done = share()
        document = row.get(settings.document_column) if settings.document_column else None
        yield _Row(f"{path}, line {line}", row[column], document, done)


def _parquet_rows(handle: IO[bytes], path: str, settings: CorpusSettings, share: Any) -> Iterator[_Row]:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    number = 0
    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.PythonFile(handle, mode="r"))
        column = _text_column(path, file.schema_arrow.names, settings)
        wanted = [column, *([settings.document_column] if settings.document_column else [])]
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=list(dict.fromkeys(wanted))):
            done = share()
            for row in batch.to_pylist():
                number += 1
                yield _Row(f"{path}, row {number}", row[column], row[wanted[-1]], done)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a readable parquet file ({str(error).splitlines()[0]}).") from error


def _text_column(source: str, present: list[str], settings: CorpusSettings) -> str:
    column = settings.text_column or next((name for name in OBVIOUS if name in present), OBVIOUS[0])
    wanted = [column, *([settings.document_column] if settings.document_column else [])]
    with columns_named_by("Name the column with --text-column; in a recipe, corpus.text_column."):
        check_columns(source, wanted, present)
    return column
