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

from tinybert_hf.distillation.capture import model_inputs
from tinybert_hf.distillation.objective import Objective, attention_mask, evaluation_mode
from tinybert_hf.errors import DataError

if TYPE_CHECKING:
    from tinybert_hf.training.distillation_model import DistillationModel
    from tinybert_hf.training.trainer import DistillationTrainer

# Enough tokens to solve a projection between usual widths, few enough to take seconds.
PROJECTION_TOKENS = 4096
PROJECTION_ROWS = 512


@contextmanager
def unchanged_randomness() -> Iterator[None]:
    """Whatever random numbers the block draws, the run goes on as if it had drawn none."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)


def example_rows(trainer: DistillationTrainer, rows: int, start: int = 0) -> dict[str, Any]:
    """A collated batch of rows of the training set, in order.

    Raises:
        DataError: the training set has no rows.
    """
    dataset = trainer.train_dataset
    if dataset is None:
        raise DataError("There is no training set: give train_dataset to the trainer.")
    collate = trainer._get_collator_with_removed_columns(trainer.data_collator)
    with unchanged_randomness():
        if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
            chosen = [dataset[i] for i in range(start, min(start + rows, len(dataset)))]
        else:
            chosen = list(islice(iter(dataset), start, start + rows))
        if not chosen:
            raise DataError("The training set has no rows.")
        batch: dict[str, Any] = collate(chosen)
    return batch


def unreached_parameters(
    model: DistillationModel, teacher: nn.Module, objective: Objective, batch: Mapping[str, Any]
) -> list[nn.Parameter]:
    """The trainable parameters that no loss depends on, found by one small backward.

    Left in training they would make DistributedDataParallel wait for gradients that never come.
    """
    with unchanged_randomness():
        seen = objective.capture_teacher(teacher, batch)
        parts = model(teacher_capture=seen, mask=attention_mask(batch), **model_inputs(model.student, batch))
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad(torch.stack(list(parts.values())).sum(), trainable, allow_unused=True)
    return [parameter for parameter, gradient in zip(trainable, gradients, strict=True) if gradient is None]


def fit_projections(trainer: DistillationTrainer) -> None:
    """Solve the projections by least squares on the first rows of the training set."""
    projections, objective = trainer.projections, trainer.objective
    if not len(projections.maps):
        return
    pairs = {0: 0, **dict(objective.layer_map.pairs)}
    ours: dict[int, list[Tensor]] = {layer: [] for layer in objective.projected_layers}
    theirs: dict[int, list[Tensor]] = {layer: [] for layer in objective.projected_layers}
    tokens = row = 0
    with torch.no_grad(), evaluation_mode(trainer.student):
        while tokens < PROJECTION_TOKENS and row < PROJECTION_ROWS:
            try:
                batch = trainer._prepare_inputs(example_rows(trainer, rows=32, start=row))
            except DataError:
                break
            row += 32
            mask = attention_mask(batch).bool()
            tokens += int(mask.sum())
            seen = objective.capture_teacher(trainer.teacher, batch)
            made = objective.capture_student(trainer.student, batch)
            for layer in ours:
                ours[layer].append(made.hidden_states[layer][mask].float())
                theirs[layer].append(seen.hidden_states[pairs[layer]][mask].float())
    projections.fit(
        {layer: torch.cat(parts) for layer, parts in ours.items()},
        {layer: torch.cat(parts) for layer, parts in theirs.items()},
    )
