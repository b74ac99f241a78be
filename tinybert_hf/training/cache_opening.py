"""Open the teacher cache of a run: announce it, write what is missing, refuse what does not fit."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate.utils import broadcast_object_list
from filelock import FileLock, Timeout
from torch import nn

from tinybert_hf.distillation.bfloat16 import multiplies_in_bfloat16
from tinybert_hf.distillation.capture import Capture
from tinybert_hf.distillation.shapes import is_translator
from tinybert_hf.errors import OutputFolderError, RecipeError, TinyBertError
from tinybert_hf.training.cache_folder import LOCK, MANIFEST, CacheFolder, enough_room, refuse_other_files
from tinybert_hf.training.cache_rows import INSTEAD, RowIndex, identifying_inputs
from tinybert_hf.training.preparation import example_rows
from tinybert_hf.training.teacher_cache import (
    CachedTensor,
    TeacherCache,
    cache_key,
    cached_tensors,
    logger,
    shard_rows,
    write_missing,
)
from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from tinybert_hf.training.trainer import DistillationTrainer

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
                in_words(left),
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
            f"The teacher cache {path} would take {in_words(size)} ({units}); allowed are {limit:g} GB. {advice}or "
            f"allow it: teacher_cache_limit_gb={math.ceil(size / 1e8) / 10:g}."
        )
    if not enough_room(path, size):
        raise OutputFolderError(
            f"The teacher cache {path} needs {in_words(size)}, which its disk does not have. Make room, or give a "
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


def in_words(size: int) -> str:
    """A number of bytes."""
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= least:
            return f"{size / least:,.1f} {unit}"
    return f"{size} bytes"
