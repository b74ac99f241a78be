"""One reader per file format. Each yields (line, row), row being column name -> value.

The JSON and CSV readers of `datasets` guess a type per column and then speak of Arrow casts; reading the lines here
keeps every value as written and knows the line of a mistake.
"""

import csv
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from tinybert_hf.errors import DataError
from tinybert_hf.wording import counted

Row = tuple[int, dict[str, Any]]
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


# A text of so many bytes is no example, and a few kilobytes of gzip can hold a line that fills the memory.
MAX_LINE_BYTES = 64 << 20


def text_lines(handle: IO[bytes], source: str) -> Iterator[tuple[int, str]]:
    """Yields the lines of a UTF-8 file, counted from 1.

    Raises:
        DataError: a line that is not UTF-8, or longer than any example.
    """
    number = 0
    while raw := handle.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            raise DataError(
                f"{source}, line {number}: longer than {MAX_LINE_BYTES >> 20} MB. Split or remove the row."
            )
        try:
            yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{source}, line {number}: byte {raw[error.start]:#04x} is not UTF-8. Save the file as UTF-8."
            ) from error


def read_json_lines(handle: IO[bytes], source: str) -> Iterator[Row]:
    """One JSON object per line; blank lines are skipped."""
    for number, line in text_lines(handle, source):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_without_doubles)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{source}, line {number}: not valid JSON ({error}). Each line must be one object, "
                'such as {"text": "a fine film", "label": 1}.'
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                f"{source}, line {number}: a JSON object with columns was expected, got {line.strip():.60}"
            )
        yield number, row


def read_json(handle: IO[bytes], source: str) -> Iterator[Row]:
    """A JSON list of objects, or one object per line as many tools write it under this suffix too, or over many."""
    start = handle.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    handle.seek(0)
    if start != b"[":
        whole = _object_over_lines(handle, source) if start == b"{" else None
        if whole is not None:
            yield 1, whole
            return
        handle.seek(0)
        yield from read_json_lines(handle, source)
        return
    try:
        text = "".join(line for _, line in text_lines(handle, source))
        rows = json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{source}: not valid JSON ({error}).") from error
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise DataError(f"{source}, row {number}: a JSON object with columns was expected, got {row!r:.60}")
        yield number, row


def _object_over_lines(handle: IO[bytes], source: str) -> dict[str, Any] | None:
    """The one object of a file in which it is spread over lines; None where lines are objects, or nothing is."""
    lines = (line for _, line in text_lines(handle, source))
    first = next((line for line in lines if line.strip()), "")
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        try:
            row = json.loads("".join([first, *lines]), object_pairs_hook=_without_doubles)
        except (ValueError, RecursionError) as error:
            if isinstance(error, DataError):
                raise
            return None  # the reader of lines says where it is broken
        return row if isinstance(row, dict) else None
    return None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):  # json would silently take the last one
        names = [name for name, _ in pairs]
        raise ValueError(
            f"the column {next(name for name in names if names.count(name) > 1)!r:.60} stands there twice"
        )
    return row


def _checked_row(header: list[str], cells: list[str], source: str, line: int) -> Row:
    if len(cells) != len(header):
        raise DataError(
            f"{source}, line {line}: {counted(len(cells), 'column')}, but the header has {len(header)} "
            f"({', '.join(header)}). Quote a text that holds the separator."
        )
    return line, dict(zip(header, cells, strict=True))


def _checked_header(cells: list[str], source: str, line: int) -> list[str]:
    header = [cell.strip() for cell in cells]
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{source}, line {line}: two columns are called {twice!r:.60}. Rename or remove one.")
    return header


def read_csv(handle: IO[bytes], source: str, delimiter: str = ",") -> Iterator[Row]:
    """Comma-separated values with a header; every value stays text."""
    limit = csv.field_size_limit(2**31 - 1)
    reader = csv.reader((line for _, line in text_lines(handle, source)), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    start = 1
    try:
        for cells in reader:
            if cells and header is None:
                header = _checked_header(cells, source, start)
            elif cells and header is not None:
                yield _checked_row(header, cells, source, start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{source}, line {start}: not valid CSV ({error}). Is a quotation mark unpaired?") from error
    finally:
        csv.field_size_limit(limit)


def read_tsv(handle: IO[bytes], source: str) -> Iterator[Row]:
    """Tab-separated values with a header, quoted or not.

    Many published .tsv files do not quote, and hold single quotation marks; others are quoted as CSV. So every line is
    taken as it stands, unless the number of columns then goes wrong: that file is read as quoted.
    """
    rows = list(_unquoted_rows(handle, source))
    if len({len(cells) for _, cells in rows}) > 1:
        handle.seek(0)
        yield from read_csv(handle, source, delimiter="\t")
        return
    header = _checked_header(rows[0][1], source, rows[0][0]) if rows else []
    for line, cells in rows[1:]:
        yield _checked_row(header, cells, source, line)


def _unquoted_rows(handle: IO[bytes], source: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in text_lines(handle, source):
        if line.strip():
            cells = line.rstrip("\r\n").split("\t")
            yield number, [cell[1:-1].replace('""', '"') if _QUOTED.fullmatch(cell) else cell for cell in cells]
