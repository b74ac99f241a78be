"""What is found out on a few rows before the first step."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from tinybert_hf.distillation.batches import masks_of
from tinybert_hf.distillation.losses.extra import check_first_values
from tinybert_hf.distillation.objective import Objective, TowardsTeacher, evaluation_mode
from tinybert_hf.distillation.projections import AnyProjections, JointProjections, Projections
from tinybert_hf.distillation.shapes import decoder_shape, encoder_shape
from tinybert_hf.distillation.teachers import AnyTeacher, Teachers, each_teacher
from tinybert_hf.errors import DataError
from tinybert_hf.training.model_checks import check_rows

if TYPE_CHECKING:
    from transformers import PreTrainedModel, Trainer

    from tinybert_hf.training.distillation_model import DistillationModel
    from tinybert_hf.training.trainer import DistillationTrainer

# Enough tokens to solve a projection between usual widths, few enough to take seconds.
PROJECTION_TOKENS = 4096
PROJECTION_ROWS = 512
PROJECTION_BATCH = 32


@contextmanager
def unchanged_randomness() -> Iterator[None]:
    """Whatever random numbers the block draws, the run goes on as if it had drawn none."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    # Of all GPUs only the process's own: to ask another for its state would take memory there.
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)


def example_rows(trainer: Trainer, rows: int) -> dict[str, Any]:
    """A collated batch of the first rows of the training set.

    Raises:
        DataError: the training set has no rows.
    """
    with unchanged_randomness():
        chosen = _rows(trainer, rows, 0)
        if not chosen:
            raise DataError("The training set has no rows.")
        return _collated(trainer, chosen)


def _rows(trainer: Trainer, rows: int, start: int) -> list[Any]:
    dataset = trainer.train_dataset
    if dataset is None:
        raise DataError("There is no training set: give train_dataset to the trainer.")
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        return [dataset[i] for i in range(start, min(start + rows, len(dataset)))]
    return list(islice(iter(dataset), start, start + rows))


def _collated(trainer: Trainer, rows: list[Any]) -> dict[str, Any]:
    batch: dict[str, Any] = trainer._get_collator_with_removed_columns(trainer.data_collator)(rows)
    return batch


def _batches_to_fit_on(trainer: DistillationTrainer) -> Iterator[dict[str, Any]]:
    """The first rows with tokens enough, in batches of like length: others would be padding for the most part."""
    with unchanged_randomness():
        chosen: list[Any] = []
        tokens = 0
        while tokens < PROJECTION_TOKENS and len(chosen) < PROJECTION_ROWS:
            more = _rows(trainer, PROJECTION_BATCH, len(chosen))
            if not more:
                break
            chosen += more
            tokens += sum(map(_length, more))
        chosen.sort(key=_length)
        batches = [chosen[i : i + PROJECTION_BATCH] for i in range(0, len(chosen), PROJECTION_BATCH)]
        collated = [_collated(trainer, batch) for batch in batches]
    for batch in collated:
        check_rows(trainer.student, trainer.teacher, batch, trainer.processing_class)
        yield trainer._prepare_inputs(batch)


def _length(row: Any) -> int:
    """Tokens of a row; one of a kind that only its collator knows counts as none."""
    return len(row["input_ids"]) if isinstance(row, Mapping) and "input_ids" in row else 0


def unreached_parameters(
    model: DistillationModel, teacher: Any, objective: Objective, batch: Mapping[str, Any]
) -> list[nn.Parameter]:
    """The trainable parameters that no loss depends on, found by one small backward.

    Left in training they would make DistributedDataParallel wait for gradients that never come.

    Raises:
        TinyBertError: a loss of one's own is not finite, or does not reach the student.
    """
    buffers = [(buffer, buffer.clone()) for buffer in model.extra_losses.buffers()]
    with unchanged_randomness():
        parts = model(batch, teachers=objective.capture_teachers(teacher, batch))
        check_first_values(objective.extra_losses, parts, model.student)
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad(torch.stack(list(parts.values())).sum(), trainable, allow_unused=True)
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
    return [parameter for parameter, gradient in zip(trainable, gradients, strict=True) if gradient is None]


def new_projections(mode: str, student: PreTrainedModel, teacher: AnyTeacher, objective: Objective) -> AnyProjections:
    """The maps between the widths of student and teachers, for the layers that are compared, not yet fitted.

    Raises:
        LayerMapError: mode "none" between different widths.
    """
    pairs = zip(each_teacher(teacher), objective.each, strict=True)
    made = [_projections(mode, student, one, towards) for one, towards in pairs]
    return JointProjections(made) if isinstance(teacher, Teachers) else made[0]


def _projections(
    mode: str, student: PreTrainedModel, teacher: PreTrainedModel, towards: TowardsTeacher
) -> Projections:

    def half(layers: tuple[int, ...], ours: int, theirs: int, decoder: Projections | None = None) -> Projections:
        # Where no state is compared, nothing is projected, whatever the widths are.
        return Projections(mode if layers else "none", ours, theirs if layers else ours, layers, decoder)

    decoder = None
    if towards.projected_decoder_layers:
        widths = decoder_shape(student.config).width, decoder_shape(teacher.config).width
        decoder = half(towards.projected_decoder_layers, *widths)
    widths = encoder_shape(student.config).width, encoder_shape(teacher.config).width
    return half(towards.projected_layers, *widths, decoder=decoder)


def fit_projections(trainer: DistillationTrainer) -> None:
    """Solve the projections by least squares on the first rows of the training set."""
    objective = trainer.distillation_objective
    each = zip(each_teacher(trainer.teacher), objective.each, trainer.projections.each(), strict=True)
    for teacher, towards, projections in each:
        _fit_towards(trainer, teacher, towards, projections)


def _fit_towards(
    trainer: DistillationTrainer, teacher: nn.Module, towards: TowardsTeacher, projections: Projections
) -> None:
    if projections.is_empty:
        return
    encoders, decoders = (_States(towards.projected(f"{half}hidden_states")) for half in ("", "decoder_"))
    with torch.no_grad(), evaluation_mode(trainer.student):
        for batch in _batches_to_fit_on(trainer):
            masks = masks_of(batch)
            seen = towards.capture_teacher(teacher, batch)
            made = trainer.distillation_objective.capture_student(trainer.student, batch)
            encoders.note(made.hidden_states, seen.hidden_states, masks.source)
            if masks.target is not None:
                decoders.note(made.decoder_hidden_states, seen.decoder_hidden_states, masks.target)
    encoders.fit(projections)
    if projections.decoder is not None:
        decoders.fit(projections.decoder)


class _States:
    """States of the same tokens in both models, layer by layer."""

    def __init__(self, pairs: dict[int, int]) -> None:
        self.pairs = pairs
        self.ours: dict[int, list[Tensor]] = {layer: [] for layer in pairs}
        self.theirs: dict[int, list[Tensor]] = {layer: [] for layer in pairs}

    def note(self, student: Mapping[int, Tensor], teacher: Mapping[int, Tensor], mask: Tensor) -> None:
        real = mask.bool()
        for layer, other in self.pairs.items():
            self.ours[layer].append(student[layer][real].float())
            self.theirs[layer].append(teacher[other][real].float())

    def fit(self, projections: Projections) -> None:
        if self.pairs:
            ours = {layer: torch.cat(parts) for layer, parts in self.ours.items()}
            projections.fit(ours, {layer: torch.cat(parts) for layer, parts in self.theirs.items()})
