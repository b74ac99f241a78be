"""The head of a student that follows the states which it reads, in a phase that does not train it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tinybert_hf.distillation.architecture import encoder_shape, head_of
from tinybert_hf.distillation.batch import attention_mask
from tinybert_hf.distillation.capturing import model_inputs
from tinybert_hf.distillation.heads import RIDGE, AffineMap, HeadToTake
from tinybert_hf.distillation.objective import TowardsTeacher, evaluation_mode
from tinybert_hf.distillation.projections import least_squares
from tinybert_hf.distillation.teachers import each_teacher
from tinybert_hf.training.resumable import load_whole_state
from tinybert_hf.training.settings import FOLLOWED, LEFT, TRAINED
from tinybert_hf.training.setup import batches_to_fit_on, unchanged_randomness

if TYPE_CHECKING:
    from tinybert_hf.training.trainer import DistillationTrainer

# By so much of its size a teacher's answer may differ from what its head makes of its last states: half precision.
_ROUNDING = 0.02


def _is_whole(student: nn.Module) -> bool:
    """Whether nobody has frozen a part of the head: what a user froze stays as it is."""
    head = head_of(student)
    return head is not None and all(one.requires_grad for layer in head.layers for one in layer.parameters())


def _is_idle(student: nn.Module, idle: Collection[nn.Parameter]) -> bool:
    """Whether no loss reaches any part of the head, or it is frozen."""
    head, unreached = head_of(student), {id(parameter) for parameter in idle}
    parameters = [] if head is None else [one for layer in head.layers for one in layer.parameters()]
    return all(id(one) in unreached or not one.requires_grad for one in parameters)


@dataclass(frozen=True)
class FollowingHead:
    """A teacher's head, and the rows on which a student's states are mapped onto the teacher's.

    Attributes:
        head: as the student can have it.
        batches: some training rows.
        wanted: (T, Ht), the teacher's last states at their tokens, on the CPU.
    """

    head: HeadToTake
    batches: tuple[Mapping[str, Any], ...]
    wanted: Tensor

    @classmethod
    def of(cls, trainer: DistillationTrainer, idle: Collection[nn.Parameter]) -> FollowingHead | None:
        """The head of the teacher that weighs most, among those with one that the student can have.

        Args:
            trainer: with the teacher in its place.
            idle: parameters that no loss reaches.

        Returns:
            None where a loss reaches the student's head, or its last layer does not learn a teacher's last one.
        """
        if not (_is_whole(trainer.student) and _is_idle(trainer.student, idle)):
            return None
        objective, last = trainer.distillation_objective, encoder_shape(trainer.student.config).layers
        each = zip(objective.weights, each_teacher(trainer.teacher), objective.each, strict=True)
        for _, teacher, towards in sorted(each, key=lambda one: -one[0]):
            theirs = encoder_shape(teacher.config).layers
            if head_of(teacher) is not None and towards.projected("hidden_states").get(last) == theirs:
                with unchanged_randomness():
                    found = cls._between(trainer, teacher, towards, theirs)
                if found is not None:
                    return found
        return None

    @classmethod
    def _between(
        cls, trainer: DistillationTrainer, teacher: Any, towards: TowardsTeacher, layer: int
    ) -> FollowingHead | None:
        batches: list[Mapping[str, Any]] = []
        firsts, wanted = [], []
        for batch in batches_to_fit_on(trainer):
            seen = towards.capture_teacher(teacher, batch, answer=not batches)
            states = seen.hidden_states[layer]
            if not batches and not _makes(teacher, states, seen.logits, batch):
                return None
            inputs = model_inputs(trainer.student, batch)
            batches.append({**inputs, "attention_mask": attention_mask(batch)})
            firsts.append(states[:, 0])
            wanted.append(states[attention_mask(batch).bool()].float().cpu())
        head = HeadToTake.between(trainer.student, teacher, torch.cat(firsts))
        return None if head is None else cls(head, tuple(batches), torch.cat(wanted))

    def lead(self, trainer: DistillationTrainer) -> None:
        """Set the student's head; where parameters are sharded every process has to call this."""
        made = []
        with torch.no_grad(), unchanged_randomness(), evaluation_mode(trainer.model):
            for batch in self.batches:
                # Through the wrapped model: it puts sharded parameters together.
                states = trainer.model(**batch, output_hidden_states=True, return_dict=True).hidden_states[-1]
                made.append(states[batch["attention_mask"].bool()].float().cpu())
        read = AffineMap(*least_squares(torch.cat(made).double(), self.wanted.double(), RIDGE))
        for layer, state in self.head.weights_for(trainer.student, read).items():
            load_whole_state(layer, state)


def _makes(teacher: nn.Module, states: Tensor, logits: Tensor | None, batch: Mapping[str, Any]) -> bool:
    """Whether a teacher's answers are what its head makes of its last states: no norm or layer stands between."""
    head = head_of(teacher)
    if head is None or logits is None:
        return False
    states = states.float() if head.reads_every_token else states[:, 0].float()
    with torch.no_grad():
        apart = head(states) - logits.float()
    if head.reads_every_token:
        mask = attention_mask(batch).bool()
        apart, logits = apart[mask], logits[mask]
    return bool(apart.square().mean() <= (_ROUNDING * logits.float().std().clamp(min=1e-3)) ** 2)


def fate_of_head(student: nn.Module, idle: Collection[nn.Parameter], following: FollowingHead | None) -> str:
    """What becomes of a student's head in a phase, as `PhaseResult` has it; empty where it has none that is known.

    Args:
        student: the model.
        idle: its parameters that no loss reaches.
        following: the head that it follows.
    """
    if head_of(student) is None:
        return ""
    if following is not None:
        return FOLLOWED
    return LEFT if _is_idle(student, idle) else TRAINED
