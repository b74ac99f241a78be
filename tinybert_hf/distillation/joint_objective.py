"""The distillation objective towards several teachers, or towards one that reads tokens of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from tinybert_hf.distillation.batches import Counts
from tinybert_hf.distillation.capture import Capture, Wanted, capture, model_inputs
from tinybert_hf.distillation.layer_map import MAPS_OF_LOSSES, LayerMapSpec, compares_nothing, turned_off
from tinybert_hf.distillation.objective import Masks, Objective
from tinybert_hf.distillation.projections import JointProjections, as_lookup
from tinybert_hf.distillation.shapes import answers_with_spans, is_translator
from tinybert_hf.distillation.teachers import AnyTeacher, Teachers, shares
from tinybert_hf.errors import CaptureError, TeacherError, TinyBertError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# What of a forward is kept layer by layer.
_LAYERS = [field.name for field in fields(Wanted) if field.name != "answer"]


@dataclass(frozen=True)
class JointObjective:
    """What an Objective is for one teacher.

    Attributes:
        losses: names out of LOSSES.
        each: the objective towards each teacher; without losses between layers for a teacher that has none.
        weights: of each teacher, with the sum 1.
    """

    losses: tuple[str, ...]
    each: tuple[Objective, ...]
    weights: tuple[float, ...]

    @classmethod
    def between(
        cls,
        student: PreTrainedModel,
        teachers: Teachers,
        *,
        losses: Collection[str],
        named: Collection[str] | None = None,
        layer_map: LayerMapSpec = "uniform",
        attention_layer_map: LayerMapSpec | None = None,
        **options: Any,
    ) -> JointObjective:
        """Resolve maps and labels for a student and each of its teachers.

        Args:
            student: the model that learns.
            teachers: `settled`, so that their vocabularies have been compared.
            losses: names out of LOSSES.
            named: those of them that were asked for by name; the others are left out where every teacher has the layer
                map "none". None: all were.
            layer_map: for teachers without a map of their own.
            attention_layer_map: likewise; None: as `layer_map`.
            **options: as for `Objective.between`.

        Raises:
            TinyBertError: as `Objective.between`, or a loss that needs common tokens between models that have none;
                the message names the teacher.
        """
        each = []
        for index, teacher in enumerate(teachers.models):
            own_map = teachers.layer_maps[index]
            maps: dict[str, Any] = {"layer_map": layer_map, "attention_layer_map": attention_layer_map}
            if own_map is not None:
                maps = {"layer_map": own_map}
            off = MAPS_OF_LOSSES if compares_nothing(own_map) else turned_off(losses, {**options, **maps})
            chosen = [name for name in losses if name not in off]
            try:
                _check_tokens(student, teachers, index, chosen)
                each.append(Objective.between(student, teacher, losses=chosen, **maps, **options))  # type: ignore[arg-type]
            except TinyBertError as error:
                raise type(error)(f"{teachers.name_of(index)}: {error}") from error
        taught = [name for name in losses if any(name in objective.losses for objective in each)]
        for name in losses:
            if name not in taught and (not taught or named is None or name in named):
                raise TeacherError(
                    f'Every teacher has the layer map "none", so {name} has nobody to learn from. Give one of them a '
                    f"layer map, or set {name}_weight to 0."
                )
        return cls(tuple(taught), tuple(each), teachers.weights)

    @property
    def needs_teacher(self) -> bool:
        """Whether any loss looks at a teacher."""
        return any(objective.needs_teacher for objective in self.each)

    def capture_student(self, student: nn.Module, batch: Mapping[str, Any]) -> Capture:
        """One forward of the student, with gradient, keeping what the losses towards all teachers need."""
        wanted = [vars(objective.wanted("student")) for objective in self.each]
        layers: dict[str, Any] = {name: set().union(*(one[name] for one in wanted)) for name in _LAYERS}
        together = Wanted(**layers)
        return capture(student, model_inputs(student, batch), wanted=together)

    def capture_teacher(self, teachers: Teachers, batch: Mapping[str, Any]) -> tuple[Capture, ...]:
        """One forward of each teacher in eval mode and without gradient.

        Raises:
            CaptureError: tokens of its own that the batch lacks; or it answers at each of them.
        """
        seen = []
        for index, (objective, teacher) in enumerate(zip(self.each, teachers.models, strict=True)):
            own = teachers.batch_of(index, batch) if objective.needs_teacher else batch
            one = objective.capture_teacher(teacher, own)
            if own is not batch and one.logits is not None and one.logits.dim() == 3:
                raise CaptureError(
                    f"{teachers.name_of(index)} answers at every token, and its tokens are not the student's, so "
                    "their predictions cannot be compared. Take a model that answers once a text (a sequence "
                    "classifier), or a teacher with the student's tokenizer."
                )
            seen.append(one)
        return tuple(seen)

    def compute_with(
        self,
        student: Capture,
        teachers: tuple[Capture, ...],
        masks: Masks,
        projections: JointProjections,
        counts: Counts,
        labels: Tensor | None,
    ) -> dict[str, Tensor]:
        """The losses by name, unweighted; between layers, the weighted mean of those towards each teacher.

        Args:
            student: from `capture_student`.
            teachers: from `capture_teacher`, of the same batch.
            masks: of source and target.
            projections: towards each teacher.
            counts: what the means divide by.
            labels: of the label loss.
        """
        towards = [
            objective.between_layers(
                student,
                seen,
                masks,
                as_lookup(own, objective.projected_layers),
                counts,
                as_lookup(own.decoder, objective.projected_decoder_layers),
            )
            for objective, seen, own in zip(self.each, teachers, projections.each(), strict=True)
        ]
        parts = {}
        for name in self.losses:
            if name in MAPS_OF_LOSSES:
                having = [index for index, losses in enumerate(towards) if name in losses]
                weights = shares([self.weights[index] for index in having])
                parts[name] = torch.stack(
                    [weight * towards[index][name] for weight, index in zip(weights, having, strict=True)]
                ).sum()
        if "prediction_loss" in self.losses:
            logits = [objective.teacher_logits(seen) for objective, seen in zip(self.each, teachers, strict=True)]
            parts["prediction_loss"] = self.each[0].prediction(student, logits, masks, counts, self.weights)
        if "label_loss" in self.losses:
            parts["label_loss"] = self.each[0].label(student, labels, counts, masks)
        return parts


AnyObjective: TypeAlias = Objective | JointObjective


def objective_between(
    student: PreTrainedModel, teacher: AnyTeacher, *, named: Collection[str] | None = None, **options: Any
) -> AnyObjective:
    """The objective towards one teacher or several; arguments as for `Objective.between`, `named` as for several."""
    if isinstance(teacher, Teachers):
        return JointObjective.between(student, teacher, named=named, **options)
    return Objective.between(student, teacher, **options)


def _check_tokens(student: PreTrainedModel, teachers: Teachers, index: int, losses: Collection[str]) -> None:
    different = teachers.differences[index]
    if not different or not set(losses) - {"label_loss"}:
        return
    because = (
        f"its tokenizer is not the student's: the same ids would mean other words, for example {', '.join(different)} "
        "(its id and the student's)"
    )
    if is_translator(student):
        raise TeacherError(
            f"{because}. A translator's losses compare tokens, so none of them can be had. The student can still "
            "learn from its translations: `tinybert pseudo-label`, and plain training on what it writes."
        )
    if answers_with_spans(student):
        raise TeacherError(
            f"{because}. Answers to questions are places among the tokens, so none of the losses can be had. Give a "
            "teacher with the student's tokenizer."
        )
    layers = [name for name in losses if name in MAPS_OF_LOSSES]
    if layers:
        raise TeacherError(
            f"{because}. So {', '.join(layers)}, which compare token by token, cannot be computed; what it says "
            'about the whole text (prediction_loss) can. Take phase="prediction", set '
            f"{', '.join(f'{name}_weight' for name in layers)} to 0, or, beside another teacher, give this one the "
            'layer map "none".'
        )
