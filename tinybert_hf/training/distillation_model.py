"""The student together with its projections: what the trainer wraps, steps and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedModel

from tinybert_hf.distillation.batches import Counts, labels_of, masks_of
from tinybert_hf.distillation.capture import Capture
from tinybert_hf.distillation.losses import DistillationLoss
from tinybert_hf.distillation.objective import Objective
from tinybert_hf.distillation.projections import AnyProjections
from tinybert_hf.training.sharding import load_whole_state

EXTRA_LOSSES_FILE = "extra_losses.safetensors"
"""In a checkpoint: the weights of losses of one's own."""


def weights_of_losses(losses: Mapping[str, DistillationLoss]) -> nn.ModuleDict:
    """The losses of one's own that are modules, by name."""
    own = {name: loss.function for name, loss in losses.items()}
    return nn.ModuleDict({name: one for name, one in own.items() if isinstance(one, nn.Module)})


def load_extra_losses(folder: Path, losses: Mapping[str, DistillationLoss]) -> None:
    """Give losses of one's own the weights that a finished phase ended with.

    Args:
        folder: of the phase.
        losses: those of the phase.
    """
    modules = weights_of_losses(losses)
    if modules.state_dict():
        load_whole_state(modules, load_file(folder / EXTRA_LOSSES_FILE))


class DistillationModel(nn.Module):
    """Called with what the teachers show of a batch it returns the losses, otherwise it is the student.

    The projections, and the weights of losses of one's own, are used inside this forward, so that wrappers such as
    DistributedDataParallel see every parameter. Any other attribute (`config`, `save_pretrained`, ...) is the
    student's.
    """

    # The losses are divided by counts of the whole batch here; the student's own loss is only used in evaluation.
    accepts_loss_kwargs = False

    def __init__(self, student: PreTrainedModel, projections: AnyProjections, objective: Objective) -> None:
        super().__init__()
        self.student = student
        self.projections = projections
        self.extra_losses = weights_of_losses(objective.extra_losses)
        self.objective = objective
        self.is_sharded = False

    def get_input_embeddings(self) -> nn.Module | None:
        """The student's; none where the parameters are sharded.

        Accelerate would put embeddings and head into groups of their own, and of a weight that two modules share torch
        wants both in one group. Unnamed, they all stay in that of the whole model.
        """
        return None if self.is_sharded else self.student.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module | None:
        """As `get_input_embeddings`."""
        return None if self.is_sharded else self.student.get_output_embeddings()

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("student"), name)

    def forward(
        self,
        batch: Mapping[str, Any] | None = None,
        teachers: tuple[Capture, ...] | None = None,
        counts: Counts | None = None,
        **inputs: Any,
    ) -> Any:
        """The losses by name towards the teachers, or the student's own output where there is no capture of them.

        Args:
            batch: rows, with `labels` (or the positions of an answer) for the label loss and the decoder's input.
            teachers: from `Objective.capture_teachers`, of the same batch.
            counts: what the means divide by; None: the counts of this batch.
            **inputs: the student's inputs, where it is to be itself.
        """
        if teachers is None:
            return self.student(**inputs) if batch is None else self.student(batch, **inputs)
        assert batch is not None
        return self.objective.compute(
            self.objective.capture_student(self.student, batch),
            teachers,
            masks_of(batch),
            self.projections,
            counts,
            labels=labels_of(batch),
            batch=batch,
        )
