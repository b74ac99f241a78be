"""Parquet, and what `datasets` notes about its columns."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from tinybert_hf.data.formats import Block
from tinybert_hf.data.lines import MAX_LINE_BYTES, MOST_UNPACKED, unpacks_too_far
from tinybert_hf.data.raw_rows import check_columns
from tinybert_hf.errors import DataError

if TYPE_CHECKING:
    from datasets import Features

_ROWS_AT_ONCE, _BATCH_BYTES = 16_384, 8 << 20
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
        rows_at_once = max(100, min(_ROWS_AT_ONCE, file.metadata.num_rows * _BATCH_BYTES // max(1, stored)))
        texts, number = 0, 0
        for batch in file.iter_batches(rows_at_once, columns=names):
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


def _block(batch: Any, features: "Features", source: str, number: int, of_rows: int) -> Block:
    found = {
        name: _decoded(features, name, _plain(column).to_pylist(), source, number)
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    rows = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    return Block(range(number + 1, number + 1 + len(rows)), rows, (number + len(rows)) / of_rows)


def parquet_columns(handle: IO[bytes], source: str) -> list[str]:
    """The names of the columns, in order."""
    with _opened(handle, source, ()) as (file, _):
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
def _opened(handle: IO[bytes], source: str, columns: Sequence[str]) -> Iterator[tuple[Any, "Features"]]:
    """The file, its texts kept once each; and the features by which `datasets` knows its columns."""
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]
    from datasets import Features

    with tempfile.SpooledTemporaryFile(max_size=32 << 20) as unpacked:
        handle.seek(0)
        if source.lower().endswith(".gz"):  # what stands where is at its end, so it is unpacked once
            shutil.copyfileobj(handle, unpacked)
            handle = unpacked  # type: ignore[assignment]
        try:
            file = pyarrow.parquet.ParquetFile(pyarrow.PythonFile(handle, mode="r"))
            check_columns(source, columns, file.schema_arrow.names)
            once = [
                file.metadata.schema.column(leaf).path
                for leaf in _leaves(file, list(columns) or file.schema_arrow.names)
                if file.metadata.schema.column(leaf).physical_type == "BYTE_ARRAY"
            ]
            features = Features.from_arrow_schema(file.schema_arrow)
            if once:
                handle.seek(0)
                file = pyarrow.parquet.ParquetFile(
                    pyarrow.PythonFile(handle, mode="r"), read_dictionary=once, buffer_size=1 << 20
                )
            yield file, features
        except (pyarrow.ArrowException, UnicodeDecodeError) as error:
            raise DataError(f"{source} is not a readable parquet file ({str(error).splitlines()[0]}).") from error


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
