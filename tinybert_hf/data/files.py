"""Reads one file of rows, or says why it cannot be read."""

import difflib
import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from tinybert_hf.data.formats import Row, read_csv, read_json, read_json_lines, read_tsv, text_lines
from tinybert_hf.data.raw_rows import RawRows, check_columns
from tinybert_hf.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

READERS: dict[str, Callable[[IO[bytes], str], Iterator[Row]]] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_tsv,
}
# Text packs 3 to 20 times, rows of one sentence 200 times, and nothing but zeros 1,000 times.
_MOST_PACKED, _UNPACKED_ANYWAY = 300, 256 << 20
SUFFIXES = (*READERS, ".parquet")


def read_file(path: str, columns: Sequence[str], max_rows: int | None = None) -> RawRows:
    """Reads columns of a file.

    Args:
        path: a file with one of `SUFFIXES`, or one of them with .gz behind it.
        columns: the columns to keep.
        max_rows: stop after this many rows.

    Returns:
        The rows, with the line of each where the format has lines.

    Raises:
        DataError: the file is missing, a folder, of an unknown kind, empty, broken, or lacks a column.
    """
    suffix = checked_suffix(Path(path))
    try:
        with open_file(path) as handle:
            if suffix == ".parquet":
                return _read_parquet(handle, path, columns, max_rows)
            rows = _collect(READERS[suffix](handle, path), path, columns, max_rows)
            rows.is_text = suffix in (".csv", ".tsv")
            return rows
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}). Make or download it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def stream_file(path: str, columns: Sequence[str]) -> Iterator[Row]:
    """Reads columns of a file a row at a time, so that a file larger than the memory can be read.

    Args:
        path: as for `read_file`.
        columns: the columns that have to be there.

    Returns:
        The line or number of each row, and the row.

    Raises:
        DataError: as `read_file`.
    """
    suffix = checked_suffix(Path(path))
    try:
        with open_file(path) as handle:
            rows = _parquet_rows(handle, path, columns) if suffix == ".parquet" else READERS[suffix](handle, path)
            for line, row in rows:
                check_columns(path, columns, row)
                yield line, row
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}). Make or download it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def stream_lines(path: str) -> Iterator[tuple[int, str]]:
    """Reads the lines of a text file, .txt or .txt.gz, one at a time.

    Raises:
        DataError: the file is missing, a folder, empty, broken, not UTF-8, or has a line of more than 64 MB.
    """
    checked_suffix(Path(path), (".txt", *SUFFIXES))
    try:
        with open_file(path) as handle:
            yield from text_lines(handle, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}). Make or download it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def read_whole_file(path: str, max_rows: int | None = None) -> RawRows:
    """Reads all columns that the first row of a file has.

    Args:
        path: as for `read_file`.
        max_rows: stop after this many rows.

    Raises:
        DataError: as for `read_file`.
    """
    suffix = checked_suffix(Path(path))
    with open_file(path) as handle:
        if suffix == ".parquet":
            import pyarrow.parquet  # type: ignore[import-untyped]

            names = pyarrow.parquet.ParquetFile(pyarrow.PythonFile(handle, mode="r")).schema_arrow.names
        else:
            names = list(next(READERS[suffix](handle, path), (0, {}))[1])
    return read_file(path, names, max_rows)


def rows_from_dataset(dataset: "Dataset", source: str, columns: Sequence[str], max_rows: int | None) -> RawRows:
    """Takes columns out of a dataset, with the names that it gives to its labels.

    Args:
        dataset: of any origin.
        source: what messages call it.
        columns: the columns to keep; the last is the label column.
        max_rows: keep only the first rows.

    Raises:
        DataError: no rows, or a column is missing.
    """
    check_columns(source, columns, dataset.column_names)
    if dataset.num_rows == 0:
        raise DataError(f"{source} has no rows.")
    kept = dataset.select_columns(list(columns))
    if max_rows is not None:
        kept = kept.select(range(min(max_rows, kept.num_rows)))
    label = kept.features[columns[-1]]
    names = getattr(getattr(label, "feature", label), "names", None)
    values = {column: list(kept.with_format(None)[column]) for column in columns}
    return RawRows(source, values, class_names=tuple(names) if names else None)


def checked_suffix(path: Path, known: Sequence[str] = SUFFIXES) -> str:
    """The suffix of a file, that of the packing left out.

    Raises:
        DataError: the file is missing, a folder, of an unknown kind, or empty.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    suffix = suffixes[0] if suffixes[-1:] == [".gz"] else (suffixes or [""])[-1]
    if path.is_dir():
        inside = sorted(item.name for item in path.iterdir() if item.is_file())[:5]
        raise DataError(f"{path} is a folder, not a file. Files in it: {', '.join(inside) or 'none'}.")
    if not path.exists():
        neighbours = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, neighbours, n=1)
        hint = f" Did you mean {path.parent / near[0]}?" if near else ""
        if not path.parent.is_dir():
            hint = f" Its folder {path.parent} does not exist either."
        raise DataError(f"{path} does not exist (looked from {Path.cwd()}).{hint}")
    if suffix not in known:
        raise DataError(
            f"{path} ends in {suffix or 'no suffix'!r}, so its format is unknown. "
            f"Known: {', '.join(known)}, each also with .gz behind it."
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes).")
    return suffix


class _Unpacked(gzip.GzipFile):
    """A gzip file that may not grow without bound: a few kilobytes can hold gigabytes of one letter."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "rb")
        self._most = max(_UNPACKED_ANYWAY, _MOST_PACKED * Path(path).stat().st_size)

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if self.tell() > self._most:
            raise DataError(
                f"{self.name} unpacks to more than {_MOST_PACKED} times its size, as no text does. If it is right, "
                "unpack it yourself and give the unpacked file."
            )
        return line


def open_file(path: str) -> IO[bytes]:
    """Opens a file; one that ends in .gz gives its content, which may not grow without bound."""
    return cast("IO[bytes]", _Unpacked(path) if path.lower().endswith(".gz") else Path(path).open("rb"))


def _collect(rows: Iterable[Row], source: str, columns: Sequence[str], max_rows: int | None) -> RawRows:
    kept = RawRows(source, {column: [] for column in columns})
    for line, row in rows:
        if not kept.lines:
            check_columns(source, columns, row)
        for column, values in kept.columns.items():
            if column not in row:
                raise DataError(f"{source}, line {line}: no column {column!r}, only {', '.join(row) or 'none'}.")
            values.append(row[column])
        kept.lines.append(line)
        if len(kept.lines) == max_rows:
            break
    if not kept.lines:
        raise DataError(f"{source} has no rows.")
    return kept


def _read_parquet(handle: IO[bytes], path: str, columns: Sequence[str], max_rows: int | None) -> RawRows:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]
    from datasets import Dataset
    from datasets.table import InMemoryTable

    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.PythonFile(handle, mode="r"))
        check_columns(path, columns, file.schema_arrow.names)
        table = file.read(columns=list(columns))
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a readable parquet file ({str(error).splitlines()[0]}).") from error
    return rows_from_dataset(Dataset(InMemoryTable(table)), path, columns, max_rows)


def _parquet_rows(handle: IO[bytes], path: str, columns: Sequence[str]) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.PythonFile(handle, mode="r"))
        check_columns(path, columns, file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(batch_size=1024, columns=list(columns) or None):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a readable parquet file ({str(error).splitlines()[0]}).") from error
