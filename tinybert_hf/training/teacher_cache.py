"""The teacher's answers, kept on the disk: what they belong to, written by one phase, read by the next."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from filelock import FileLock, Timeout
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tinybert_hf.data.shards import tensor_bytes
from tinybert_hf.distillation.architecture import is_translator
from tinybert_hf.distillation.batch import attention_mask
from tinybert_hf.distillation.capturing import Capture
from tinybert_hf.distillation.losses import ANSWER_LOSSES
from tinybert_hf.distillation.teachers import Int8Linear, multiplies_in_bfloat16
from tinybert_hf.errors import DataError, OutputFolderError, RecipeError, TeacherError, TinyBertError
from tinybert_hf.messages import counted
from tinybert_hf.training.cache_files import (
    INSTEAD,
    LOCK,
    MANIFEST,
    CacheFolder,
    RowIdentity,
    RowIndex,
    batch_identities,
    enough_room,
    identifying_inputs,
    refuse_other_files,
)
from tinybert_hf.training.collators import labels_tokens
from tinybert_hf.training.settings import Phase
from tinybert_hf.training.setup import example_rows

if TYPE_CHECKING:
    from accelerate import Accelerator

    from tinybert_hf.distillation.teachers import AnyTeacher
    from tinybert_hf.training.trainer import DistillationTrainer


# What the teacher says to each row, computed once and read in every later step.

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
            for name, part in _logits_of_batch(trainer, batch, index, kept).items():
                parts[name].append(part)
        folder.write(shard, {name: torch.cat(each) for name, each in parts.items()})
        yield shard


def _logits_of_batch(
    trainer: DistillationTrainer, batch: dict[str, Any], index: RowIndex, kept: tuple[CachedTensor, ...]
) -> dict[str, Tensor]:
    """The kept tensors of a batch, the padding left out: (rows, width) or (tokens, width)."""
    with trainer.compute_loss_context_manager():
        seen = trainer.distillation_objective.each[0].capture_teacher(trainer.teacher, trainer._prepare_inputs(batch))
    states = {f"{HIDDEN_STATES}{layer}": state for layer, state in seen.hidden_states.items()}
    parts = {}
    identities = batch_identities(batch, index.names)
    for each in kept:
        value = seen.logits if each.name == LOGITS else states[each.name]
        assert value is not None
        parts[each.name] = each.without_padding(value, identities)
        if not parts[each.name].isfinite().all():
            what = "logits" if each.name == LOGITS else each.name.removeprefix("teacher_").replace("_", " ")
            raise TeacherError(
                f"The teacher's {what} are not finite, or too large for {str(each.dtype).removeprefix('torch.')} "
                f"(above 65,504). Look at the teacher's dtype. {INSTEAD}"
            )
    return parts


def _starts(counts: np.ndarray, size: int) -> np.ndarray:
    """By place, where the row begins within the tensor of its shard."""
    ends = np.cumsum(counts)
    starts = ends - counts
    return starts - starts[np.arange(len(counts)) // size * size]


# Open the teacher cache of a run: announce it, write what is missing, refuse what does not fit.

USUAL_LIMIT_GB = 10.0


def open_teacher_cache(trainer: DistillationTrainer, batch: dict[str, Any]) -> TeacherCache:
    """The cache of `trainer.args.teacher_cache`, complete.

    Args:
        trainer: with the teacher in its place.
        batch: some rows of the training set, collated.

    Raises:
        OutputFolderError: a cache of something else, a damaged one, or no room.
        RecipeError: it would be larger than is allowed.
        DataError: rows that are not the same each time they are read.
    """
    path = _path(trainer)
    key, index, kept = cache_content(trainer, batch)
    _write_in_one_process(trainer, _writing(trainer, path, key, index, kept))
    return TeacherCache(CacheFolder.open(path, key, len(index)), index, kept)


def refuse_other_cache(trainer: DistillationTrainer) -> None:
    """Compare a cache that is there with what this trainer would write; its shards are not looked at.

    Raises:
        OutputFolderError: it is of something else, or the folder is.
    """
    path = _path(trainer)
    refuse_other_files(path)
    if (path / MANIFEST).exists():
        trainer.place_teacher()
        key, index, _ = cache_content(trainer, example_rows(trainer, rows=8))
        CacheFolder.open(path, key, len(index))


def _path(trainer: DistillationTrainer) -> Path:
    return Path(str(trainer.args.teacher_cache)).expanduser()


def cache_content(
    trainer: DistillationTrainer, batch: dict[str, Any], *, answers_only: bool = False
) -> tuple[dict[str, Any], RowIndex, tuple[CachedTensor, ...]]:
    """The key of a trainer's cache, its rows and its tensors.

    Args:
        trainer: with the teacher in its place.
        batch: some rows of the training set, collated.
        answers_only: of a cache of logits alone, whatever the losses of this trainer look at.
    """
    teacher: nn.Module = trainer.accelerator.unwrap_model(trainer.teacher)
    index = RowIndex.of(trainer.train_dataset, identifying_inputs(teacher, batch, trainer.train_dataset))
    index.places_of(batch)  # refuses a collator that changes rows before anything is written
    with trainer.compute_loss_context_manager():
        seen = trainer.distillation_objective.each[0].capture_teacher(
            trainer.teacher, trainer._prepare_inputs(batch), answer=answers_only
        )
    seen = Capture(logits=seen.logits) if answers_only else seen
    kept = cached_tensors(seen, is_translator(teacher))
    precision = str(trainer.accelerator.mixed_precision)
    if precision == "no" and multiplies_in_bfloat16(teacher, trainer.args.teacher_bf16):
        precision = "bf16"
    return cache_key(teacher, index, kept, precision), index, kept


def _writing(
    trainer: DistillationTrainer,
    path: Path,
    key: Mapping[str, Any],
    index: RowIndex,
    kept: tuple[CachedTensor, ...],
) -> Iterator[int]:
    size = sum(each.bytes(index) for each in kept)
    if not path.exists():
        _check_size(trainer, index, kept, size, path)  # before a folder is made
    refuse_other_files(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise OutputFolderError(
            f"Another run is writing the teacher cache {path}. Start this one when it has begun to train, or give "
            "another folder."
        ) from None
    except OSError as error:
        raise OutputFolderError(
            f"teacher_cache {path} cannot be made: {error.strerror}. Give another folder."
        ) from error
    with lock:
        rows_each = shard_rows(index, size)
        try:
            folder = CacheFolder.claim(path, key, len(index), rows_each)
        except OutputFolderError as error:
            if not trainer.owns_cache:
                raise
            logger.warning("%s\nIt is this run's own, so it is written anew.", error)
            shutil.rmtree(path)
            folder = CacheFolder.claim(path, key, len(index), rows_each)
        if folder.missing:
            left = size * len(folder.missing) // len(folder.manifest["shards"])
            _check_size(trainer, index, kept, left, path)
            logger.warning(
                "The teacher's answers to %d rows are written once to %s: %s in %d of %d shards%s.",
                len(index),
                path,
                format_bytes(left),
                len(folder.missing),
                len(folder.manifest["shards"]),
                ", removed when the phase is done" if trainer.owns_cache else "",
            )
        elif trainer.owns_cache:
            logger.warning(
                "The teacher is not run in this phase: its answers to all %s are kept already.",
                counted(len(index), "different row"),
            )
        yield from write_missing(trainer, folder, index, kept)


def _check_size(
    trainer: DistillationTrainer, index: RowIndex, kept: Sequence[CachedTensor], size: int, path: Path
) -> None:
    translates, limit = is_translator(trainer.student), trainer.args.teacher_cache_limit_gb
    if limit is None:
        limit = 0.0 if translates else USUAL_LIMIT_GB
    if size > limit * 1e9:
        units = ", ".join(f"{each.counts(index).sum():,} {each.unit}s x {each.width:,}" for each in kept)
        advice = (
            "Learn from the teacher's translations instead (`tinybert pseudo-label`, or pseudo_labels in a recipe), "
            if translates
            else f"{INSTEAD.rstrip('.')}, take fewer rows, "
        )
        raise RecipeError(
            f"The teacher cache {path} would take {format_bytes(size)} ({units}); allowed are {limit:g} GB. {advice}"
            f"or allow it: teacher_cache_limit_gb={math.ceil(size / 1e8) / 10:g}."
        )
    if not enough_room(path, size):
        raise OutputFolderError(
            f"The teacher cache {path} needs {format_bytes(size)}, which its disk does not have. Make room, or give a "
            "folder on another disk."
        )


def _write_in_one_process(trainer: DistillationTrainer, writing: Iterator[int]) -> None:
    """The main process writes; the others hear of each shard, so that no wait is longer than that of one shard.

    Raises:
        TinyBertError: in every process, the error of the one that writes.
    """
    while True:
        heard: list[Any] = [None]
        if trainer.accelerator.is_main_process:
            try:
                heard = [next(writing, None) is not None]
            except TinyBertError as error:
                heard = [error]
        if trainer.args.world_size > 1:
            broadcast_object_list(heard, from_process=0)
        if isinstance(heard[0], TinyBertError):
            raise heard[0]
        if not heard[0]:
            return


def format_bytes(size: int) -> str:
    """A number of bytes."""
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= least:
            return f"{size / least:,.1f} {unit}"
    return f"{size} bytes"


# The teacher's answers, noted in a phase that runs it anyway, so that the phase behind need not ask again.

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
        self._logits = torch.zeros(int(self._starts[-1]), kept.width, dtype=kept.dtype)
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
                    self._logits[self._starts[place] : self._starts[place + 1]] = parts[start:end]
                    self._known[place] = True
        self._waiting = []

    def save(self, file: str | Path) -> None:
        """Into a checkpoint, what this process has seen."""
        self._settle()
        save_file({LOGITS: self._logits, "known": self._known.to(torch.uint8)}, file)

    def load(self, file: str | Path) -> None:
        """From a checkpoint; where it has none the record stays empty, and the phase behind asks the teacher."""
        tensors = load_file(file) if Path(file).is_file() else {}
        if tensors and tensors[LOGITS].shape == self._logits.shape and len(tensors["known"]) == len(self._known):
            self._logits, self._known = tensors[LOGITS], tensors["known"].bool()

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
        for logits, count in zip(self._logits.split(rows), times.split(rows), strict=True):
            logits.copy_(accelerator.reduce(logits.to(accelerator.device), "sum").cpu() / count[:, None])

    def _write(self) -> None:
        rows, size = len(self.index), self.kept.bytes(self.index)
        folder = CacheFolder.claim(self.path, self.key, rows, shard_rows(self.index, size))
        for shard in folder.missing:
            first = shard * folder.shard_rows
            last = min(first + folder.shard_rows, rows)
            logits = self._logits[self._starts[first] : self._starts[last]]
            if self._known[first:last].all() and logits.isfinite().all():
                folder.write(shard, {LOGITS: logits.contiguous()})


# Where a teacher cache that nobody asked for saves time, and which phase fills it.


def pays(
    phase: Phase, teacher: AnyTeacher, *, has_decoder: bool, dataset: Any, data_collator: Any, tokenizer: Any
) -> bool:
    """Whether a cache saves a phase time, and cannot be wrong or large.

    One process writes it, so it has to be read more often than there are processes.

    Args:
        phase: that would read it.
        teacher: that would fill it.
        has_decoder: between translators.
        dataset: the rows of the phase.
        data_collator: None: rows are only padded.
        tokenizer: that pads them.
    """
    return phase.known_epochs > int(os.environ.get("WORLD_SIZE", "1")) and can_be_kept(
        phase, teacher, has_decoder=has_decoder, dataset=dataset, data_collator=data_collator, tokenizer=tokenizer
    )


def can_be_kept(
    phase: Phase, teacher: AnyTeacher, *, has_decoder: bool, dataset: Any, data_collator: Any, tokenizer: Any
) -> bool:
    """Whether a phase needs a few logits a row, or a token, and no more of its teacher; arguments as for `pays`."""
    losses = set(phase.loss_weights(has_decoder=has_decoder))
    return (
        "prediction_loss" in losses
        and losses <= set(ANSWER_LOSSES)
        and (
            type(teacher).__name__.endswith(("ForSequenceClassification", "ForQuestionAnswering"))
            or _few_answers(teacher, dataset)
        )
        and data_collator is None
        and "input_ids" in (getattr(dataset, "column_names", None) or ())
        and hasattr(dataset, "select_columns")
        and getattr(tokenizer, "padding_side", None) == "right"
    )


def cache_to_fill(
    trainer: DistillationTrainer,
    phase: Phase,
    behind: Phase,
    cache: Path,
    *,
    has_decoder: bool,
    data_collator: Any,
    tokenizer: Any,
) -> Path | None:
    """The cache of the phase behind, where this one runs the teacher over the same rows anyway.

    Only on one machine: processes that share no disk could not all read it.

    Args:
        trainer: of this phase.
        phase: this one.
        behind: the next one.
        cache: where its own cache would be.
        has_decoder: between translators.
        data_collator: None: rows are only padded.
        tokenizer: that pads them.

    Returns:
        `cache`, or None.
    """
    fills = (
        trainer.args.world_size == int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        and trainer.args.teacher_cache is None
        and trainer.distillation_objective.needs_teacher
        and phase.train_rows == behind.train_rows
        and behind.teacher_cache in (None, True)
        and behind.teacher_cache_limit_gb is None
        and can_be_kept(
            behind,
            trainer.teacher,
            has_decoder=has_decoder,
            dataset=trainer.train_dataset,
            data_collator=data_collator,
            tokenizer=tokenizer,
        )
    )
    return cache if fills else None


def _few_answers(teacher: Any, dataset: Any) -> bool:
    """Whether the answers at all tokens of a data set are small beside what a cache may take."""
    if not labels_tokens(teacher) or "length" not in (getattr(dataset, "column_names", None) or ()):
        return False
    labels: int = teacher.config.num_labels
    return bool(sum(dataset["length"]) * labels * 4 < USUAL_LIMIT_GB * 1e8)
