"""The teacher's answers, noted in a phase that runs it anyway, so that the phase behind need not ask again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tinybert_hf.distillation.capture import Capture
from tinybert_hf.training.cache_folder import CacheFolder
from tinybert_hf.training.cache_opening import USUAL_LIMIT_GB, cache_content
from tinybert_hf.training.cache_rows import RowIndex, batch_identities
from tinybert_hf.training.teacher_cache import LOGITS, CachedTensor, shard_rows

if TYPE_CHECKING:
    from accelerate import Accelerator

    from tinybert_hf.training.trainer import DistillationTrainer

_WAIT = 64  # batches that are noted at once: each time the processor waits for the device
_SHARED_AT_ONCE = 2**24  # numbers that processes add up at once


class AnswerRecord:
    """What a teacher answered to each row, the first time that it was run over it."""

    def __init__(self, path: Path, key: Mapping[str, Any], index: RowIndex, kept: CachedTensor) -> None:
        """Begin an empty one; see `of`.

        Args:
            path: of the cache that it becomes.
            key: of that cache.
            index: of the rows.
            kept: what a cache keeps of the logits.
        """
        self.path, self.key, self.index, self.kept = path, key, index, kept
        counts = kept.counts(index)
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._said = torch.zeros(int(self._starts[-1]), kept.width, dtype=kept.dtype)
        self._known = torch.zeros(len(index), dtype=torch.bool)
        self._waiting: list[tuple[dict[str, Any], Tensor]] = []

    @classmethod
    def of(cls, trainer: DistillationTrainer, batch: dict[str, Any], path: Path) -> AnswerRecord | None:
        """A record of the training rows of a trainer; None where it would be too large for the memory.

        Args:
            trainer: with the teacher in its place.
            batch: some rows of the training set, collated.
            path: of the cache that it becomes.
        """
        key, index, (kept, *_) = cache_content(trainer, batch, answers_only=True)
        return cls(path, key, index, kept) if kept.bytes(index) <= USUAL_LIMIT_GB * 1e8 else None

    @property
    def is_complete(self) -> bool:
        """Whether each row has its answer; then the teacher's head is no longer needed."""
        return not self._waiting and bool(self._known.all())

    def note(self, batch: Mapping[str, Any], seen: Capture) -> None:
        """Keep the answers to the rows of a batch."""
        assert seen.logits is not None
        read = {name: batch[name] for name in (*self.index.names, "attention_mask") if batch.get(name) is not None}
        self._waiting.append((read, seen.logits))
        if len(self._waiting) >= _WAIT:
            self._settle()

    def _settle(self) -> None:
        for batch, logits in self._waiting:
            identities = batch_identities(batch, self.index.names)
            places = self.index.places_of_rows(identities)
            parts = self.kept.without_padding(logits, identities)
            end = 0
            for place, row in zip(places, identities, strict=True):
                start, end = end, end + (1 if self.kept.unit == "row" else row.tokens)
                if not self._known[place]:
                    self._said[self._starts[place] : self._starts[place + 1]] = parts[start:end]
                    self._known[place] = True
        self._waiting = []

    def save(self, file: str | Path) -> None:
        """Into a checkpoint, what this process has seen."""
        self._settle()
        save_file({LOGITS: self._said, "known": self._known.to(torch.uint8)}, file)

    def load(self, file: str | Path) -> None:
        """From a checkpoint; where it has none the record stays empty, and the phase behind asks the teacher."""
        tensors = load_file(file) if Path(file).is_file() else {}
        if tensors and tensors[LOGITS].shape == self._said.shape and len(tensors["known"]) == len(self._known):
            self._said, self._known = tensors[LOGITS], tensors["known"].bool()

    def write(self, accelerator: Accelerator) -> None:
        """Make the cache; shards with a row that has no answer, or one that is not finite, are left to its phase.

        Args:
            accelerator: all its processes have to call this; the main one writes.

        Raises:
            OutputFolderError: it cannot be written.
        """
        self._settle()
        if accelerator.num_processes > 1:
            self._put_together(accelerator)
        if accelerator.is_main_process:
            self._write()
        accelerator.wait_for_everyone()

    def _put_together(self, accelerator: Accelerator) -> None:
        """The answers of all processes; of a row that several have seen, in several epochs, the mean."""
        seen = accelerator.reduce(self._known.to(accelerator.device, torch.float32), "sum").cpu()
        self._known = seen > 0
        times = seen.clamp(min=1).repeat_interleave(torch.from_numpy(self.kept.counts(self.index)))
        rows = max(1, _SHARED_AT_ONCE // self.kept.width)
        for said, count in zip(self._said.split(rows), times.split(rows), strict=True):
            said.copy_(accelerator.reduce(said.to(accelerator.device), "sum").cpu() / count[:, None])

    def _write(self) -> None:
        rows, size = len(self.index), self.kept.bytes(self.index)
        folder = CacheFolder.claim(self.path, self.key, rows, shard_rows(self.index, size))
        for shard in folder.missing:
            first = shard * folder.shard_rows
            last = min(first + folder.shard_rows, rows)
            said = self._said[self._starts[first] : self._starts[last]]
            if self._known[first:last].all() and said.isfinite().all():
                folder.write(shard, {LOGITS: said.contiguous()})
