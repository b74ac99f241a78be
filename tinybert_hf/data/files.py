"""Reads one file of rows, or says why it cannot be read."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tinybert_hf.data.delimited import read_csv, read_tsv
from tinybert_hf.data.formats import Block, read_json, read_json_lines
from tinybert_hf.data.lines import reading, text_lines
from tinybert_hf.data.parquet import (
    class_names_of,
    parquet_class_names,
    parquet_columns,
    read_parquet,
    refuse_changed_values,
)
from tinybert_hf.data.raw_rows import RawRows, check_columns
from tinybert_hf.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

READERS: dict[str, Callable[[IO[bytes], str, Sequence[str]], Iterator[Block]]] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
}
SUFFIXES = tuple(READERS)


def read_blocks(path: str, columns: Sequence[str] = ()) -> Iterator[Block]:
    """Reads a file of rows in blocks, so that a file larger than the memory can be read.

    Args:
        path: a file with one of `SUFFIXES`, or one of them with .gz behind it.
        columns: the columns that have to be in each row; of Parquet no others are read.

    Raises:
        DataError: the file is missing, a folder, of an unknown kind, empty, broken, or lacks a column; or so little
            of it unpacks to so much that it is no text.
    """
    suffix = checked_suffix(Path(path))
    size = Path(path).stat().st_size
    is_first = True
    with reading(path) as handle:
        packed: Any = getattr(handle, "fileobj", None) or handle  # of a gzip file the packed bytes count
        for block in READERS[suffix](handle, path, columns):
            if is_first:
                check_columns(path, columns, block.rows[0])
                is_first = False
            yield block if block.share else block._replace(share=min(1.0, packed.tell() / size))


def read_file(path: str, columns: Sequence[str], max_rows: int | None = None) -> RawRows:
    """Reads columns of a file.

    Args:
        path: a file with one of `SUFFIXES`, or one of them with .gz behind it.
        columns: the columns to keep; the last is the label column.
        max_rows: stop after this many rows.

    Returns:
        The rows, with the line of each.

    Raises:
        DataError: as `read_blocks`; or there are no rows.
    """
    kept = RawRows(path, {column: [] for column in columns})
    for block in read_blocks(path, columns):
        for column, values in kept.columns.items():
            values += _values(block, column, path)
        kept.lines += block.lines
        if max_rows is not None and len(kept.lines) >= max_rows:
            del kept.lines[max_rows:]
            for values in kept.columns.values():
                del values[max_rows:]
            break
    if not kept.lines:
        raise DataError(f"{path} has no rows.")
    suffix = checked_suffix(Path(path))
    kept.is_text = suffix in (".csv", ".tsv")
    if suffix == ".parquet" and columns:
        with reading(path) as handle:
            kept.class_names = parquet_class_names(handle, path, columns[-1])
    return kept


def stream_file(path: str, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Reads columns of a file a row at a time.

    Args:
        path: as for `read_blocks`.
        columns: the columns that have to be there.

    Returns:
        The line or number of each row, and the row.

    Raises:
        DataError: as `read_blocks`.
    """
    for block in read_blocks(path, columns):
        for line, row in zip(block.lines, block.rows, strict=True):
            check_columns(path, columns, row)
            yield line, row


def stream_lines(path: str) -> Iterator[tuple[int, str]]:
    """Reads the lines of a text file, .txt or .txt.gz, one at a time, without the line feeds.

    Raises:
        DataError: the file is missing, a folder, empty, broken, not UTF-8, or has a line of more than 64 MB.
    """
    checked_suffix(Path(path), (".txt", *SUFFIXES))
    with reading(path) as handle:
        yield from text_lines(handle, path)


def file_columns(path: str) -> list[str]:
    """The columns of a file: those of its first row; none where there is no row.

    Raises:
        DataError: as for `read_blocks`.
    """
    if checked_suffix(Path(path)) == ".parquet":
        with reading(path) as handle:
            return parquet_columns(handle, path)
    first = next(read_blocks(path), None)
    return [] if first is None else list(first.rows[0])


def read_whole_file(path: str, max_rows: int | None = None) -> RawRows:
    """Reads all columns that the first row of a file has.

    Args:
        path: as for `read_file`.
        max_rows: stop after this many rows.

    Raises:
        DataError: as for `read_file`.
    """
    return read_file(path, file_columns(path), max_rows)


def rows_from_dataset(dataset: "Dataset", source: str, columns: Sequence[str], max_rows: int | None) -> RawRows:
    """Takes columns out of a dataset, with the names that it gives to its labels.

    Args:
        dataset: of any origin.
        source: what messages call it.
        columns: the columns to keep; the last is the label column.
        max_rows: keep only the first rows.

    Raises:
        DataError: no rows, a column is missing, or its texts were changed as `datasets` read them.
    """
    check_columns(source, columns, dataset.column_names)
    if dataset.num_rows == 0:
        raise DataError(f"{source} has no rows.")
    kept = dataset.select_columns(list(columns))
    if max_rows is not None:
        kept = kept.select(range(min(max_rows, kept.num_rows)))
    values = {column: list(kept.with_format(None)[column]) for column in columns}
    for column in columns:
        refuse_changed_values(source, column, kept.features[column], values[column])
    return RawRows(source, values, class_names=class_names_of(kept.features[columns[-1]]))


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


def _values(block: Block, column: str, source: str) -> list[Any]:
    try:
        return block.column(column)
    except KeyError:
        line, row = next((line, row) for line, row in zip(block.lines, block.rows, strict=True) if column not in row)
        raise DataError(f"{source}, line {line}: no column {column!r}, only {', '.join(row) or 'none'}.") from None
