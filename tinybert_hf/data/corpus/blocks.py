"""The blocks of a tokenised corpus as rows, read from the disk where they lie."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tinybert_hf.data.corpus.shards import LENGTH
from tinybert_hf.data.shard_folder import MANIFEST, read_manifest
from tinybert_hf.errors import DataError

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class CorpusBlocks:
    """Rows of unequal length; nothing is held in memory but the length of each.

    Behaves like a dataset of the library `datasets` as far as the trainer goes: rows, slices and columns, `select`
    and `select_columns`. Every second block whose text has several lines shows its second half as a second segment,
    as pretraining does, so that a student learns both segments.

    Attributes:
        folder: of the shards.
        column_names: what a row has.
    """

    def __init__(self, folder: str | Path, *, separator: int | None = None, with_segments: bool = False) -> None:
        """Opens a folder that `tokenise_corpus` has completed.

        Args:
            folder: of the shards.
            separator: token between two lines.
            with_segments: rows have token_type_ids.

        Raises:
            DataError: it is not complete.
        """
        self.folder = Path(folder)
        manifest = read_manifest(self.folder / MANIFEST, DataError)
        if not manifest["complete"]:
            raise DataError(f"{folder} is not complete; the command that began it goes on with it.")
        self.totals: dict[str, Any] = manifest["totals"]
        self._kind = np.dtype(manifest["token_type"])
        self._names = [shard["name"] for shard in manifest["shards"]]
        self._lengths = np.concatenate([np.fromfile(self.folder / f"{name}.lengths", LENGTH) for name in self._names])
        self._firsts = [0, *accumulate(shard["blocks"] for shard in manifest["shards"])]
        self._starts = np.concatenate([_starts(self._lengths[a:b]) for a, b in pairwise(self._firsts)])
        self._separator, self._with_segments = separator, with_segments
        self._chosen: Any = range(len(self._lengths))
        self.column_names = [name for name in INPUTS if with_segments or name != "token_type_ids"] + ["length"]
        self._shards: list[np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row."""
        chosen = self._chosen
        return self._lengths[chosen.start : chosen.stop] if isinstance(chosen, range) else self._lengths[chosen]

    @property
    def tokens(self) -> int:
        """Of all rows."""
        return int(self.lengths.sum(dtype=np.int64))

    def __getitem__(self, which: Any) -> Any:
        """A row by its number; the columns of a slice or of numbers; a whole column by its name."""
        if isinstance(which, str):
            if which == "length":
                return self.lengths
            return [self[number][which] for number in range(len(self))]
        if isinstance(which, slice | Sequence):
            numbers = range(len(self))[which] if isinstance(which, slice) else which
            rows = [self[number] for number in numbers]
            return {name: [_plain(row[name]) for row in rows] for name in self.column_names}
        row = self._row(int(self._chosen[which]))
        return {name: row[name] for name in self.column_names}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[number] for number in range(len(self)))

    def select(self, numbers: Sequence[int] | range | np.ndarray) -> CorpusBlocks:
        """Some of the rows, in this order; the same files."""
        one = self._copy()
        if isinstance(numbers, range) and numbers.step == 1 and isinstance(self._chosen, range):
            one._chosen = self._chosen[numbers.start : numbers.stop]
        else:
            one._chosen = np.asarray(self._chosen)[list(numbers)]
        return one

    def select_columns(self, names: Sequence[str]) -> CorpusBlocks:
        """The same rows with some of the columns."""
        one = self._copy()
        one.column_names = list(names)
        return one

    def _copy(self) -> CorpusBlocks:
        one = object.__new__(type(self))
        one.__dict__ = dict(self.__dict__)
        return one

    def _row(self, block: int) -> dict[str, Any]:
        if self._shards is None:
            # As plain arrays: a slice of a memmap object costs as much as the rest of a row.
            files = (np.memmap(self.folder / f"{name}.tokens", self._kind, mode="r") for name in self._names)
            self._shards = [file.view(np.ndarray) for file in files]
        shard = bisect_right(self._firsts, block) - 1
        length, start = int(self._lengths[block]), int(self._starts[block])
        tokens = self._shards[shard][start : start + length].astype(np.int64)
        row: dict[str, Any] = {"input_ids": tokens, "attention_mask": np.ones(length, np.int64), "length": length}
        if self._with_segments:
            row["token_type_ids"] = self._segments(block, tokens)
        return row

    def _segments(self, block: int, tokens: np.ndarray) -> np.ndarray:
        types = np.zeros(len(tokens), np.int64)
        if block % 2 and self._separator is not None:
            between = np.flatnonzero(tokens[:-1] == self._separator)
            if len(between):
                types[between[len(between) // 2] + 1 :] = 1
        return types

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shards": None}  # another process maps the files itself


def _starts(lengths: np.ndarray) -> np.ndarray:
    ends = np.cumsum(lengths, dtype=np.int64)
    return ends - lengths


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
