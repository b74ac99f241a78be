"""Rows as they were read, with the place of each, so that a message can name it; and their lines and JSON."""

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn, cast, overload

from tinybert_hf.errors import DataError
from tinybert_hf.messages import did_you_mean

# Rows as they were read, with the place of each, so that a message can name it.


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
        hint = did_you_mean(column, there, shown=repr)
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


# The lines of a file that may be packed, of any size, in blocks that fit the memory.

MAX_LINE_BYTES = 64 << 20
"""A text of so many bytes is no example, and a few kilobytes of gzip can hold a line that fills the memory."""
# Text packs 3 to 20 times, the same few sentences over and over 40 times, one row again and again 250 to 350 times.
# The rule holds for every packed format: .gz here, and what a Parquet file holds for each of its bytes.
MOST_UNPACKED = 100
UNPACKED_ANYWAY = 32 << 20
# Some hundred lines: a line that a reader has to look at by itself holds up few others.
_LINES_PIECE = 1 << 15
_MARKS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


def unpacks_too_far(unpacked: int, packed: int) -> bool:
    """Whether so many bytes of so many packed ones are no text, but something that fills the memory."""
    return unpacked > max(UNPACKED_ANYWAY, MOST_UNPACKED * packed)


class _Unpacked(gzip.GzipFile):
    """A gzip file that may not grow without bound: a few kilobytes can hold gigabytes of one letter."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "rb")
        self._packed = Path(path).stat().st_size
        # The last four bytes of a gzip file say how much it holds. They may lie, or the file may be cut, so that is
        # only the reason to look before any row of it is made.
        with Path(path).open("rb") as raw:
            raw.seek(max(0, self._packed - 4))
            said = int.from_bytes(raw.read(4), "little")
        if unpacks_too_far(said, self._packed):
            while self.read(_LINES_PIECE):
                pass
            self.seek(0)

    def _checked(self, data: bytes) -> bytes:
        read = getattr(self, "fileobj", None)
        if unpacks_too_far(self.tell(), min(self._packed, read.tell()) if read is not None else self._packed):
            raise DataError(
                f"{self.name} unpacks to more than {MOST_UNPACKED} times its size, as no text does. If it is right, "
                "unpack it yourself and give the unpacked file."
            )
        return data

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_LINES_PIECE), b""))
        return self._checked(super().read(size))

    def read1(self, size: int = -1) -> bytes:
        return self._checked(super().read1(_LINES_PIECE if size < 0 else size))

    def readline(self, size: int | None = -1) -> bytes:
        return self._checked(super().readline(size))


def open_file(path: str) -> IO[bytes]:
    """Opens a file; one that ends in .gz gives its content, which may not grow without bound."""
    return cast("IO[bytes]", _Unpacked(path) if path.lower().endswith(".gz") else Path(path).open("rb"))


@contextmanager
def reading(path: str) -> Iterator[IO[bytes]]:
    """Around what reads a file: what the system says about it becomes one of our errors.

    Args:
        path: of the file; one that ends in .gz is unpacked.

    Raises:
        DataError: it cannot be read, or is not a whole gzip file.
    """
    try:
        with open_file(path) as handle:
            yield handle
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}). Make or download it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def byte_blocks(handle: IO[bytes], source: str, size: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yields a file in blocks of whole lines, without the last line feed.

    Args:
        handle: a file or a terminal.
        source: what messages call it.
        size: of a block, in bytes; None: a block is what is there, so that lines of a terminal are not waited for.

    Yields:
        The number of the first line of the block, counted from 1, and the lines.

    Raises:
        DataError: a file in UTF-16, or a line longer than any example.
    """
    number = 1
    unfinished: list[bytes] = []
    held = 0
    read = getattr(handle, "read1", handle.read) if size is None else handle.read
    while piece := read(size or _LINES_PIECE):
        if number == 1 and not held:
            piece = _without_mark(piece, source)
        cut = piece.rfind(b"\n")
        if cut < 0:
            unfinished.append(piece)
            held += len(piece)
            if held > MAX_LINE_BYTES:
                raise DataError(
                    f"{source}, line {number}: longer than {MAX_LINE_BYTES >> 20} MB. Split or remove the row."
                )
            continue
        block = b"".join([*unfinished, piece[:cut]])
        unfinished, held = [piece[cut + 1 :]], len(piece) - cut - 1
        yield number, block
        number += block.count(b"\n") + 1
    if held:
        yield number, b"".join(unfinished)


def text_blocks(handle: IO[bytes], source: str) -> Iterator[tuple[int, str]]:
    """Yields a UTF-8 file in blocks of whole lines, as `byte_blocks`.

    Raises:
        DataError: as there, and for a line that is not UTF-8.
    """
    for number, block in byte_blocks(handle, source):
        yield number, decoded(block, source, number)


def line_blocks(handle: IO[bytes], source: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the lines of a UTF-8 file in blocks, without line feeds.

    Yields:
        The number of the first line of the block, counted from 1, and its lines.

    Raises:
        DataError: as `text_blocks`.
    """
    for number, text in text_blocks(handle, source):
        yield number, text.split("\n")


def text_lines(handle: IO[bytes], source: str) -> Iterator[tuple[int, str]]:
    """Yields the lines of a UTF-8 file one by one, with their numbers, counted from 1.

    Raises:
        DataError: as `text_blocks`.
    """
    for number, lines in line_blocks(handle, source):
        yield from enumerate(lines, start=number)


def _without_mark(piece: bytes, source: str) -> bytes:
    for mark, encoding in _MARKS.items():
        if piece.startswith(mark):
            raise DataError(
                f'{source}, line 1: the file is {encoding}, as Excel\'s "Unicode Text" is, and not UTF-8. Save it as '
                '"CSV UTF-8", or write it anew: iconv -f UTF-16 -t UTF-8 OLD > NEW.'
            )
    return piece.removeprefix(codecs.BOM_UTF8)


def decoded(data: bytes, source: str, number: int) -> str:
    """Lines as text.

    Args:
        data: whole lines.
        source: what messages call their file.
        number: of the first line.

    Raises:
        DataError: they are not UTF-8, with the line.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source}, line {number + data.count(10, 0, error.start)}: byte {data[error.start]:#04x} is not UTF-8. "
            "Save the file as UTF-8."
        ) from error


# JSON: one object a line, a list of objects, or one object. Every reader yields blocks of rows, with their places.
#
# The JSON reader of `datasets` guesses a type per column and then speaks of Arrow casts; reading the lines here keeps
# every value as written and knows the line of a mistake.

# A whole file that is one object, such as SQuAD's; the largest that are published have 42 MB.
_MAX_OBJECT_BYTES = 256 << 20
_JSON_PIECE = 1 << 18
_ROWS_AT_ONCE = 1000  # of a list
# Arrow reads parts of a block side by side; what it cannot read is looked at in blocks of some hundred lines, so that
# a line that has to be looked at by itself holds up few others.
_ARROW_BLOCK, _ARROW_PART, _LEAST_FOR_ARROW, _SMALL_BLOCK = 8 << 20, 1 << 20, 1 << 18, 1 << 15
_SPACE = re.compile(r"[ \t\n\r]*")


class Block(NamedTuple):
    """Some rows of a file.

    Attributes:
        lines: line of each row, or its number where the format has no lines.
        rows: column -> value, of each.
        share: of the file that has been read.
        columns: column -> value of each row, where they were read so.
    """

    lines: Sequence[int]
    rows: Sequence[dict[str, Any]]
    share: float = 0.0
    columns: Mapping[str, list[Any]] | None = None

    def column(self, name: str) -> list[Any]:
        """The values of a column; a KeyError where a row lacks it."""
        return self.columns[name] if self.columns is not None else [row[name] for row in self.rows]


class _ColumnRows(Sequence[dict[str, Any]]):
    """Rows that are made when they are asked for: who wants columns need not wait for them."""

    def __init__(self, columns: Mapping[str, list[Any]], length: int) -> None:
        self._columns, self._length = columns, length

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(self._length))]
        return {name: values[index] for name, values in self._columns.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self._columns, row, strict=True)) for row in zip(*self._columns.values(), strict=True))


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):  # json would silently take the last one
        names = [name for name, _ in pairs]
        raise ValueError(
            f"the column {next(name for name in names if names.count(name) > 1)!r:.60} stands there twice"
        )
    return row


def _scanner(**options: Any) -> Callable[[str, int], tuple[Any, int]]:
    """A function that reads one JSON value from a place in a text, and says where it ends."""
    decoder: Any = json.JSONDecoder(**options)
    return decoder.scan_once  # type: ignore[no-any-return]


_scan = _scanner(object_pairs_hook=_without_doubles)
_scan_fast = _scanner()
_scan_pairs = _scanner(object_pairs_hook=tuple)


def read_json_lines(handle: IO[bytes], source: str, columns: Sequence[str] = ()) -> Iterator[Block]:
    """One JSON object per line; blank lines are skipped."""
    for number, data in byte_blocks(handle, source, _ARROW_BLOCK):
        found = _arrow_columns(data) if len(data) >= _LEAST_FOR_ARROW else None
        if found is not None:
            length = len(next(iter(found.values())))
            yield Block(range(number, number + length), _ColumnRows(found, length), columns=found)
        else:
            yield from _read_objects(number, data, source)


def _read_objects(number: int, data: bytes, source: str) -> Iterator[Block]:
    """The rows of some lines, whatever stands between them; or what is wrong with the first that is none."""
    start = 0
    while start <= len(data):
        end = data.find(b"\n", start + _SMALL_BLOCK)
        end = len(data) if end < 0 else end
        text = decoded(data[start:end], source, number)
        rows = _plain_rows(text) or _sound_rows(text)
        if rows is not None:
            yield Block(range(number, number + len(rows)), rows)
        else:
            lines = [(at, line) for at, line in enumerate(text.split("\n"), number) if line.strip()]
            if lines:
                yield Block([at for at, _ in lines], [_row(line, source, at) for at, line in lines])
        start = end + 1
        number += text.count("\n") + 1


def _objects(data: bytes) -> int:
    """How many lines there are, if as many braces open, one at the start of each; 0 otherwise.

    No line holds two objects or a part of one then: what is between two braces is one line, whatever it is read
    together with.
    """
    import numpy as np

    marks = np.frombuffer(data, np.uint8)
    opens, feeds = marks == ord("{"), marks == ord("\n")
    lines = int(np.count_nonzero(feeds)) + 1
    each = data[:1] == b"{" and lines == np.count_nonzero(opens) == 1 + np.count_nonzero(opens[1:] & feeds[:-1])
    return lines if each else 0


def _arrow_columns(data: bytes) -> dict[str, list[Any]] | None:
    """The columns of lines as Arrow reads them; None where it would, or may, change a value or hide a mistake.

    Its types are those of the first row and no others: texts, whole numbers, true and false. It would make 1 in a
    column of fractions 1.0, and an absent value null, so such lines are read by `_read_objects`.
    """
    lines = _objects(data)
    if not lines:
        return None
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import json as arrow_json

    types = {str: pyarrow.string(), int: pyarrow.int64(), bool: pyarrow.bool_()}
    try:
        first = json.loads(data[: data.index(b"\n")])
        schema = pyarrow.schema([(name, types[type(value)]) for name, value in first.items()])
        table = arrow_json.read_json(
            pyarrow.BufferReader(data),
            arrow_json.ReadOptions(block_size=_ARROW_PART),
            arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
        )
        if table.num_rows != lines or not table.num_columns or any(column.null_count for column in table.columns):
            return None
        return {name: column.to_pylist() for name, column in zip(table.column_names, table.columns, strict=True)}
    except (ValueError, KeyError, RecursionError):  # pyarrow's errors and those of UTF-8 are ValueErrors
        return None


def _plain_rows(text: str) -> list[dict[str, Any]] | None:
    """The rows of lines of which each is one object without another in it; None where that cannot be seen at once."""
    feeds = text.count("\n")
    if text.count("{") != feeds + 1 or text.count("\n{") != feeds or text[:1] != "{":  # as in `_objects`
        return None
    whole = f"[{text.replace(chr(10), ',')}]"
    colons = text.count(":")
    try:
        if colons % (feeds + 1) == 0:  # none in a text, most likely
            rows, end = _scan_fast(whole, 0)
            sound = end == len(whole) and len(rows) == feeds + 1 and set(map(type, rows)) == {dict}
            # No more colons than names that were found, so none was found twice.
            if sound and sum(map(len, rows)) == colons:
                return rows  # type: ignore[no-any-return]
        pairs, end = _scan_pairs(whole, 0)
    except (ValueError, RecursionError, StopIteration):
        return None
    if end != len(whole) or len(pairs) != feeds + 1 or set(map(type, pairs)) != {tuple}:
        return None
    rows = list(map(dict, pairs))
    return rows if list(map(len, rows)) == list(map(len, pairs)) else None


def _sound_rows(text: str) -> list[dict[str, Any]] | None:
    """The rows of lines of which each is one object; None where one is not, or has white space around it."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    try:
        found = list(map(_scan, lines, repeat(0)))  # a blank line ends it
    except (ValueError, RecursionError):
        return None
    rows = [row for row, _ in found]
    whole = [end for _, end in found] == list(map(len, lines)) and all(type(row) is dict for row in rows)
    return rows if whole else None


def _row(line: str, source: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{source}, line {number}: not valid JSON ({error}). Each line must be one object, "
            'such as {"text": "a fine film", "label": 1}.'
        ) from error
    if not isinstance(row, dict):
        raise DataError(f"{source}, line {number}: a JSON object with columns was expected, got {line.strip():.60}")
    return row


def read_json(handle: IO[bytes], source: str, columns: Sequence[str] = ()) -> Iterator[Block]:
    """A JSON list of objects, or one object per line as many tools write it under this suffix too, or over many."""
    start = handle.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    handle.seek(0)
    if start == b"[":
        yield from _list_rows(handle, source)
        return
    whole = _object_over_lines(handle, source) if start == b"{" else None
    if whole is not None:
        yield Block([1], [whole])
        return
    handle.seek(0)
    yield from read_json_lines(handle, source)


def _object_over_lines(handle: IO[bytes], source: str) -> dict[str, Any] | None:
    """The one object of a file in which it is spread over lines; None where lines are objects, or nothing is."""
    blocks = line_blocks(handle, source)
    text, first, size = [], "", 0
    for _, lines in blocks:
        if not first:
            first = next((line for line in lines if line.strip()), "")
            try:
                json.loads(first)
            except (ValueError, RecursionError):
                pass
            else:
                return None
        text += lines
        size += sum(map(len, lines))
        if size > _MAX_OBJECT_BYTES:
            return None  # the reader of lines says what is wrong with the first one
    try:
        row = json.loads("\n".join(text), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError):
        return None  # the reader of lines says where it is broken
    return row if isinstance(row, dict) else None


class _Window:
    """The part of a long text that is being read, and where in the whole it stands."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle = handle
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._line, self._column = 1, 1
        self.text, self.place, self.is_last = "", 0, False

    def widen(self) -> None:
        """Forgets what has been read, and reads on: more, the longer that is which cannot be read yet."""
        done = self.text[: self.place]
        feeds = done.count("\n")
        self._line += feeds
        self._column = len(done) - done.rfind("\n") if feeds else self._column + len(done)
        rest = self.text[self.place :]
        data = self._handle.read(max(_JSON_PIECE, len(rest)))
        self.is_last = not data
        self.text, self.place = rest + self._decode(data, final=self.is_last), 0

    @property
    def line_of_end(self) -> int:
        """The line in which the window ends."""
        return self._line + self.text.count("\n")

    def where(self, place: int) -> str:
        """Line and column of a place in the text."""
        feeds = self.text.count("\n", 0, place)
        column = place - self.text.rfind("\n", 0, place) if feeds else self._column + place
        return f"line {self._line + feeds} column {column}"

    def next(self) -> str:
        """The next character that is no white space; empty at the end of the file."""
        while True:
            self.place = _SPACE.match(self.text, self.place).end()  # type: ignore[union-attr]
            if self.place < len(self.text) or self.is_last:
                return self.text[self.place : self.place + 1]
            self.widen()


def _list_rows(handle: IO[bytes], source: str) -> Iterator[Block]:
    """The objects of a JSON list, one after the other, so that a list of any length can be read."""
    window = _Window(handle)
    number = 0
    rows: list[dict[str, Any]] = []
    try:
        window.next()
        window.place += 1  # the bracket
        if window.next() == "]":
            window.place += 1
        else:
            while True:
                row = _next_value(window, source, number + len(rows) + 1)
                if type(row) is not dict:
                    at = number + len(rows) + 1
                    raise DataError(f"{source}, row {at}: a JSON object with columns was expected, got {row!r:.60}")
                rows.append(row)
                if len(rows) == _ROWS_AT_ONCE:
                    yield Block(range(number + 1, number + 1 + len(rows)), rows)
                    number, rows = number + len(rows), []
                mark = window.next()
                if mark not in (",", "]"):
                    raise _NotJson("Expecting ',' delimiter", window.place)
                window.place += 1
                if mark == "]":
                    break
                window.next()
        if window.next():
            raise _NotJson("Extra data", window.place)
    except _NotJson as error:
        problem, place = error.args
        raise DataError(f"{source}, {window.where(place)}: not valid JSON ({problem}).") from error
    except UnicodeDecodeError as error:
        line = window.line_of_end + error.object.count(10, 0, error.start)
        raise DataError(
            f"{source}, line {line}: byte {error.object[error.start]:#04x} is not UTF-8. Save the file as UTF-8."
        ) from error
    if rows:
        yield Block(range(number + 1, number + 1 + len(rows)), rows)


class _NotJson(Exception):
    """What is wrong, and the place in the window."""


def _next_value(window: _Window, source: str, number: int) -> Any:
    while True:
        try:
            value, end = _scan(window.text, window.place)
        except StopIteration as error:
            problem, place = "Expecting value", int(error.value)
        except json.JSONDecodeError as error:
            problem, place = error.msg, error.pos
        except (ValueError, RecursionError) as error:
            raise _NotJson(str(error), window.place) from error
        else:
            window.place = end
            return value
        # A value that goes on behind the window ends with it, or is a text of which the end cannot be seen.
        may_go_on = problem.startswith("Unterminated") or place > len(window.text) - 16
        if window.is_last or not may_go_on:
            raise _NotJson(problem, place)
        if len(window.text) - window.place > MAX_LINE_BYTES:
            raise DataError(f"{source}, row {number}: longer than {MAX_LINE_BYTES >> 20} MB. Split or remove the row.")
        window.widen()
