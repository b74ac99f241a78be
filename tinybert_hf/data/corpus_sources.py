"""Where a corpus is read from: its settings, its files or dataset, line by line."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from tinybert_hf.data.files import SUFFIXES, dataset_revision, file_columns, files_of, load_split, read_blocks
from tinybert_hf.data.raw_rows import check_columns, columns_named_by, reading, text_lines
from tinybert_hf.data.settings import CorpusSettings
from tinybert_hf.data.tables import refuse_changed_values
from tinybert_hf.errors import DataError

# Reads a corpus line by line, whatever its size.

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


# The files or the dataset that a corpus is read from: found, compared, and told apart by what they hold.

# A file up to this size is known by all of its bytes; of a larger one its ends, its size and its date are looked at.
_READ_WHOLE, _END = 64 << 20, 1 << 20
# Text that a gzip file holds, for each of its bytes: a low estimate.
_UNPACKED = 2.5


@dataclass(frozen=True)
class Source:
    """One file, or one split on the Hub.

    Attributes:
        name: of the file or of the dataset.
        digest: two sources with the same one hold the same text.
        size: bytes that are read; 0 where that is not known.
        dataset: of the Hub, opened.
    """

    name: str
    digest: str
    size: int = 0
    dataset: Any = field(default=None, compare=False, repr=False)

    @property
    def text_bytes(self) -> int:
        """About how many bytes of text it holds; a low estimate."""
        return int(self.size * _UNPACKED) if self.name.endswith((".gz", ".parquet")) else self.size

    def lines(self, settings: CorpusSettings) -> Iterator[Line]:
        """Its lines of text, none of them blank.

        Raises:
            DataError: it cannot be read; the message names the place.
        """
        if self.dataset is not None:
            return hub_lines(self.dataset, self.name, settings)
        return file_lines(self.name, settings)


@dataclass(frozen=True)
class Sources:
    """All sources of a corpus, in order.

    Attributes:
        found: each once.
        left_out: files that were named twice, or hold the same as another.
    """

    found: tuple[Source, ...]
    left_out: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Of what all of them hold."""
        return hashlib.sha256(" ".join(source.digest for source in self.found).encode()).hexdigest()

    @property
    def text_bytes(self) -> int:
        """About how many bytes of text there are; 0 where that is not known."""
        return sum(source.text_bytes for source in self.found)


def find_sources(settings: CorpusSettings) -> Sources:
    """The files or the dataset that settings name.

    Raises:
        DataError: nothing is named, a file is not there, or the dataset cannot be reached.
    """
    if settings.dataset is not None:
        return Sources((_hub_source(settings),))
    return find_files(settings.files, "corpus.files (--corpus)")


def find_files(names: Sequence[str], what: str) -> Sources:
    """The files that names, patterns and folders stand for: sorted within each, and each once.

    Args:
        names: as they were given.
        what: the field, for the message.

    Raises:
        DataError: no name is given, or one stands for no file.
    """
    if not names:
        raise DataError(
            f"There is no text: {what} is not given. Name text files, or a dataset on the Hub (--dataset)."
        )
    found: dict[str, Source] = {}
    left_out, seen = [], set()
    for file in (file for name in names for file in files_of(name)):
        resolved = file.resolve()
        digest = _digest(file)
        # Empty files are alike without being the same one given twice; they are counted as empty.
        if resolved in seen or (file.stat().st_size and digest in found):
            left_out.append(str(file))
            continue
        seen.add(resolved)
        found[digest if file.stat().st_size else f"empty {resolved}"] = Source(str(file), digest, file.stat().st_size)
    return Sources(tuple(found.values()), tuple(left_out))


def _digest(file: Path) -> str:
    try:
        status = file.stat()
        digest = hashlib.sha256(f"{status.st_size} ".encode())
        with file.open("rb") as handle:
            if status.st_size <= _READ_WHOLE:
                while piece := handle.read(_END):
                    digest.update(piece)
            else:
                digest.update(f"{status.st_mtime_ns} ".encode() + handle.read(_END))
                handle.seek(-_END, 2)
                digest.update(handle.read())
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from error
    return digest.hexdigest()


def _hub_source(settings: CorpusSettings) -> Source:
    assert settings.dataset is not None
    loaded = load_split(
        settings.dataset,
        settings.dataset_config,
        settings.split,
        "Check dataset, dataset_config and split of the corpus, or give files (--corpus).",
        "corpus.files (--corpus)",
        streaming=settings.streaming,
    )
    name = " ".join(part for part in (settings.dataset, settings.dataset_config, f"[{settings.split}]") if part)
    state = dataset_revision(settings.dataset) if settings.streaming else loaded._fingerprint
    return Source(name, f"{name} {state}", dataset=loaded)
