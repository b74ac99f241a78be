"""The student together with its projections: what the trainer wraps, steps and checkpoints."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from tinybert_hf.distillation.batches import Counts, labels_of
from tinybert_hf.distillation.capture import Capture
from tinybert_hf.distillation.joint_objective import AnyObjective
from tinybert_hf.distillation.objective import Masks
from tinybert_hf.distillation.projections import AnyProjections


class DistillationModel(nn.Module):
    """Called with a teacher's capture it returns the losses, otherwise it is the student.

    The projections are used inside this forward, so that wrappers such as DistributedDataParallel see every
    parameter. Any other
    attribute (`config`, `save_pretrained`, ...) is the student's.
    """

    # The losses are divided by counts of the whole batch here; the student's own loss is only used in evaluation.
    accepts_loss_kwargs = False

    def __init__(self, student: PreTrainedModel, projections: AnyProjections, objective: AnyObjective) -> None:
        super().__init__()
        self.student = student
        self.projections = projections
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
        teacher_capture: Capture | tuple[Capture, ...] | None = None,
        masks: Masks | None = None,
        counts: Counts | None = None,
        **inputs: Any,
    ) -> Any:
        """The losses by name towards the teacher, or the student's own output where there is no capture.

        Args:
            teacher_capture: from `Objective.capture_teacher`, of the same batch.
            masks: of source and target.
            counts: what the means divide by.
            **inputs: the student's inputs; with a capture, `labels` (or the positions of an answer) are for the label
                loss and the decoder's input.
        """
        if teacher_capture is None:
            return self.student(**inputs)
        assert masks is not None
        objective: Any = self.objective  # of the kind that the capture and the projections are of
        losses: dict[str, Tensor] = objective.compute_with(
            objective.capture_student(self.student, inputs),
            teacher_capture,
            masks,
            self.projections,
            Counts.of(masks.source, masks.target, masks.word_starts) if counts is None else counts,
            labels_of(inputs),
        )
        return losses
