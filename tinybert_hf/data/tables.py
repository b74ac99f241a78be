"""Tables: CSV, TSV and Parquet, in blocks of rows with their places."""

import csv
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, NoReturn

from tinybert_hf.data.raw_rows import MAX_LINE_BYTES, MOST_UNPACKED, Block, check_columns, line_blocks, unpacks_too_far
from tinybert_hf.errors import DataError, FileFormatWarning
from tinybert_hf.messages import counted

if TYPE_CHECKING:
    from datasets import Features


# CSV and TSV: a header, and rows of cells that stay text.

# Characters of one quoted cell: a quotation mark that is never closed would take in the rest of the file.
MAX_CELL = 16 << 20
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_CELL_ROWS_AT_ONCE = 1000
_FEWEST_NAMES = 2  # one word that is the name of the only column may well be a text
_MOST_TITLE_LINES = 20
_AROUND_NAMES = "\ufeff \t"  # a second file has its own mark of UTF-8
# A column with more different values than this says nothing about where a row ends.
_MOST_VALUES = 64
_MOST_DOUBTS = 1000

Cells = tuple[int, list[str]]


def read_csv(handle: IO[bytes], source: str, columns: Sequence[str] = ()) -> Iterator[Block]:
    """Comma-separated values with a header; every value stays text."""
    limit = csv.field_size_limit(MAX_CELL)
    try:
        yield from _read(handle, source, columns, ",")
    finally:
        csv.field_size_limit(limit)


def read_tsv(handle: IO[bytes], source: str, columns: Sequence[str] = ()) -> Iterator[Block]:
    """Tab-separated values with a header; every value stays text.

    Many published .tsv files do not quote, and hold single quotation marks; others are quoted as CSV. So a line with
    as many cells as the header is a row as it stands, and any other has to begin a row that is quoted throughout.
    """
    limit = csv.field_size_limit(MAX_CELL)
    try:
        yield from _read(handle, source, columns, "\t")
    finally:
        csv.field_size_limit(limit)


def _read(handle: IO[bytes], source: str, columns: Sequence[str], usual: str) -> Iterator[Block]:
    lines = _Lines(handle, source)
    separator = _separator(lines, source, columns, usual)
    rows = _Rows(lines, source, separator)
    # A header of which every name is quoted was written by a tool that quotes.
    first = next(lines, "").rstrip("\r\n")
    lines.push_back(first)
    is_quoted = separator != "\t" or all(map(_QUOTED.fullmatch, first.split(separator)))
    found = rows.quoted() if is_quoted else rows.unquoted()
    start, cells = next(found, (1, []))
    if not cells:
        return
    header = rows.header = _Header(cells, source, start, separator, columns)
    ends = _RowEnds(header, source)
    while kept := list(islice(found, _CELL_ROWS_AT_ONCE)):
        header.refuse_headers(kept)
        values = header.rows(kept)
        ends.look_at([cells for _, cells in kept], rows.doubts)
        rows.doubts = []
        yield Block([line for line, _ in kept], values)


class _Lines:
    """The lines of a file, and those of the row that is being read.

    Attributes:
        number: of the line that was given last.
        row: the lines since the last row.
    """

    def __init__(self, handle: IO[bytes], source: str) -> None:
        self._blocks = line_blocks(handle, source)
        self._source = source
        self._left: Iterator[str] = iter(())
        self.number = 0
        self.row: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._left, None)
        while line is None:
            self._left = iter(next(self._blocks)[1])
            line = next(self._left, None)
        self.number += 1
        self.row.append(line)
        if "\0" in line:
            raise DataError(
                f"{self._source}, line {self.number}: a zero byte, so this is no text in UTF-8 (UTF-16, as Excel "
                "writes it, or a binary file). Save the file as UTF-8."
            )
        return line + "\n"

    def push_back(self, line: str) -> None:
        """Gives a line once more."""
        self._left = chain([line], self._left)
        self.number -= 1
        self.row = []


def _separator(lines: _Lines, source: str, columns: Sequence[str], usual: str) -> str:
    """What stands between the cells, from the header: the usual one, unless only another one makes the columns."""
    for line in lines:
        if not line.strip():
            continue
        said = re.fullmatch(r'"?sep=(.)"?,*\s*', line)
        if said is not None:  # the first line by which Excel tells itself; it is no row
            lines.row = []
            return said[1]
        lines.push_back(line.rstrip("\n"))
        found = {one: [cell.strip().strip('"').strip() for cell in line.split(one)] for one in _SEPARATORS}
        has_columns = [one for one in (usual, *found) if columns and set(columns) <= set(found[one])]
        best = has_columns[0] if has_columns else max((usual, *found), key=lambda one: len(found[one]))
        if best != usual and (has_columns or len(found[usual]) == 1) and len(found[best]) > 1:
            warnings.warn(
                f"{source}: its header is separated by {_SEPARATORS[best]}, not by {_SEPARATORS[usual]} as its name "
                f"says, so it is read with {_SEPARATORS[best]}.",
                FileFormatWarning,
                stacklevel=2,
            )
            return best
        return usual
    return usual


class _Header:
    """The names of the columns.

    Attributes:
        cells: the names as they stand, those of the empty columns at the end left out.
    """

    def __init__(self, cells: list[str], source: str, line: int, separator: str, columns: Sequence[str]) -> None:
        self._source = source
        self.cells = [cell.strip() for cell in cells]
        while self.cells and not self.cells[-1]:
            self.cells.pop()
        # The first column may lack a name: tools write the numbers of the rows there.
        self._unnamed = [place for place, name in enumerate(self.cells) if place and not name]
        named = [name for place, name in enumerate(self.cells) if place not in self._unnamed]
        twice = next((name for name in named if named.count(name) > 1), None)
        self._line = line
        self._wanted = columns
        absent = self._absent = [name for name in columns if name not in named]
        if absent and _looks_like_row(self.cells):
            shown = ", ".join(f"column{place}" for place in range(1, len(cells) + 1))
            raise DataError(
                f"{source} has no header: its first line is a row ({', '.join(map(repr, self.cells)):.200}), and "
                f"{counted(len(cells), 'column has', 'columns have')} no names, so {absent[0]!r} is not found. "
                f"Write a first line with a name for each column ({shown}; {', '.join(map(repr, columns))} where they "
                f"are), separated by {_SEPARATORS.get(separator, repr(separator))}."
            )
        if twice is not None:
            raise DataError(f"{source}, line {line}: two columns are called {twice!r:.60}. Rename or remove one.")

    def fits(self, cells: list[str]) -> bool:
        """Whether a row has a cell for each column; a spreadsheet's empty ones behind them do not count."""
        width = len(self.cells)
        return len(cells) == width or (len(cells) > width and not any(map(str.strip, cells[width:])))

    def refuse_headers(self, found: list[Cells]) -> None:
        """Refuses a row that is a header: the same one again, or the first one where the line before it was a title.

        Raises:
            DataError: naming the line.
        """
        if self._absent:
            for line, cells in found[:_MOST_TITLE_LINES]:
                if set(self._wanted) <= {name.strip(' "') for cell in cells for name in re.split(r"[,;\t|]", cell)}:
                    raise DataError(
                        f"{self._source}, line {self._line}: no header, but a title or a comment "
                        f"({', '.join(self.cells)!r:.80}): the names of the columns stand in line {line}. Remove what "
                        "stands above them."
                    )
        if len(self.cells) < _FEWEST_NAMES:
            return
        width, names, longest = len(self.cells), sorted(self.cells), max(map(len, self.cells)) + 8
        for line, cells in found:
            if cells and len(cells[0]) <= longest and cells[0].strip(_AROUND_NAMES) in names:
                again = [cell.strip(_AROUND_NAMES) for cell in cells]
                if sorted(again[:width]) == names and not any(again[width:]):
                    other = "" if again[:width] == self.cells else ", in another order, as the rows behind it may be"
                    raise DataError(
                        f"{self._source}, line {line}: the header once more ({', '.join(again[:width])}{other}), as "
                        "where files are joined end to end. Remove this line, or give the files one by one."
                    )

    def rows(self, found: list[Cells]) -> list[dict[str, Any]]:
        """The rows by column; a column without a name is empty, and left out."""
        width = len(self.cells)
        if self._unnamed or any(len(cells) != width for _, cells in found):
            found = [(line, self._checked(line, cells)) for line, cells in found]
        rows = [dict(zip(self.cells, cells, strict=True)) for _, cells in found]
        if self._unnamed and self.cells[0]:
            for row in rows:
                del row[""]
        return rows

    def _checked(self, line: int, cells: list[str]) -> list[str]:
        width = len(self.cells)
        if not self.fits(cells):
            raise DataError(
                f"{self._source}, line {line}: {counted(len(cells), 'column')}, but the header has {width} "
                f"({', '.join(self.cells)}). Quote a text that holds the separator.{self._doubt()}"
            )
        for place in self._unnamed:
            if cells[place].strip():
                raise DataError(
                    f"{self._source}, line {line}: {cells[place]!r:.60} stands in column {place + 1}, which has no "
                    f"name in the header. Name the column, or quote a text that holds the separator.{self._doubt()}"
                )
        return cells[:width]

    def _doubt(self) -> str:
        if not self._absent and not "".join(self.cells).startswith("#"):
            return ""
        return f" If line {self._line} is no header but a title or a comment, remove it."


def _looks_like_row(cells: list[str]) -> bool:
    """Whether a header is none: names are short, each another, and no numbers."""
    return any(_NUMBER.fullmatch(cell) or len(cell.split()) > 4 or len(cell) > 40 for cell in cells)


class _Doubt(NamedTuple):
    """A quoted cell of several lines, in which each line may be a row of its own.

    Attributes:
        first: its first line.
        last: its last line.
        column: where it stands.
        breaks: for each line break in it, the cells that stand before and behind it, with their columns.
        is_whole: each of its lines has as many cells as the header, none of them empty.
    """

    first: int
    last: int
    column: int
    breaks: list[list[tuple[int, str]]]
    is_whole: bool


class _Rows:
    """The cells of each row, and the line in which it begins; the first row is the header.

    Attributes:
        header: None until it has been read.
        doubts: of the rows that have been read.
    """

    def __init__(self, lines: _Lines, source: str, separator: str) -> None:
        self._lines, self._source, self._separator = lines, source, separator
        self.header: _Header | None = None
        self.doubts: list[_Doubt] = []

    def quoted(self) -> Iterator[Cells]:
        """As CSV has it: a cell that holds separators, line breaks or quotation marks is quoted."""
        lines = self._lines
        start = lines.number + 1
        try:
            for cells in csv.reader(lines, delimiter=self._separator, strict=True):
                count = len(lines.row)
                start = lines.number - count + 1
                if count > 1:
                    self._doubt(cells, start)
                lines.row = []
                if any(cells):
                    yield start, cells
                start = lines.number + 1
        except csv.Error as error:
            raise DataError(f"{self._source}, line {start}: not valid CSV ({error}). {_csv_advice(error)}") from error

    def unquoted(self) -> Iterator[Cells]:
        """Every line is a row, unless it has not as many cells as the header and begins one that is quoted."""
        lines, separator = self._lines, self._separator
        opened, inner, quoted = 0, 0, 0  # lines: a mark opens a cell and closes none, stands within one, was obeyed
        for line in lines:
            text = line.rstrip("\r\n")
            number = lines.number
            lines.row = [line]
            cells = text.split(separator)
            is_open = False
            plain = cells
            if '"' in text:
                is_open = any(cell.startswith('"') and not _QUOTED.fullmatch(cell) for cell in cells)
                plain = [cell[1:-1].replace('""', '"') if _QUOTED.fullmatch(cell) else cell for cell in cells]
            if self.header is None or self.header.fits(plain):
                if "\r" in text and any("\r" in cell and not _QUOTED.fullmatch(cell) for cell in cells):
                    raise DataError(
                        f"{self._source}, line {number}: a carriage return (\\r) within a line. Lines end with \\n or "
                        "\\r\\n; remove it, or save the file with such line ends."
                    )
                opened = number if is_open else opened
                inner = number if plain == cells and '"' in text else inner
                if is_open and quoted:
                    raise DataError(
                        f"{self._source}, line {number}: a quotation mark opens a cell and does not close it, but "
                        f"line {quoted} is right only if such marks hold a cell together. Quote every text that holds "
                        'tabs, line breaks or quotation marks, and double these (""), or none.'
                    )
                if any(map(str.strip, cells)):
                    yield number, plain
                continue
            whole = self._quoted_row(line) if is_open and not opened else None
            if whole is not None and self.header.fits(whole) and not (inner and lines.number > number):
                quoted = number
                yield number, whole
            elif text.strip():
                yield number, cells  # too many or too few, which is said with the header

    def _quoted_row(self, line: str) -> list[str] | None:
        """The cells of a row that begins with a line and goes on until its marks are paired; None if it is broken."""
        lines, size, marks = [line], len(line), line.count('"')
        first = self._lines.number
        while marks % 2 and size < MAX_CELL:
            further = next(self._lines, None)
            if further is None:
                return None
            lines.append(further)
            size, marks = size + len(further), marks + further.count('"')
        try:
            (cells,) = csv.reader(lines, delimiter=self._separator, strict=True)
        except (csv.Error, ValueError):
            return None
        if len(lines) > 1:
            self._doubt(cells, first)
        self._lines.row = []
        return cells

    def _doubt(self, cells: list[str], first: int) -> None:
        """Notes a row of several lines, to be looked at once it is known what the other rows end with."""
        within = [column for column, cell in enumerate(cells) if "\n" in cell]
        lines = [line.rstrip("\r\n") for line in self._lines.row if line.strip()]
        if len(within) != 1 or len(cells) < 2 or len(lines) < 2:
            return
        column, behind = within[0], len(cells) - 1 - within[0]
        parts = [[cell.strip('"') for cell in line.split(self._separator)] for line in lines]
        breaks = []
        for before, after in pairwise(parts):
            if len(before) <= behind or len(after) <= column:
                return  # no row could end or begin there
            ends = list(enumerate(before[len(before) - behind :], start=column + 1))
            breaks.append([*ends, *enumerate(after[:column])])
        is_whole = all(len(part) == len(cells) and all(map(str.strip, part)) for part in parts)
        self.doubts.append(_Doubt(first, self._lines.number, column, breaks, is_whole))


class _RowEnds:
    """What the cells of each column look like, by which the end of a row is known."""

    def __init__(self, header: _Header, source: str) -> None:
        self._header, self._source = header, source
        self._values: list[set[str]] = [set() for _ in header.cells]
        self._are_numbers = [True for _ in header.cells]
        self._open: list[_Doubt] = []
        self._rows = 0

    def look_at(self, rows: list[list[str]], doubts: list[_Doubt]) -> None:
        """Learns from rows, and refuses a quoted text of which every line ends and begins like a row of its own.

        Args:
            rows: the cells of each.
            doubts: about some of them; those that later rows may confirm are kept.
        """
        news = [self._learn(column, {row[column] for row in rows}) for column in range(len(self._values))]
        for doubt in [*self._open, *doubts] if any(news) else doubts:
            if all(any(cell for _, cell in one) and self._are_usual(one) for one in doubt.breaks):
                raise DataError(
                    f"{self._source}, line {doubt.first}: a quotation mark opens a text in column "
                    f"{self._header.cells[doubt.column]!r} that ends in line {doubt.last}, and each line of it looks "
                    'like a row of its own. Remove the mark that has no partner, or double the marks (""). If it is '
                    "one text, give the rows as .jsonl."
                )
        self._rows += len(rows)
        for doubt in doubts:
            if doubt.is_whole and not any(self._tells(column) for column, _ in doubt.breaks[0]):
                warnings.warn(
                    f"{self._source}, line {doubt.first}: a quoted text ends in line {doubt.last}, and each line of "
                    f"it has as many cells as the header ({len(self._values)}). If they are rows of their own, a "
                    'quotation mark has no partner: remove it, or double it ("").',
                    FileFormatWarning,
                    stacklevel=2,
                )
        self._open += doubts[: _MOST_DOUBTS - len(self._open)]

    def _tells(self, column: int) -> bool:
        """Whether the cells of a column are known by what they are: numbers, or a few that come again."""
        values = len(self._values[column])
        return self._are_numbers[column] or (values <= _MOST_VALUES and 2 * values < self._rows)

    def _learn(self, column: int, found: set[str]) -> bool:
        """Whether the column tells something new; nothing, once it is known to be free text."""
        values = self._values[column]
        if len(values) > _MOST_VALUES and not self._are_numbers[column]:
            return False
        before = len(values), self._are_numbers[column]
        self._are_numbers[column] = self._are_numbers[column] and all(map(_NUMBER.fullmatch, found))
        if len(values) <= _MOST_VALUES:
            values |= found
        return before != (len(values), self._are_numbers[column])

    def _are_usual(self, cells: list[tuple[int, str]]) -> bool:
        """Whether each cell is one that its column has elsewhere, as far as the column tells anything."""
        tells = False
        for column, cell in cells:
            if self._are_numbers[column]:
                if _NUMBER.fullmatch(cell) is None:
                    return False
            elif len(self._values[column]) <= _MOST_VALUES:
                if cell not in self._values[column]:
                    return False
            else:
                continue
            tells = True
        return tells


def _csv_advice(error: csv.Error) -> str:
    if "new-line character" in str(error):
        return r"A carriage return (\r) within a line: lines end with \n or \r\n. Remove it, or quote its text."
    if "field limit" in str(error):
        return f"A text of more than {MAX_CELL:,} characters: is a quotation mark unpaired?"
    return "Is a quotation mark unpaired?"


# Parquet, and what `datasets` notes about its columns.

_PARQUET_ROWS_AT_ONCE, _BATCH_BYTES = 16_384, 8 << 20
# What a number or an empty text takes as a value of Python; the bytes of a text come on top.
_VALUE_BYTES = 64


def read_parquet(handle: IO[bytes], source: str, columns: Sequence[str] = ()) -> Iterator[Block]:
    """The rows of some columns, a batch at a time; of all columns where none is named.

    A value that stands in a million rows is stored once, so the size of the file says little: the values are counted
    before any is read, and the bytes of the texts before they are made.
    """
    with _opened(handle, source, columns) as (file, features):
        names = list(columns) or file.schema_arrow.names
        packed = _size(handle)
        leaves = _leaves(file, names)
        values = sum(
            file.metadata.row_group(group).column(leaf).num_values
            for group in range(file.metadata.num_row_groups)
            for leaf in leaves
        )
        stored = sum(
            file.metadata.row_group(group).column(leaf).total_uncompressed_size
            for group in range(file.metadata.num_row_groups)
            for leaf in leaves
        )
        held = max(values * _VALUE_BYTES, stored)
        if unpacks_too_far(held, packed):
            _refuse(source, f"its {file.metadata.num_rows:,} rows")
        # A batch brings along every text of its row group that is kept once, so small ones take far longer.
        rows_at_once = max(100, min(_PARQUET_ROWS_AT_ONCE, file.metadata.num_rows * _BATCH_BYTES // max(1, stored)))
        texts, number = 0, 0
        for batch in _batches(file, names, rows_at_once):
            sizes = [_text_bytes(column) for column in batch.columns]
            size, longest = sum(size for size, _ in sizes), max((longest for _, longest in sizes), default=0)
            texts += size
            rows = f"rows {number + 1} to {number + batch.num_rows}"
            if longest > MAX_LINE_BYTES:
                raise DataError(
                    f"{source}, {rows}: a value of more than {MAX_LINE_BYTES >> 20} MB. Split or remove the row."
                )
            if unpacks_too_far(texts + (number + batch.num_rows) * _VALUE_BYTES, packed):
                _refuse(source, rows)
            step = max(1, batch.num_rows * _BATCH_BYTES // max(size, _BATCH_BYTES))
            for start in range(0, batch.num_rows, step):
                yield _block(batch.slice(start, step), features, source, number, file.metadata.num_rows)
                number += min(step, batch.num_rows - start)


def _batches(file: Any, names: list[str], rows_at_once: int) -> Iterator[Any]:
    """The rows of some columns, batch by batch, none across row groups.

    Each group has a dictionary of its own, and pyarrow cannot join two of them within lists of texts that are kept
    once (26.0: "Nested data conversions not implemented for chunked array outputs").
    """
    for group in range(file.metadata.num_row_groups):
        yield from file.iter_batches(rows_at_once, row_groups=[group], columns=names)


def _block(batch: Any, features: "Features", source: str, number: int, of_rows: int) -> Block:
    found = {
        name: _decoded(features, name, _plain(column).to_pylist(), source, number)
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    rows = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    return Block(range(number + 1, number + 1 + len(rows)), rows, (number + len(rows)) / of_rows)


def parquet_columns(handle: IO[bytes], source: str) -> list[str]:
    """The names of the columns, in order."""
    with _opened(handle, source, None) as (file, _):
        return list(file.schema_arrow.names)


def class_names_of(feature: Any) -> tuple[str, ...] | None:
    """The names that a feature of `datasets` gives to its whole numbers; None where it gives none."""
    names = getattr(getattr(feature, "feature", feature), "names", None)
    return tuple(names) if names else None


def parquet_class_names(handle: IO[bytes], source: str, column: str) -> tuple[str, ...] | None:
    """The names of the labels of a column, where `datasets` has written the file and knew them."""
    with _opened(handle, source, [column]) as (_, features):
        return class_names_of(features[column])


def refuse_changed_values(source: str, column: str, feature: Any, values: Sequence[Any], first: int = 0) -> None:
    """Refuses texts that `datasets` has read as JSON.

    Where a column holds texts and numbers, `datasets` (5.2) keeps all as JSON and reads them again: the text "12"
    becomes a number, "null" is missing, and quotation marks are gone. Which were texts cannot be seen any more.

    Args:
        source: the file or the dataset.
        column: its name.
        feature: of the column.
        values: as `datasets` gives them.
        first: number of the first one, counted from 0.

    Raises:
        DataError: a value is neither a list nor an object; with the first row whose value is of another type.
    """
    if not _holds_json(feature):
        return
    found = [
        (row, one)
        for row, value in enumerate(values, start=first + 1)
        for one in _json_values(feature, value)
        if not isinstance(one, list | dict)
    ]
    if found:
        row, one = next((pair for pair in found if type(pair[1]) is not type(found[0][1])), found[0])
        raise DataError(
            f"{source}, row {row}, column {column!r}: {one!r:.60}, of type {type(one).__name__}, in a column in which "
            "texts and other values are mixed; datasets has read it as JSON, which changes texts that look like "
            "numbers, null or quoted ones. Make all values of the column texts in the source, or all numbers; or give "
            "its rows as a .jsonl file."
        )


def _holds_json(feature: Any) -> bool:
    if isinstance(feature, dict):
        return any(map(_holds_json, feature.values()))
    if isinstance(feature, list):
        return any(map(_holds_json, feature))
    return type(feature).__name__ == "Json" or (hasattr(feature, "feature") and _holds_json(feature.feature))


def _json_values(feature: Any, value: Any) -> Iterator[Any]:
    """The values within a value that were stored as JSON; a missing one counts for nothing."""
    if value is None:
        return
    if type(feature).__name__ == "Json":
        yield value
    elif isinstance(feature, dict) and isinstance(value, dict):
        for name, inner in feature.items():
            yield from _json_values(inner, value.get(name))
    elif isinstance(value, list):
        inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
        for one in value:
            yield from _json_values(inner, one)


def _decoded(features: "Features", name: str, values: list[Any], source: str, first: int) -> list[Any]:
    feature = features[name]
    if not _holds_json(feature):
        return values
    from datasets.features.features import decode_nested_example

    decoded = [None if value is None else decode_nested_example(feature, value) for value in values]
    refuse_changed_values(source, name, feature, decoded, first)
    return decoded


@contextmanager
def _opened(handle: IO[bytes], source: str, columns: Sequence[str] | None) -> Iterator[tuple[Any, "Features"]]:
    """The file, its texts kept once each; and the features by which `datasets` knows these columns.

    Of no named columns it knows all; None: none is asked for.
    """
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    with tempfile.SpooledTemporaryFile(max_size=32 << 20) as unpacked:
        handle.seek(0)
        if source.lower().endswith(".gz"):  # what stands where is at its end, so it is unpacked once
            shutil.copyfileobj(handle, unpacked)
            handle = unpacked  # type: ignore[assignment]
        try:
            file = pyarrow.parquet.ParquetFile(pyarrow.PythonFile(handle, mode="r"))
            check_columns(source, columns or (), file.schema_arrow.names)
            once = [
                file.metadata.schema.column(leaf).path
                for leaf in _leaves(file, list(columns or ()) or file.schema_arrow.names)
                if file.metadata.schema.column(leaf).physical_type == "BYTE_ARRAY"
            ]
            features = _features(file.schema_arrow, columns, source)
            if once:
                handle.seek(0)
                file = pyarrow.parquet.ParquetFile(
                    pyarrow.PythonFile(handle, mode="r"), read_dictionary=once, buffer_size=1 << 20
                )
            yield file, features
        except (pyarrow.ArrowException, UnicodeDecodeError) as error:
            raise DataError(f"{source} is not a readable parquet file ({str(error).splitlines()[0]}).") from error


def _features(schema: Any, columns: Sequence[str] | None, source: str) -> "Features":
    """Of the columns that are read, whatever the others hold."""
    import pyarrow
    from datasets import Features

    names = () if columns is None else columns or schema.names
    twice = next((name for name in names if schema.names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{source}: two columns are called {twice!r:.60}. Rename or remove one.")
    try:
        return Features.from_arrow_schema(pyarrow.schema([schema.field(name) for name in names], schema.metadata))
    except ValueError as error:  # a type of Arrow's that `datasets` has no word for, such as map
        raise DataError(f"{source}: a column of it cannot be read: {error}. Leave it out of the file.") from error


def _plain(array: Any) -> Any:
    """An array without the detour by which its texts are kept once: to make lists of it is ten times as fast."""
    import pyarrow

    return array.dictionary_decode() if pyarrow.types.is_dictionary(array.type) else array


def _leaves(file: Any, names: Sequence[str]) -> list[int]:
    """The columns of the file, without parts, that make up columns with parts such as lists."""
    schema = file.metadata.schema
    wanted = tuple(f"{name}." for name in names)
    return [leaf for leaf in range(file.metadata.num_columns) if f"{schema.column(leaf).path}.".startswith(wanted)]


def _size(handle: IO[bytes]) -> int:
    return Path(handle.name).stat().st_size


def _refuse(source: str, rows: str) -> NoReturn:
    raise DataError(
        f"{source}, {rows}: they fill more than {MOST_UNPACKED} times the size of the file, as no texts do: one value "
        "stands in them over and over. If it is right, write the rows as .jsonl."
    )


def _text_bytes(array: Any) -> tuple[int, int]:
    """The bytes of all texts of an array, and of the longest."""
    import pyarrow
    import pyarrow.compute  # type: ignore[import-untyped]

    kind = array.type
    if isinstance(array, pyarrow.ExtensionArray):
        return _text_bytes(array.storage)
    if pyarrow.types.is_dictionary(kind):
        sizes, longest = _text_bytes(array.dictionary)
        if not sizes:
            return 0, 0
        lengths = pyarrow.compute.binary_length(array.dictionary).cast("int64")
        return pyarrow.compute.sum(lengths.take(array.indices)).as_py() or 0, longest
    if pyarrow.types.is_struct(kind):
        parts = [_text_bytes(array.field(index)) for index in range(kind.num_fields)]
        return sum(size for size, _ in parts), max((longest for _, longest in parts), default=0)
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        return _text_bytes(array.flatten())
    if any(
        is_kind(kind)
        for is_kind in (
            pyarrow.types.is_string,
            pyarrow.types.is_large_string,
            pyarrow.types.is_binary,
            pyarrow.types.is_large_binary,
        )
    ):
        lengths = pyarrow.compute.binary_length(array).cast("int64")
        return pyarrow.compute.sum(lengths).as_py() or 0, pyarrow.compute.max(lengths).as_py() or 0
    return 0, 0
