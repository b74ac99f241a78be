"""The head of a student that follows the states which it reads, in a phase that does not train it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tinybert_hf.distillation.architecture import encoder_shape, head_of
from tinybert_hf.distillation.heads import AffineMap, HeadToTake
from tinybert_hf.distillation.objective import TowardsTeacher
from tinybert_hf.distillation.projections import Projections
from tinybert_hf.distillation.teachers import each_teacher
from tinybert_hf.training.resumable import load_whole_state, whole
from tinybert_hf.training.setup import batches_to_fit_on

if TYPE_CHECKING:
    from tinybert_hf.training.trainer import DistillationTrainer


def head_is_idle(student: nn.Module, idle: Collection[nn.Parameter]) -> bool:
    """Whether a student has a head, and no loss reaches it.

    Args:
        student: the model.
        idle: its parameters that no loss reaches.
    """
    head, unreached = head_of(student), {id(parameter) for parameter in idle}
    return head is not None and all(id(one) in unreached for layer in head.layers for one in layer.parameters())


@dataclass(frozen=True)
class FollowingHead:
    """A teacher's head, and the projection through which it reads what the student's last layer is by now.

    Attributes:
        head: as the student can have it.
        projections: towards that teacher, as they are being learnt.
        layer: the student's last.
    """

    head: HeadToTake
    projections: Projections
    layer: int

    @classmethod
    def of(cls, trainer: DistillationTrainer, idle: Collection[nn.Parameter]) -> FollowingHead | None:
        """The head of the teacher that weighs most, among those with one that the student can have.

        Args:
            trainer: with the teacher in its place.
            idle: parameters that no loss reaches.

        Returns:
            None where a loss reaches the student's head, or its last layer does not learn a teacher's last one.
        """
        if not head_is_idle(trainer.student, idle):
            return None
        objective, last = trainer.distillation_objective, encoder_shape(trainer.student.config).layers
        each = zip(each_teacher(trainer.teacher), objective.each, trainer.projections.each(), strict=True)
        for _, (teacher, towards, projections) in sorted(
            zip(objective.weights, each, strict=True), key=lambda pair: -pair[0]
        ):
            theirs = encoder_shape(teacher.config).layers
            if towards.projected("hidden_states").get(last) != theirs:
                continue
            states = _first_states(trainer, teacher, towards, theirs)
            head = HeadToTake.between(trainer.student, teacher, states)
            if head is not None:
                return cls(head, projections, last)
        return None

    def lead(self, student: nn.Module) -> None:
        """Set the student's head; where parameters are sharded every process has to call this."""
        projection: Any = self.projections.of_layer(self.layer)
        width = encoder_shape(student.config).width
        read = AffineMap(torch.eye(width, dtype=torch.double), torch.zeros(width, dtype=torch.double))
        if projection is not None:
            read = AffineMap(*(whole(one.detach()).cpu().double() for one in (projection.weight, projection.bias)))
        for layer, state in self.head.write(student, read).items():
            load_whole_state(layer, state)


def _first_states(trainer: DistillationTrainer, teacher: nn.Module, towards: TowardsTeacher, layer: int) -> Tensor:
    """(R, Ht): a teacher's hidden states at the first token of some training rows."""
    parts = []
    with torch.no_grad():
        for batch in batches_to_fit_on(trainer):
            parts.append(towards.capture_teacher(teacher, batch).hidden_states[layer][:, 0])
    return torch.cat(parts)
