"""The distillation objective: what is taken from both models, and the losses between them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tinybert_hf.distillation.capture import Capture, capture, model_inputs
from tinybert_hf.distillation.layer_map import LayerMap, LayerMapSpec, resolve_layer_map
from tinybert_hf.distillation.losses import LOSSES, attention_loss, embedding_loss, hidden_state_loss, prediction_loss
from tinybert_hf.distillation.losses.attention import common_heads
from tinybert_hf.distillation.projections import Projections, as_lookup
from tinybert_hf.distillation.teacher import label_order, problem_type_of
from tinybert_hf.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Counts:
    """What the means divide by: the number of rows, of real tokens, and of real (query, key) pairs."""

    rows: Tensor | float
    tokens: Tensor | float
    pairs: Tensor | float

    @classmethod
    def of(cls, mask: Tensor) -> Counts:
        """The counts of one batch, from its mask (B, L)."""
        lengths = mask.sum(-1)
        return cls(rows=float(mask.shape[0]), tokens=lengths.sum(), pairs=lengths.square().sum())


@dataclass(frozen=True)
class Objective:
    """Which losses are computed, between which layers. Knows shapes and maps, holds no parameters.

    Attributes:
        losses: names out of LOSSES.
        layer_map: for hidden states.
        attention_layer_map: for attention scores.
        problem_type: of the prediction loss.
        label_order: teacher index of each student label.
        temperature: of the prediction loss.
    """

    losses: tuple[str, ...]
    layer_map: LayerMap
    attention_layer_map: LayerMap
    problem_type: str = "single_label_classification"
    label_order: tuple[int, ...] | None = None
    temperature: float = 1.0

    @classmethod
    def between(
        cls,
        student: PreTrainedModel,
        teacher: PreTrainedModel,
        *,
        losses: Collection[str] = tuple(LOSSES),
        layer_map: LayerMapSpec = "uniform",
        attention_layer_map: LayerMapSpec | None = None,
        temperature: float = 1.0,
    ) -> Objective:
        """Resolve maps and labels for two models.

        Args:
            student: the model that learns.
            teacher: the model that it learns from.
            losses: names out of LOSSES.
            layer_map: any form that `resolve_layer_map` reads.
            attention_layer_map: the same for attention; None: as `layer_map`.
            temperature: of the prediction loss, above 0.

        Raises:
            LayerMapError: a map does not fit the two depths.
            TeacherError: the labels of the two models cannot be matched by name.
            CaptureError: an unknown loss, a temperature that is not above 0, or head counts that do not divide.
        """
        unknown = sorted(set(losses) - set(LOSSES))
        if unknown:
            raise CaptureError(f"Unknown loss {unknown[0]!r}; the losses are {', '.join(LOSSES)}.")
        if not temperature > 0:
            raise CaptureError(f"The temperature must be above 0, not {temperature}.")
        depths = student.config.num_hidden_layers, teacher.config.num_hidden_layers
        resolved = resolve_layer_map(layer_map, *depths)
        if "attention_loss" in losses:
            common_heads(student.config.num_attention_heads, teacher.config.num_attention_heads)
        predicts = "prediction_loss" in losses
        return cls(
            losses=tuple(name for name in LOSSES if name in losses),
            layer_map=resolved,
            attention_layer_map=(
                resolved if attention_layer_map is None else resolve_layer_map(attention_layer_map, *depths)
            ),
            problem_type=problem_type_of(student.config),
            label_order=tuple(label_order(student.config, teacher.config)) if predicts else None,
            temperature=temperature,
        )

    @property
    def projected_layers(self) -> tuple[int, ...]:
        """The student layers whose states are compared: 0 for the embedding loss, the mapped ones for hidden
        states."""
        hidden = self.layer_map.student_layers if "hidden_state_loss" in self.losses else ()
        return (0, *hidden) if "embedding_loss" in self.losses else hidden

    def capture_student(self, student: nn.Module, batch: Mapping[str, Any]) -> Capture:
        """One forward of the student, with gradient, keeping what the losses need."""
        return self._capture(student, batch, self.layer_map.student_layers, self.attention_layer_map.student_layers)

    def capture_teacher(self, teacher: nn.Module, batch: Mapping[str, Any]) -> Capture:
        """One forward of the teacher in eval mode and without gradient, keeping what the losses need."""
        with evaluation_mode(teacher), torch.no_grad():
            return self._capture(
                teacher, batch, self.layer_map.teacher_layers, self.attention_layer_map.teacher_layers
            )

    def _capture(
        self, model: nn.Module, batch: Mapping[str, Any], hidden: Sequence[int], attention: Sequence[int]
    ) -> Capture:
        layers = {0} if "embedding_loss" in self.losses else set()
        if "hidden_state_loss" in self.losses:
            layers.update(hidden)
        return capture(
            model,
            model_inputs(model, batch),
            attention_layers=set(attention) if "attention_loss" in self.losses else (),
            hidden_state_layers=layers,
        )

    def compute(
        self,
        student: Capture,
        teacher: Capture,
        mask: Tensor,
        projections: Mapping[int, nn.Module | None],
        counts: Counts | None = None,
    ) -> dict[str, Tensor]:
        """The losses by name, each the plain sum over mapped layers, unweighted.

        Args:
            student: from `capture_student`.
            teacher: from `capture_teacher`, of the same batch.
            mask: (B, L), true at real tokens.
            projections: student layer -> module, or None where the widths agree.
            counts: what the means divide by; None: the counts of this batch.

        Returns:
            Name -> scalar.

        Raises:
            CaptureError: shapes or tokens that do not fit, or a model without the logits that are needed.
        """
        counts = Counts.of(mask) if counts is None else counts
        parts: dict[str, Tensor] = {}
        if "attention_loss" in self.losses:
            parts["attention_loss"] = torch.stack(
                [
                    attention_loss(student.attention[m], teacher.attention[n], mask, pair_count=counts.pairs)
                    for m, n in self.attention_layer_map.pairs
                ]
            ).sum()
        if "hidden_state_loss" in self.losses:
            parts["hidden_state_loss"] = torch.stack(
                [
                    hidden_state_loss(
                        student.hidden_states[m],
                        teacher.hidden_states[n],
                        mask,
                        projections[m],
                        token_count=counts.tokens,
                    )
                    for m, n in self.layer_map.pairs
                ]
            ).sum()
        if "embedding_loss" in self.losses:
            parts["embedding_loss"] = embedding_loss(
                student.hidden_states[0], teacher.hidden_states[0], mask, projections[0], token_count=counts.tokens
            )
        if "prediction_loss" in self.losses:
            parts["prediction_loss"] = self._prediction(student, teacher, mask, counts)
        return parts

    def _prediction(self, student: Capture, teacher: Capture, mask: Tensor, counts: Counts) -> Tensor:
        if student.logits is None or teacher.logits is None:
            raise CaptureError(
                "The prediction loss needs logits from both models, but one of them has no head. Load it with its "
                "AutoModelFor... class, or leave the prediction loss out."
            )
        logits = teacher.logits
        if self.label_order is not None and list(self.label_order) != list(range(logits.shape[-1])):
            logits = logits[..., list(self.label_order)]
        per_token = student.logits.dim() == 3
        return prediction_loss(
            student.logits,
            logits,
            mask if per_token else None,
            problem_type=self.problem_type,
            temperature=self.temperature,
            row_count=counts.tokens if per_token else counts.rows,
        )


def distillation_losses(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    batch: Mapping[str, Any],
    layer_map: LayerMapSpec = "uniform",
    projections: Projections | nn.Module | Sequence[nn.Module] | Mapping[int, nn.Module] | None = None,
    *,
    attention_layer_map: LayerMapSpec | None = None,
    temperature: float = 1.0,
    losses: Collection[str] = tuple(LOSSES),
) -> dict[str, Tensor]:
    """How far a student is from its teacher on one batch; what the trainer computes in every step.

    Each model runs once, with its own attention implementation; the teacher in eval mode and without gradient. Both
    are
    left as they were found.

    Args:
        student: an encoder of transformers, usually a TinyBERT.
        teacher: another, with the same tokenizer.
        batch: `input_ids` (B, L), `attention_mask` (B, L) and what else the models take; labels are not used.
        layer_map: "uniform", "top", "bottom", a list of teacher layers, or pairs such as "1:3,2:6".
        projections: student width -> teacher width: None where the widths agree, one `nn.Linear` for all layers, or
            one
            for the embedding output and each mapped layer.
        attention_layer_map: the map for attention scores; None: as `layer_map`.
        temperature: of the prediction loss.
        losses: which to compute; by default all.

    Returns:
        `attention_loss`, `hidden_state_loss`, `embedding_loss`, `prediction_loss`: each the plain sum over mapped
        layers
        of the mean over that layer, unweighted, with gradient to the student and the projections.

    Raises:
        CaptureError: something cannot be taken from a model; names the model, the reason, and what still works.
        LayerMapError: the map does not fit.
        TeacherError: the labels of the two models cannot be matched.

    Source:
        Jiao et al. 2020, TinyBERT, equations 7 to 10.
    """
    objective = Objective.between(
        student,
        teacher,
        losses=losses,
        layer_map=layer_map,
        attention_layer_map=attention_layer_map,
        temperature=temperature,
    )
    mask = attention_mask(batch)
    seen = objective.capture_teacher(teacher, batch)
    made = objective.capture_student(student, batch)
    return objective.compute(made, seen, mask, as_lookup(projections, objective.layer_map))


def attention_mask(batch: Mapping[str, Any]) -> Tensor:
    """The mask (B, L) of a batch; all ones where the batch has none."""
    if batch.get("attention_mask") is not None:
        mask: Tensor = batch["attention_mask"]
        return mask
    tokens = batch.get("input_ids")
    if tokens is None:
        raise CaptureError(f"The batch has neither attention_mask nor input_ids, only {', '.join(sorted(batch))}.")
    return torch.ones_like(tokens)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode for the time of the block, the modes of all submodules restored afterwards."""
    training = [module for module in model.modules() if module.training]
    if training:
        model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
