"""The distillation objective: what is taken from both models, and the losses between them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tinybert_hf.distillation.batches import Counts
from tinybert_hf.distillation.bfloat16 import bfloat16_products
from tinybert_hf.distillation.capture import NO_TARGET, AttentionRecord, Capture, Wanted, capture, model_inputs
from tinybert_hf.distillation.layer_map import (
    MAPS_OF_LOSSES,
    NO_MAP,
    LayerMap,
    LayerMapSpec,
    contradiction,
    map_of,
    resolve_layer_map,
    turned_off,
)
from tinybert_hf.distillation.losses import (
    DECODER_LOSSES,
    LOSSES,
    SPANS,
    attention_loss,
    embedding_loss,
    hidden_state_loss,
    label_loss,
    prediction_loss,
    span_label_loss,
    span_prediction_loss,
)
from tinybert_hf.distillation.losses.attention import common_heads
from tinybert_hf.distillation.projections import Projections, as_lookup
from tinybert_hf.distillation.shapes import answers_with_spans, decoder_shape, encoder_shape, is_translator
from tinybert_hf.distillation.teacher import label_order, problem_type_of
from tinybert_hf.errors import CaptureError, LayerMapError, check_temperature

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class DecoderMaps:
    """The layer maps between two decoders: for hidden states, their own attention, and attention to the source."""

    layer_map: LayerMap
    attention_layer_map: LayerMap
    cross_attention_layer_map: LayerMap


@dataclass(frozen=True)
class Masks:
    """Which tokens are real: of the source (B, L), and of the target (B, T) where there is one.

    Where words have labels, `word_starts` (B, L) is true at their first pieces: the teacher learnt to answer there and
    nowhere else, so the predictions are compared there alone. None: at every real token.
    """

    source: Tensor
    target: Tensor | None = None
    word_starts: Tensor | None = None


@dataclass(frozen=True)
class Objective:
    """Which losses are computed, between which layers. Knows shapes and maps, holds no parameters.

    Attributes:
        losses: names out of LOSSES.
        layer_map: for hidden states; of the encoders where the models have two halves. Empty where no loss of
            `losses` goes by it; so the other maps.
        attention_layer_map: for attention scores; likewise.
        decoder: the maps between the decoders; None between encoders.
        problem_type: of the prediction loss; `SPANS` where the models answer with a first and a last token.
        label_order: teacher index of each student label.
        temperature: of the prediction loss.
        teacher_bf16: whether the teacher multiplies in bfloat16, see `bfloat16_products`.
    """

    losses: tuple[str, ...]
    layer_map: LayerMap
    attention_layer_map: LayerMap
    decoder: DecoderMaps | None = None
    problem_type: str = "single_label_classification"
    label_order: tuple[int, ...] | None = None
    temperature: float = 1.0
    teacher_bf16: bool | None = False

    @classmethod
    def between(
        cls,
        student: PreTrainedModel,
        teacher: PreTrainedModel,
        *,
        losses: Collection[str] | None = None,
        layer_map: LayerMapSpec = "uniform",
        attention_layer_map: LayerMapSpec | None = None,
        decoder_layer_map: LayerMapSpec = "uniform",
        decoder_attention_layer_map: LayerMapSpec | None = None,
        cross_attention_layer_map: LayerMapSpec | None = None,
        temperature: float = 1.0,
        teacher_bf16: bool | None = False,
    ) -> Objective:
        """Resolve labels, and the maps of the losses that are computed, for two models.

        Args:
            student: the model that learns.
            teacher: the model that it learns from.
            losses: names out of LOSSES; None: all that these models have, without the label loss and those whose map
                is "none".
            layer_map: any form that `resolve_layer_map` reads.
            attention_layer_map: the same for attention; None: as `layer_map`.
            decoder_layer_map: the same for the decoders' hidden states.
            decoder_attention_layer_map: for the decoders' own attention; None: as `decoder_layer_map`.
            cross_attention_layer_map: for the decoders' attention to the source; None: as `decoder_layer_map`.
            temperature: of the prediction loss, above 0.
            teacher_bf16: the teacher multiplies in bfloat16; None: where that is faster, see `bfloat16_products`.

        Raises:
            LayerMapError: a map does not fit the two depths, or is "none" for a loss that is named.
            TeacherError: the labels of the two models cannot be matched by name.
            CaptureError: an unknown loss, a temperature that is not above 0 and finite, head counts that do not
                divide, or a translator and an encoder.
        """
        two_halves = _same_kind(student, teacher)
        maps = {
            "layer_map": layer_map,
            "attention_layer_map": attention_layer_map,
            "decoder_layer_map": decoder_layer_map,
            "decoder_attention_layer_map": decoder_attention_layer_map,
            "cross_attention_layer_map": cross_attention_layer_map,
        }
        losses = _known(losses, two_halves, maps)
        check_temperature(temperature)
        resolved = _resolved(student, teacher, losses, maps)
        problem_type = "single_label_classification" if two_halves else problem_type_of(student.config)
        problem_type = SPANS if answers_with_spans(student) else problem_type
        matched = "prediction_loss" in losses and not two_halves and problem_type != SPANS
        return cls(
            losses=losses,
            layer_map=resolved.get("hidden_state_loss", NO_MAP),
            attention_layer_map=resolved.get("attention_loss", NO_MAP),
            decoder=DecoderMaps(
                resolved.get("decoder_hidden_state_loss", NO_MAP),
                resolved.get("decoder_attention_loss", NO_MAP),
                resolved.get("cross_attention_loss", NO_MAP),
            )
            if two_halves
            else None,
            problem_type=problem_type,
            label_order=tuple(label_order(student.config, teacher.config)) if matched else None,
            temperature=temperature,
            teacher_bf16=teacher_bf16,
        )

    @property
    def each(self) -> tuple[Objective, ...]:
        """The objective towards each teacher: of one, this."""
        return (self,)

    @property
    def projected_layers(self) -> tuple[int, ...]:
        """The student layers whose states are compared: 0 for the embedding loss, the mapped ones for hidden
        states."""
        hidden = self.layer_map.student_layers if "hidden_state_loss" in self.losses else ()
        return (0, *hidden) if "embedding_loss" in self.losses else hidden

    @property
    def projected_decoder_layers(self) -> tuple[int, ...]:
        """The student's decoder layers whose states are compared."""
        if self.decoder is None or "decoder_hidden_state_loss" not in self.losses:
            return ()
        return self.decoder.layer_map.student_layers

    @property
    def needs_teacher(self) -> bool:
        """Whether any loss looks at the teacher."""
        return any(name != "label_loss" for name in self.losses)

    def wanted(self, whose: str) -> Wanted:
        """What has to be kept of a forward.

        Args:
            whose: "student" or "teacher".
        """

        def layers(layer_map: LayerMap, loss: str) -> set[int]:
            if loss not in self.losses:
                return set()
            return set(layer_map.student_layers if whose == "student" else layer_map.teacher_layers)

        decoder = self.decoder
        return Wanted(
            attention=layers(self.attention_layer_map, "attention_loss"),
            hidden_states=layers(self.layer_map, "hidden_state_loss")
            | ({0} if "embedding_loss" in self.losses else set()),
            decoder_attention=layers(decoder.attention_layer_map, "decoder_attention_loss") if decoder else (),
            cross_attention=layers(decoder.cross_attention_layer_map, "cross_attention_loss") if decoder else (),
            decoder_hidden_states=layers(decoder.layer_map, "decoder_hidden_state_loss") if decoder else (),
        )

    def capture_student(self, student: nn.Module, batch: Mapping[str, Any]) -> Capture:
        """One forward of the student, with gradient, keeping what the losses need."""
        return capture(student, model_inputs(student, batch), wanted=self.wanted("student"))

    def capture_teacher(self, teacher: nn.Module, batch: Mapping[str, Any], *, answer: bool = False) -> Capture:
        """One forward of the teacher in eval mode and without gradient, keeping what the losses need.

        Without any loss that looks at the teacher, nothing is run; without one that looks at its answer, no layer
        after the last mapped one, where the teacher is built like BERT.

        Args:
            teacher: the model.
            batch: rows.
            answer: keep the logits too where no loss looks at them.
        """
        if not self.needs_teacher:
            return Capture()
        wanted = replace(self.wanted("teacher"), answer=answer or "prediction_loss" in self.losses)
        with evaluation_mode(teacher), torch.no_grad(), bfloat16_products(teacher, self.teacher_bf16):
            return capture(teacher, model_inputs(teacher, batch), wanted=wanted)

    def compute(
        self,
        student: Capture,
        teacher: Capture,
        masks: Masks | Tensor,
        projections: Mapping[int, nn.Module | None],
        counts: Counts | None = None,
        *,
        decoder_projections: Mapping[int, nn.Module | None] | None = None,
        labels: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The losses by name, each the plain sum over mapped layers, unweighted.

        Args:
            student: from `capture_student`.
            teacher: from `capture_teacher`, of the same batch.
            masks: of source and target; a tensor (B, L) is the source's, where there is no target.
            projections: student layer -> module, or None where the widths agree.
            counts: what the means divide by; None: the counts of this batch.
            decoder_projections: student decoder layer -> module, or None where the widths agree.
            labels: of the label loss.

        Returns:
            Name -> scalar.

        Raises:
            CaptureError: shapes or tokens that do not fit, or a model without the logits that are needed.
        """
        masks = Masks(masks) if isinstance(masks, Tensor) else masks
        counts = Counts.of(masks.source, masks.target, masks.word_starts) if counts is None else counts
        parts = self.between_layers(student, teacher, masks, projections, counts, decoder_projections or {})
        if "prediction_loss" in self.losses:
            parts["prediction_loss"] = self.prediction(student, [self.teacher_logits(teacher)], masks, counts)
        if "label_loss" in self.losses:
            parts["label_loss"] = self.label(student, labels, counts, masks)
        return parts

    def compute_with(
        self,
        student: Capture,
        teacher: Capture,
        masks: Masks,
        projections: Projections,
        counts: Counts,
        labels: Tensor | None,
    ) -> dict[str, Tensor]:
        """`compute`, with the projections that a trainer holds."""
        return self.compute(
            student,
            teacher,
            masks,
            as_lookup(projections, self.projected_layers),
            counts,
            decoder_projections=as_lookup(projections.decoder, self.projected_decoder_layers),
            labels=labels,
        )

    def between_layers(
        self,
        student: Capture,
        teacher: Capture,
        masks: Masks,
        projections: Mapping[int, nn.Module | None],
        counts: Counts,
        decoder_projections: Mapping[int, nn.Module | None],
    ) -> dict[str, Tensor]:
        """The losses between layers alone; arguments as for `compute`."""
        parts = self._encoder_losses(student, teacher, masks.source, projections, counts)
        if self.decoder is not None:
            parts |= self._decoder_losses(student, teacher, masks, decoder_projections, counts)
        return parts

    def _encoder_losses(
        self,
        student: Capture,
        teacher: Capture,
        mask: Tensor,
        projections: Mapping[int, nn.Module | None],
        counts: Counts,
    ) -> dict[str, Tensor]:
        parts = {}
        if "attention_loss" in self.losses:
            parts["attention_loss"] = _attention(
                self.attention_layer_map, student.attention, teacher.attention, mask, pair_count=counts.pairs
            )
        if "hidden_state_loss" in self.losses:
            parts["hidden_state_loss"] = _hidden_states(
                self.layer_map, student.hidden_states, teacher.hidden_states, mask, projections, counts.tokens
            )
        if "embedding_loss" in self.losses:
            parts["embedding_loss"] = embedding_loss(
                student.hidden_states[0], teacher.hidden_states[0], mask, projections[0], token_count=counts.tokens
            )
        return parts

    def _decoder_losses(
        self,
        student: Capture,
        teacher: Capture,
        masks: Masks,
        projections: Mapping[int, nn.Module | None],
        counts: Counts,
    ) -> dict[str, Tensor]:
        assert self.decoder is not None
        target, parts = _target(masks), {}
        if "decoder_attention_loss" in self.losses:
            parts["decoder_attention_loss"] = _attention(
                self.decoder.attention_layer_map,
                student.decoder_attention,
                teacher.decoder_attention,
                target,
                causal=True,
                pair_count=counts.target_pairs,
            )
        if "cross_attention_loss" in self.losses:
            parts["cross_attention_loss"] = _attention(
                self.decoder.cross_attention_layer_map,
                student.cross_attention,
                teacher.cross_attention,
                target,
                key_mask=masks.source,
                pair_count=counts.cross_pairs,
            )
        if "decoder_hidden_state_loss" in self.losses:
            parts["decoder_hidden_state_loss"] = _hidden_states(
                self.decoder.layer_map,
                student.decoder_hidden_states,
                teacher.decoder_hidden_states,
                target,
                projections,
                counts.target_tokens,
            )
        return parts

    def teacher_logits(self, teacher: Capture) -> Tensor:
        """The teacher's logits, the labels in the student's order."""
        theirs = _logits(teacher)
        if self.label_order is not None and list(self.label_order) != list(range(theirs.shape[-1])):
            theirs = theirs[..., list(self.label_order)]
        return theirs

    def prediction(
        self,
        student: Capture,
        teachers: Sequence[Tensor],
        masks: Masks,
        counts: Counts,
        weights: Sequence[float] = (1.0,),
    ) -> Tensor:
        """The prediction loss alone.

        Args:
            student: from `capture_student`.
            teachers: from `teacher_logits`, of each teacher.
            masks: of source and target.
            counts: what the means divide by.
            weights: of each teacher, with the sum 1.
        """
        ours = _logits(student)
        if self.problem_type == SPANS:
            return span_prediction_loss(
                ours,
                teachers,
                masks.source,
                temperature=self.temperature,
                teacher_weights=weights,
                row_count=counts.rows,
            )
        if ours.dim() == 3 and all(ours.shape[:-1] == theirs.shape[:-1] for theirs in teachers):
            # Only real tokens are looked at: padding would cost a softmax over the vocabulary each.
            real = (masks.source if self.decoder is None else _target(masks)).bool()
            count = counts.tokens if self.decoder is None else counts.target_tokens
            if masks.word_starts is not None:
                real, count = masks.word_starts.bool(), counts.word_starts
            ours, teachers = ours[real], [theirs[real] for theirs in teachers]
        else:
            count = counts.rows
        return prediction_loss(
            ours,
            teachers,
            problem_type=self.problem_type,
            temperature=self.temperature,
            row_count=count,
            teacher_weights=weights,
        )

    def label(self, student: Capture, labels: Tensor | None, counts: Counts, masks: Masks) -> Tensor:
        """The student's loss on the labels alone."""
        if labels is None:
            raise CaptureError("The label loss needs labels in the batch. Give rows with labels, or leave it out.")
        logits, count = _logits(student), counts.rows
        if self.problem_type == SPANS:
            return span_label_loss(logits, labels, masks.source, row_count=count)
        if logits.dim() == 3:
            real = labels != -100
            logits, labels, count = logits[real], labels[real], counts.target_tokens
        return label_loss(logits, labels, problem_type=self.problem_type, row_count=count)


def _same_kind(student: PreTrainedModel, teacher: PreTrainedModel) -> bool:
    """Whether both models have a decoder."""
    kinds = is_translator(student), is_translator(teacher)
    if kinds[0] != kinds[1]:
        raise CaptureError(
            f"The student is {'a translator' if kinds[0] else 'an encoder'} ({type(student).__name__}) and the "
            f"teacher {'a translator' if kinds[1] else 'an encoder'} ({type(teacher).__name__}); both must be of one "
            "kind."
        )
    return kinds[0]


def _known(losses: Collection[str] | None, two_halves: bool, maps: Mapping[str, Any]) -> tuple[str, ...]:
    """The names in the order of LOSSES."""
    off = turned_off(LOSSES, maps)
    if losses is None:
        losses = [name for name in LOSSES if name != "label_loss" and (two_halves or name not in DECODER_LOSSES)]
        losses = [name for name in losses if name not in off]
    unknown = sorted(set(losses) - set(LOSSES))
    if unknown:
        raise CaptureError(f"Unknown loss {unknown[0]!r}; the losses are {', '.join(LOSSES)}.")
    misplaced = sorted(set(losses) & set(DECODER_LOSSES))
    if misplaced and not two_halves:
        raise CaptureError(f"{misplaced[0]} compares decoders, and these models have none; set its weight to 0.")
    for name in losses:
        if name in off:
            raise LayerMapError(contradiction(name, off[name]))
    return tuple(name for name in LOSSES if name in losses)


def _resolved(
    student: PreTrainedModel, teacher: PreTrainedModel, losses: Collection[str], maps: Mapping[str, Any]
) -> dict[str, LayerMap]:
    """The map of each loss between layers, of those that are computed; their heads are compared on the way."""
    resolved = {}
    for loss in losses:
        if loss not in MAPS_OF_LOSSES:
            continue
        shape = decoder_shape if loss in DECODER_LOSSES else encoder_shape
        ours, theirs = shape(student.config), shape(teacher.config)
        if LOSSES[loss] is attention_loss:
            common_heads(ours.heads, theirs.heads)
        if loss != "embedding_loss":  # of layer 0, which stands in no map
            resolved[loss] = resolve_layer_map(map_of(loss, maps)[1], ours.layers, theirs.layers)
    return resolved


def _attention(
    layer_map: LayerMap,
    student: Mapping[int, AttentionRecord],
    teacher: Mapping[int, AttentionRecord],
    mask: Tensor,
    **options: Any,
) -> Tensor:
    each = [attention_loss(student[m], teacher[n], mask, **options) for m, n in layer_map.pairs]
    return torch.stack(each).sum()


def _hidden_states(
    layer_map: LayerMap,
    student: Mapping[int, Tensor],
    teacher: Mapping[int, Tensor],
    mask: Tensor,
    projections: Mapping[int, nn.Module | None],
    count: Tensor | float,
) -> Tensor:
    each = [
        hidden_state_loss(student[m], teacher[n], mask, projections[m], token_count=count) for m, n in layer_map.pairs
    ]
    return torch.stack(each).sum()


def _target(masks: Masks) -> Tensor:
    if masks.target is None:
        raise CaptureError(NO_TARGET)
    return masks.target


def _logits(capture: Capture) -> Tensor:
    if capture.logits is None:
        raise CaptureError(
            "The prediction loss needs logits from both models, but one of them has no head. Load it with its "
            "AutoModelFor... class, or leave the prediction loss out."
        )
    return capture.logits


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
