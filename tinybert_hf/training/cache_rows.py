"""Which row a batch's rows are: known by their tokens alone, so that no other input can be taken for one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from tinybert_hf.distillation.capture import model_inputs
from tinybert_hf.distillation.shapes import is_translator
from tinybert_hf.errors import DataError

_MADE_FROM_OTHERS = ("attention_mask", "decoder_input_ids", "decoder_attention_mask")
_SLICE = 1000  # rows that are read at once
INSTEAD = "Leave teacher_cache out (in a recipe: `teacher_cache: false`), so that the teacher runs in each step."


@dataclass(frozen=True)
class RowIdentity:
    """What a teacher's answer to a row follows from: 128 bits of all that it reads, and how much of it there is."""

    digest: bytes
    tokens: int
    target_tokens: int


@dataclass(frozen=True)
class RowIndex:
    """The rows of a data set, each one once, in the order in which a cache keeps them: short rows first.

    Attributes:
        names: the inputs that tell rows apart.
        rows: by place, a row of the data set that has this content.
        tokens: by place, real tokens.
        target_tokens: by place, real tokens of the target; 0 without one.
        fingerprint: SHA-256 of the content of all rows, whatever their order.
    """

    names: tuple[str, ...]
    rows: np.ndarray
    tokens: np.ndarray
    target_tokens: np.ndarray
    fingerprint: str
    _sorted: np.ndarray
    _places: np.ndarray

    @classmethod
    def of(cls, dataset: Any, names: tuple[str, ...]) -> RowIndex:
        """Read all rows once.

        Raises:
            DataError: a row whose real tokens do not stand first, or inputs that are no whole numbers.
        """
        first: dict[bytes, tuple[int, int, int]] = {}
        for number, row in enumerate(_rows(dataset, names)):
            one = identity(row, names)
            first.setdefault(one.digest, (one.tokens, one.target_tokens, number))
        order = sorted(first, key=lambda digest: (*first[digest][:2], digest))
        digests = np.array(order, dtype="S16")
        facts = np.array([first[digest] for digest in order], dtype=np.int64).reshape(-1, 3)
        places = np.argsort(digests, kind="stable")
        fingerprint = hashlib.sha256(b"".join(order)).hexdigest()
        return cls(names, facts[:, 2], facts[:, 0], facts[:, 1], fingerprint, digests[places], places)

    def __len__(self) -> int:
        return len(self.rows)

    def places_of(self, batch: Mapping[str, Any]) -> list[int]:
        """The place of each row of a batch, as a collator made it.

        Raises:
            DataError: a row that the data set does not have.
        """
        return self.places_of_rows(batch_identities(batch, self.names))

    def places_of_rows(self, rows: Sequence[RowIdentity]) -> list[int]:
        """The place of each of these rows.

        Raises:
            DataError: a row that the data set does not have.
        """
        digests = [row.digest for row in rows]
        found = np.searchsorted(self._sorted, np.array(digests, dtype="S16")).clip(max=len(self) - 1)
        for number, (digest, spot) in enumerate(zip(digests, found, strict=True)):
            if self._sorted[spot] != np.array(digest, dtype="S16"):
                raise DataError(
                    f"Row {number} of a batch reads otherwise than every row of the training set: the collator or the "
                    "data set changes rows (masking, augmentation) when they are read. A teacher cache holds what the "
                    f"teacher says to the rows as they are. {INSTEAD}"
                )
        return [int(place) for place in self._places[found]]


def identifying_inputs(teacher: nn.Module, batch: Mapping[str, Any], dataset: Any) -> tuple[str, ...]:
    """The columns of the rows that the teacher reads; the labels too where they are a translator's target.

    Args:
        teacher: the model.
        batch: some rows as the collator makes them.
        dataset: the rows.

    Raises:
        DataError: rows without a number, or inputs that only the collator knows.
    """
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise DataError(f"A teacher cache needs a training set whose rows can be counted, not a stream. {INSTEAD}")
    names = [name for name in model_inputs(teacher, batch) if name not in _MADE_FROM_OTHERS]
    if is_translator(teacher):
        names.append("labels")
    row = dataset[0]
    lacking = [name for name in ("input_ids", *names) if name not in row]
    if lacking:
        raise DataError(
            f"The teacher reads {lacking[0]}, which the rows of the training set lack before they are collated, "
            f"so a teacher cache could not tell its rows apart. Tokenise the rows beforehand. {INSTEAD}"
        )
    return tuple(sorted(set(names)))


def batch_identities(batch: Mapping[str, Any], names: Sequence[str]) -> list[RowIdentity]:
    """What the rows of a collated batch read, the padding left out."""
    wanted = [*names, *(["attention_mask"] if batch.get("attention_mask") is not None else [])]
    arrays = {name: _numbers(batch[name]) for name in wanted}
    return [
        identity({name: array[number] for name, array in arrays.items()}, names)
        for number in range(len(arrays["input_ids"]))
    ]


def identity(row: Mapping[str, Any], names: Sequence[str]) -> RowIdentity:
    """What one row reads, the padding left out.

    Raises:
        DataError: the real tokens do not stand first, or an input that is no whole numbers.
    """
    width = len(row["input_ids"])
    mask = row.get("attention_mask")
    tokens = width if mask is None else _leading(np.asarray(mask) != 0)
    digest, target_tokens = hashlib.blake2b(digest_size=16), 0
    for name in names:
        value = np.asarray(row[name])
        if value.dtype.kind not in "iub" and value.size:
            raise DataError(f"{name} holds no whole numbers, so a teacher cache cannot tell rows apart. {INSTEAD}")
        if name == "labels":
            target_tokens = _leading(value != -100)
            value = value[:target_tokens]
        elif value.ndim == 1 and len(value) == width:
            value = value[:tokens]
        digest.update(f"{name} {value.size} ".encode() + value.astype(np.int64).tobytes())
    return RowIdentity(digest.digest(), tokens, target_tokens)


def _leading(real: np.ndarray) -> int:
    count = int(real.sum())
    if not real[:count].all():
        raise DataError(
            "A teacher cache needs rows whose real tokens stand first: where padding stands before them (or among "
            'them), what a model says depends on the other rows of its batch. Set tokenizer.padding_side = "right". '
            f"{INSTEAD}"
        )
    return count


def _rows(dataset: Any, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    columns = getattr(dataset, "column_names", None) or ()
    if "input_ids" not in columns or not hasattr(dataset, "select_columns"):
        yield from (dataset[number] for number in range(len(dataset)))
        return
    kept = [name for name in (*names, "attention_mask") if name in columns]
    chosen = dataset.select_columns(kept)
    for start in range(0, len(chosen), _SLICE):
        part = chosen[start : start + _SLICE]
        for values in zip(*(part[name] for name in kept), strict=True):
            yield dict(zip(kept, values, strict=True))


def _numbers(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
