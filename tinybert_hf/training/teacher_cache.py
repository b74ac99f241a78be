"""What the teacher says to each row, computed once and read in every later step."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from tinybert_hf.data.model_fingerprint import tensor_bytes
from tinybert_hf.distillation.batches import attention_mask
from tinybert_hf.distillation.capture import Capture
from tinybert_hf.distillation.int8 import Int8Linear
from tinybert_hf.errors import DataError, TeacherError
from tinybert_hf.training.cache_folder import CacheFolder
from tinybert_hf.training.cache_rows import INSTEAD, RowIdentity, RowIndex, batch_identities

if TYPE_CHECKING:
    from tinybert_hf.training.trainer import DistillationTrainer

FORMAT = 1
SHARD_BYTES = 64 * 2**20
SHARD_ROWS = 4096
LOGITS = "teacher_logits"
HIDDEN_STATES = "teacher_hidden_states_"
# Of a configuration: what no output depends on.
_NO_MATTER = ("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype", "id2label", "label2id")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachedTensor:
    """One tensor of a cache.

    Attributes:
        name: in the shards and in the batches.
        width: numbers of a row, or of a token.
        dtype: as it is kept.
        unit: what has such numbers: "row", "token", or "target token".
    """

    name: str
    width: int
    dtype: torch.dtype
    unit: str

    def described(self) -> str:
        """In the words of a key."""
        return f"{self.name}: {self.width} x {str(self.dtype).removeprefix('torch.')} a {self.unit}"

    def counts(self, index: RowIndex) -> np.ndarray:
        """By place, how many units the row has."""
        by_unit = {"row": np.ones_like(index.tokens), "token": index.tokens, "target token": index.target_tokens}
        return by_unit[self.unit]

    def bytes(self, index: RowIndex) -> int:
        """Of all rows."""
        return int(self.counts(index).sum()) * self.width * self.dtype.itemsize

    def without_padding(self, value: Tensor, rows: Sequence[RowIdentity]) -> Tensor:
        """What is kept of a batch.

        Args:
            value: (B, width), or (B, L, width) where tokens have such numbers.
            rows: of the batch.

        Returns:
            (B, width) or (real tokens, width), on the CPU.
        """
        if self.unit != "row":
            counts = [row.tokens if self.unit == "token" else row.target_tokens for row in rows]
            value = torch.cat([part[:count] for part, count in zip(value, counts, strict=True)])
        return value.to("cpu", self.dtype).contiguous()


def cached_tensors(seen: Capture, translates: bool) -> tuple[CachedTensor, ...]:
    """What has to be kept of a capture.

    Raises:
        TeacherError: a teacher without logits.
    """
    kept = [
        CachedTensor(f"{HIDDEN_STATES}{layer}", state.shape[-1], torch.float16, "token")
        for layer, state in sorted(seen.hidden_states.items())
    ]
    if seen.logits is None:
        if kept:
            return tuple(kept)
        raise TeacherError(f"The teacher has no logits that could be cached. {INSTEAD}")
    per_token = "target token" if translates else "token"
    unit = per_token if seen.logits.dim() == 3 else "row"
    return (CachedTensor(LOGITS, seen.logits.shape[-1], torch.float32, unit), *kept)


def cache_key(teacher: nn.Module, index: RowIndex, kept: tuple[CachedTensor, ...], precision: str) -> dict[str, Any]:
    """All that the content of a cache follows from.

    Args:
        teacher: the model.
        index: of the rows.
        kept: the tensors.
        precision: of the teacher's forward, where it is mixed; "no" otherwise.
    """
    weights = hashlib.sha256()
    for name, value in sorted(teacher.state_dict().items()):
        weights.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        weights.update(tensor_bytes(value))
    config: Any = teacher.config
    settings = {name: value for name, value in config.to_dict().items() if name not in _NO_MATTER}
    settings["class"] = type(teacher).__name__
    text = json.dumps(settings, sort_keys=True, default=str)
    dtype = str(next(teacher.parameters()).dtype).removeprefix("torch.")
    if any(isinstance(module, Int8Linear) for module in teacher.modules()):
        dtype = f"int8 and {dtype}"
    return {
        "format": FORMAT,
        "teacher_weights": weights.hexdigest(),
        "teacher_configuration": hashlib.sha256(text.encode()).hexdigest(),
        "dtype": dtype if precision == "no" else f"{dtype}, mixed {precision}",
        "inputs": list(index.names),
        "different_rows": len(index),
        "rows": index.fingerprint,
        "content": [each.described() for each in kept],
    }


class TeacherCache:
    """A complete cache, read row by row."""

    def __init__(self, folder: CacheFolder, index: RowIndex, kept: tuple[CachedTensor, ...]) -> None:
        """Open it.

        Args:
            folder: the shards.
            index: of the rows.
            kept: the tensors of each shard.
        """
        self.folder, self.index, self.kept = folder, index, kept
        self._starts = {each.name: _starts(each.counts(index), folder.shard_rows) for each in kept}

    def tensors_for(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """What the teacher says to the rows of a batch, padded as the batch is.

        Raises:
            DataError: a row that is not in the cache.
        """
        places = self.index.places_of(batch)
        widths = {"token": attention_mask(batch).shape[-1]}
        if isinstance(batch.get("labels"), Tensor):
            widths["target token"] = batch["labels"].shape[-1]
        return {each.name: self._gather(each, places, widths.get(each.unit, 1)) for each in self.kept}

    def _gather(self, each: CachedTensor, places: list[int], width: int) -> Tensor:
        size = self.folder.shard_rows
        starts, counts = self._starts[each.name], each.counts(self.index)
        gathered = torch.zeros(len(places), width, each.width, dtype=each.dtype)
        for number, place in enumerate(places):
            start, count = int(starts[place]), int(counts[place])
            gathered[number, :count] = self.folder.read(place // size)[each.name][start : start + count]
        return gathered[:, 0] if each.unit == "row" else gathered


class CachingCollator:
    """Puts what the teacher says beside the rows of a batch."""

    def __init__(self, collate: Callable[[list[Any]], Any], cache: TeacherCache) -> None:
        self.collate = collate
        self.cache = cache

    def __call__(self, rows: list[Any]) -> dict[str, Any]:
        """A batch of these rows."""
        batch = self.collate(rows)
        return {**batch, **self.cache.tensors_for(batch)}


def capture_from(batch: Mapping[str, Any]) -> Capture:
    """The teacher's capture, from a batch that a CachingCollator has made."""
    states = {
        int(name.removeprefix(HIDDEN_STATES)): value for name, value in batch.items() if name.startswith(HIDDEN_STATES)
    }
    return Capture(hidden_states=states, logits=batch.get(LOGITS))


def shard_rows(index: RowIndex, size: int) -> int:
    """How many rows a shard holds: few enough that a writer that is stopped loses little."""
    return max(1, min(SHARD_ROWS, SHARD_BYTES * len(index) // max(size, 1)))


def write_missing(
    trainer: DistillationTrainer, folder: CacheFolder, index: RowIndex, kept: tuple[CachedTensor, ...]
) -> Iterator[int]:
    """Write the shards that are not there, and give the number of each when it is.

    Raises:
        DataError: the collator changes rows.
        TeacherError: the teacher's numbers are not finite, or do not fit into half precision.
    """
    collate = trainer._get_collator_with_removed_columns(trainer.data_collator)
    dataset: Any = trainer.train_dataset
    size = trainer.args.train_batch_size
    for shard in folder.missing:
        first = shard * folder.shard_rows
        places = range(first, min(first + folder.shard_rows, len(index)))
        parts: dict[str, list[Tensor]] = {each.name: [] for each in kept}
        for start in range(0, len(places), size):
            wanted = list(places[start : start + size])
            batch = collate([dataset[int(index.rows[place])] for place in wanted])
            if index.places_of(batch) != wanted:
                raise DataError(f"The collator gives rows in another order than it gets them. {INSTEAD}")
            for name, part in _said(trainer, batch, index, kept).items():
                parts[name].append(part)
        folder.write(shard, {name: torch.cat(each) for name, each in parts.items()})
        yield shard


def _said(
    trainer: DistillationTrainer, batch: dict[str, Any], index: RowIndex, kept: tuple[CachedTensor, ...]
) -> dict[str, Tensor]:
    """The kept tensors of a batch, the padding left out: (rows, width) or (tokens, width)."""
    with trainer.compute_loss_context_manager():
        seen = trainer.distillation_objective.each[0].capture_teacher(trainer.teacher, trainer._prepare_inputs(batch))
    states = {f"{HIDDEN_STATES}{layer}": state for layer, state in seen.hidden_states.items()}
    said = {}
    identities = batch_identities(batch, index.names)
    for each in kept:
        value = seen.logits if each.name == LOGITS else states[each.name]
        assert value is not None
        said[each.name] = each.without_padding(value, identities)
        if not said[each.name].isfinite().all():
            what = "logits" if each.name == LOGITS else each.name.removeprefix("teacher_").replace("_", " ")
            raise TeacherError(
                f"The teacher's {what} are not finite, or too large for {str(each.dtype).removeprefix('torch.')} "
                f"(above 65,504). Look at the teacher's dtype. {INSTEAD}"
            )
    return said


def _starts(counts: np.ndarray, size: int) -> np.ndarray:
    """By place, where the row begins within the tensor of its shard."""
    ends = np.cumsum(counts)
    starts = ends - counts
    return starts - starts[np.arange(len(counts)) // size * size]
