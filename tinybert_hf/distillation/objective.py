"""The distillation objective: what is taken from the models, and the losses between them; several teachers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from tinybert_hf.distillation.architecture import answers_with_spans, is_translator
from tinybert_hf.distillation.batch import Counts, Masks, labels_of, masks_of
from tinybert_hf.distillation.capturing import Capture, Wanted, capture, model_inputs
from tinybert_hf.distillation.layer_map import NO_MAP, LayerMap, LayerMapSpec, compares_nothing, contradiction
from tinybert_hf.distillation.losses import (
    DECODER_LOSSES,
    LOSSES,
    MAPS_OF_LOSSES,
    SPANS,
    DistillationLoss,
    LayerLoss,
    Loss,
    LossInputs,
    turned_off,
)
from tinybert_hf.distillation.losses.entry import Layers
from tinybert_hf.distillation.losses.own import LAYER_FIELDS
from tinybert_hf.distillation.projections import AnyProjections, JointProjections, Projections, as_lookup
from tinybert_hf.distillation.teachers import (
    AnyTeacher,
    Teachers,
    as_teachers,
    bfloat16_products,
    label_order,
    problem_type_of,
)
from tinybert_hf.errors import CaptureError, LayerMapError, TeacherError, TinyBertError, check_temperature

if TYPE_CHECKING:
    from transformers import PreTrainedModel


# The distillation objective: what is taken from the student and its teachers, and the losses between them.

_Modules: TypeAlias = Sequence[nn.Module] | Mapping[int, nn.Module] | Mapping[int, nn.Module | None]
GivenProjections: TypeAlias = AnyProjections | nn.Module | _Modules | None


@dataclass(frozen=True)
class TowardsTeacher:
    """What is compared between the student and one teacher.

    Attributes:
        entries: the losses that this teacher takes part in.
        layers: of each of them, the pairs of layers that are compared: field of `Capture` -> layer map.
        label_order: teacher index of each student label; None: not asked for.
        teacher_bf16: whether the teacher multiplies in bfloat16, see `bfloat16_products`.
    """

    entries: Mapping[str, Loss]
    layers: Mapping[str, Layers]
    label_order: tuple[int, ...] | None = None
    teacher_bf16: bool | None = False

    @property
    def losses(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.entries)

    @property
    def needs_teacher(self) -> bool:
        """Whether any loss looks at the teacher."""
        return any(loss.needs_teacher for loss in self.entries.values())

    def layer_map(self, loss: str) -> LayerMap:
        """The pairs of layers that a loss of ours compares; NO_MAP where it is not computed."""
        return next(iter(self.layers.get(loss, {}).values()), NO_MAP)

    def projected(self, captures: str) -> dict[int, int]:
        """The student layers whose states go through projections, in rising order -> the teacher layer that each is to
        meet: 0 for the embedding loss, the mapped ones for hidden states.

        Args:
            captures: "hidden_states", or "decoder_hidden_states".
        """
        pairs = [
            pair
            for name, loss in self.entries.items()
            if isinstance(loss, LayerLoss) and loss.projected and loss.captures == captures
            for pair in self.layers[name][captures].pairs
        ]
        return dict(sorted(pairs))

    @property
    def projected_layers(self) -> tuple[int, ...]:
        """The student layers whose states are projected."""
        return tuple(self.projected("hidden_states"))

    @property
    def projected_decoder_layers(self) -> tuple[int, ...]:
        """The student's decoder layers whose states are projected."""
        return tuple(self.projected("decoder_hidden_states"))

    def wanted(self, whose: str) -> dict[str, set[int]]:
        """The layers that have to be kept of a forward, by the field of `Wanted`.

        Args:
            whose: "student" or "teacher".
        """
        kept: dict[str, set[int]] = {name: set() for name in LAYER_FIELDS}
        for layers in self.layers.values():
            for name, pairs in layers.items():
                kept[name] |= set(pairs.student_layers if whose == "student" else pairs.teacher_layers)
        return kept

    @property
    def keeps_values(self) -> bool:
        """Whether the values of the attention have to be kept too."""
        return any(loss.keeps_values for loss in self.entries.values())

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
        answer = answer or any(loss.compares_answers for loss in self.entries.values())
        layers: dict[str, Any] = self.wanted("teacher")
        wanted = Wanted(**layers, values=self.keeps_values, answer=answer)
        with evaluation_mode(teacher), torch.no_grad(), bfloat16_products(teacher, self.teacher_bf16):
            return capture(teacher, model_inputs(teacher, batch), wanted=wanted)

    def in_order(self, logits: Tensor) -> Tensor:
        """The teacher's logits, the labels in the student's order."""
        order = list(self.label_order or ())
        # A masked-language model has labels in its configuration, too, and logits of something else.
        if len(order) == logits.shape[-1] and order != list(range(len(order))):
            logits = logits[..., order]
        return logits


@dataclass(frozen=True)
class Objective:
    """Which losses are computed between a student and its teachers. Knows shapes and maps, holds no parameters.

    Attributes:
        entries: by name, those of LOSSES that are computed, in their order, and losses of one's own.
        each: what is compared with each teacher; without losses between layers for a teacher that has none.
        weights: of each teacher, with the sum 1.
        translates: both models have a decoder.
        problem_type: of the prediction loss; `SPANS` where the models answer with a first and a last token.
        temperature: of the prediction loss.
    """

    entries: Mapping[str, Loss]
    each: tuple[TowardsTeacher, ...]
    weights: tuple[float, ...] = (1.0,)
    translates: bool = False
    problem_type: str = "single_label_classification"
    temperature: float = 1.0
    extra_losses: Mapping[str, DistillationLoss] = field(init=False)

    def __post_init__(self) -> None:
        own = {name: loss for name, loss in self.entries.items() if isinstance(loss, DistillationLoss)}
        object.__setattr__(self, "extra_losses", own)

    @classmethod
    def between(
        cls,
        student: PreTrainedModel,
        teacher: AnyTeacher | Sequence[PreTrainedModel],
        *,
        losses: Collection[str] | None = None,
        named: Collection[str] | None = None,
        extra_losses: Mapping[str, DistillationLoss] | None = None,
        layer_map: LayerMapSpec = "uniform",
        attention_layer_map: LayerMapSpec | None = None,
        decoder_layer_map: LayerMapSpec = "uniform",
        decoder_attention_layer_map: LayerMapSpec | None = None,
        cross_attention_layer_map: LayerMapSpec | None = None,
        temperature: float = 1.0,
        teacher_bf16: bool | None = False,
    ) -> Objective:
        """Resolve labels, and the maps of the losses that are computed, for a student and its teachers.

        Args:
            student: the model that learns.
            teacher: the model that it learns from; several as a list, or as `Teachers` from `resolve_teachers`, which
                has compared their vocabularies.
            losses: names out of LOSSES; None: all that these models have, without the label loss and those whose map
                is "none".
            named: of several teachers, those losses that were asked for by name; the others are left out where every
                teacher has the layer map "none". None: all were.
            extra_losses: of one's own, by name.
            layer_map: any form that `resolve_layer_map` reads; for teachers without a map of their own.
            attention_layer_map: the same for attention; None: as `layer_map`.
            decoder_layer_map: the same for the decoders' hidden states.
            decoder_attention_layer_map: for the decoders' own attention; None: as `decoder_layer_map`.
            cross_attention_layer_map: for the decoders' attention to the source; None: as `decoder_layer_map`.
            temperature: of the prediction loss, above 0.
            teacher_bf16: the teacher multiplies in bfloat16; None: where that is faster, see `bfloat16_products`.

        Raises:
            LayerMapError: a map does not fit the two depths, or is "none" for a loss that is named.
            TeacherError: the labels of two models cannot be matched by name, a loss needs common tokens between models
                that have none, or no teacher takes part in a loss that was asked for.
            CaptureError: an unknown loss, a temperature that is not above 0 and finite, head counts that do not
                divide, or a translator and an encoder.
        """
        maps = {
            "layer_map": layer_map,
            "attention_layer_map": attention_layer_map,
            "decoder_layer_map": decoder_layer_map,
            "decoder_attention_layer_map": decoder_attention_layer_map,
            "cross_attention_layer_map": cross_attention_layer_map,
        }
        several = not isinstance(teacher, nn.Module) or isinstance(teacher, Teachers)
        teachers, extra = as_teachers(teacher), dict(extra_losses or {})
        each = []
        for index, model in enumerate(teachers.models):
            own_map, chosen, its_extra, its_maps = teachers.layer_maps[index], losses, extra, maps
            if own_map is not None:
                its_maps = {**maps, "layer_map": own_map, "attention_layer_map": None}
            if compares_nothing(own_map):
                its_maps = dict.fromkeys(maps, own_map)
                its_extra = {name: loss for name, loss in extra.items() if not loss.captured}
            if several and losses is not None:
                off = turned_off(losses, its_maps)
                chosen = [name for name in losses if name not in off]
            try:
                _check_tokens(student, teachers, index, chosen or (), its_extra)
                each.append(_towards(student, model, chosen, its_extra, its_maps, temperature, teacher_bf16))
            except TinyBertError as error:
                if not several:
                    raise
                raise type(error)(f"{teachers.name_of(index)}: {error}") from error
        return cls(
            entries=_taught(each, losses, named, extra) if several else each[0].entries,
            each=tuple(each),
            weights=teachers.weights,
            translates=is_translator(student),
            problem_type=_problem_type(student),
            temperature=temperature,
        )

    @property
    def losses(self) -> tuple[str, ...]:
        """The names of the losses, in the order in which they are computed."""
        return tuple(self.entries)

    @property
    def needs_teacher(self) -> bool:
        """Whether any loss looks at a teacher."""
        return any(one.needs_teacher for one in self.each)

    @property
    def no_counts(self) -> Counts:
        """Nothing, of all that the losses count."""
        own = dict.fromkeys((name for name, loss in self.extra_losses.items() if callable(loss.count)), 0.0)
        return Counts(0.0, 0.0, 0.0, own=own)

    def counts_of(self, batch: Mapping[str, Any]) -> Counts:
        """What the means divide by, of one batch."""
        return self._counts_of(masks_of(batch), batch)

    def _counts_of(self, masks: Masks, batch: Mapping[str, Any]) -> Counts:
        own = {name: loss.count_of(name, batch) for name, loss in self.extra_losses.items() if callable(loss.count)}
        return Counts.of(masks.source, masks.target, masks.word_starts, own=own)

    def capture_student(self, student: nn.Module, batch: Mapping[str, Any]) -> Capture:
        """One forward of the student, with gradient, keeping what the losses towards all teachers need."""
        wanted = [one.wanted("student") for one in self.each]
        layers: dict[str, Any] = {name: set().union(*(one[name] for one in wanted)) for name in LAYER_FIELDS}
        values = any(one.keeps_values for one in self.each)
        return capture(student, model_inputs(student, batch), wanted=Wanted(**layers, values=values))

    def capture_teachers(
        self, teacher: AnyTeacher | Sequence[PreTrainedModel], batch: Mapping[str, Any]
    ) -> tuple[Capture, ...]:
        """One forward of each teacher in eval mode and without gradient, keeping what the losses need.

        Args:
            teacher: as for `between`.
            batch: rows.

        Raises:
            CaptureError: tokens of its own that the batch lacks; or it answers at each of them.
        """
        if not isinstance(teacher, Teachers):
            models = teacher if isinstance(teacher, Sequence) else [teacher]
            pairs = zip(self.each, models, strict=True)
            return tuple(towards.capture_teacher(model, batch) for towards, model in pairs)
        seen = []
        for index, (towards, model) in enumerate(zip(self.each, teacher.models, strict=True)):
            own = teacher.batch_of(index, batch) if towards.needs_teacher else batch
            one = towards.capture_teacher(model, own)
            if own is not batch and one.logits is not None and one.logits.dim() == 3:
                raise CaptureError(
                    f"{teacher.name_of(index)} answers at every token, and its tokens are not the student's, so "
                    "their predictions cannot be compared. Take a model that answers once a text (a sequence "
                    "classifier), or a teacher with the student's tokenizer."
                )
            seen.append(one)
        return tuple(seen)

    def compute(
        self,
        student: Capture,
        teachers: tuple[Capture, ...],
        masks: Masks | Tensor,
        projections: GivenProjections = None,
        counts: Counts | None = None,
        *,
        decoder_projections: GivenProjections = None,
        labels: Tensor | None = None,
        batch: Mapping[str, Any] | None = None,
    ) -> dict[str, Tensor]:
        """The losses by name, unweighted: each the plain sum over mapped layers; between layers, the weighted mean of
        those towards each teacher.

        Args:
            student: from `capture_student`.
            teachers: from `capture_teachers`, of the same batch.
            masks: of source and target; a tensor (B, L) is the source's, where there is no target.
            projections: those that a trainer holds, or any form that `as_lookup` reads.
            counts: what the means divide by; None: the counts of this batch.
            decoder_projections: the decoders', where `projections` are not a trainer's, which hold them.
            labels: of the label loss.
            batch: for losses of one's own.

        Returns:
            Name -> scalar.

        Raises:
            CaptureError: shapes or tokens that do not fit, or a model without the logits that are needed.
        """
        masks = Masks(masks) if isinstance(masks, Tensor) else masks
        batch = {} if batch is None else batch
        if self.extra_losses and "attention_mask" not in batch:
            batch = {**batch, "attention_mask": masks.source}
        inputs = LossInputs(
            student=student,
            teachers=teachers,
            towards=self.each,
            weights=self.weights,
            projections=self._lookups(projections, decoder_projections),
            masks=masks,
            counts=self._counts_of(masks, batch) if counts is None else counts,
            counts_are_own=counts is None,
            labels=labels,
            batch=batch,
            problem_type=self.problem_type,
            temperature=self.temperature,
            translates=self.translates,
        )
        return {name: loss(name, inputs) for name, loss in self.entries.items()}

    def _lookups(
        self, projections: GivenProjections, decoder: GivenProjections
    ) -> tuple[Mapping[str, Mapping[int, nn.Module | None]], ...]:
        each: list[tuple[GivenProjections, GivenProjections]] = [(projections, decoder)] * len(self.each)
        if isinstance(projections, Projections | JointProjections):
            each = [(own, own.decoder) for own in projections.each()]
        return tuple(
            {
                "hidden_states": as_lookup(own, towards.projected_layers),
                "decoder_hidden_states": as_lookup(own_decoder, towards.projected_decoder_layers),
            }
            for (own, own_decoder), towards in zip(each, self.each, strict=True)
        )


def _towards(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    losses: Collection[str] | None,
    extra: Mapping[str, DistillationLoss],
    maps: Mapping[str, Any],
    temperature: float,
    teacher_bf16: bool | None,
) -> TowardsTeacher:
    """What is compared with one teacher; arguments as for `Objective.between`."""
    two_halves = _same_kind(student, teacher)
    entries: dict[str, Loss] = {name: LOSSES[name] for name in _known(losses, two_halves, maps)}
    check_temperature(temperature)
    entries |= extra
    layers = {name: loss.resolve(name, maps, student.config, teacher.config) for name, loss in entries.items()}
    comparing = [name for name, loss in entries.items() if loss.compares_answers]
    matched = bool(comparing) and not two_halves and _problem_type(student) != SPANS
    if extra.keys() >= set(comparing):  # a loss of one's own may know what to do with other labels
        matched = matched and student.config.num_labels == teacher.config.num_labels
    return TowardsTeacher(
        entries=entries,
        layers=layers,
        label_order=tuple(label_order(student.config, teacher.config)) if matched else None,
        teacher_bf16=teacher_bf16,
    )


def _taught(
    each: Sequence[TowardsTeacher],
    losses: Collection[str] | None,
    named: Collection[str] | None,
    extra: Mapping[str, DistillationLoss],
) -> dict[str, Loss]:
    """The losses that some teacher takes part in.

    Raises:
        TeacherError: nobody takes part in one that was asked for.
    """
    every: Mapping[str, Loss] = {**LOSSES, **extra}
    taught = {name: loss for name, loss in every.items() if any(name in one.entries for one in each)}
    for name in (*(losses or ()), *extra):
        if name not in taught and (not taught or named is None or name in named or name in extra):
            advice = f"set {name}_weight to 0" if name in LOSSES else "leave the loss out"
            raise TeacherError(
                f'Every teacher has the layer map "none", so {name} has nobody to learn from. Give one of them a '
                f"layer map, or {advice}."
            )
    return taught


def _problem_type(student: PreTrainedModel) -> str:
    if answers_with_spans(student):
        return SPANS
    return "single_label_classification" if is_translator(student) else problem_type_of(student.config)


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
        losses = [name for name, loss in LOSSES.items() if loss.phases and (two_halves or name not in DECODER_LOSSES)]
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


def _check_tokens(
    student: PreTrainedModel,
    teachers: Teachers,
    index: int,
    losses: Collection[str],
    extra: Mapping[str, DistillationLoss],
) -> None:
    different = teachers.differences[index]
    looking = [name for name in losses if name in LOSSES and LOSSES[name].needs_teacher]
    looking += [name for name, loss in extra.items() if loss.needs_teacher]
    if not different or not looking:
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
    own = [name for name, loss in extra.items() if loss.captured]
    if layers or own:
        off = [f"{', '.join(f'{name}_weight' for name in layers)} to 0"] if layers else []
        off += [f"{', '.join(own)} aside"] if own else []
        raise TeacherError(
            f"{because}. So {', '.join((*layers, *own))}, which compare token by token, cannot be computed; what it "
            f'says about the whole text (prediction_loss) can. Take phase="prediction", set {" and ".join(off)}, or, '
            'beside another teacher, give this one the layer map "none".'
        )


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


# How far a student is from its teacher, in one call.


def distillation_losses(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    batch: Mapping[str, Any],
    layer_map: LayerMapSpec = "uniform",
    projections: Projections | nn.Module | Sequence[nn.Module] | Mapping[int, nn.Module] | None = None,
    *,
    attention_layer_map: LayerMapSpec | None = None,
    decoder_layer_map: LayerMapSpec = "uniform",
    decoder_attention_layer_map: LayerMapSpec | None = None,
    cross_attention_layer_map: LayerMapSpec | None = None,
    decoder_projections: nn.Module | Sequence[nn.Module] | Mapping[int, nn.Module] | None = None,
    temperature: float = 1.0,
    losses: Collection[str] | None = None,
) -> dict[str, Tensor]:
    """How far a student is from its teacher on one batch; what the trainer computes in every step.

    Each model runs once, with its own attention implementation; the teacher in eval mode and without gradient. Both
    are left as they were found.

    Args:
        student: an encoder or an encoder-decoder of transformers, usually a TinyBERT.
        teacher: another of the same kind, with the same tokenizer.
        batch: `input_ids` (B, L), `attention_mask` (B, L) and what else the models take. Between translators also
            `labels` (B, T), -100 at padding: each model makes what its decoder reads from them. Between encoders
            labels are used by the label loss alone.
        layer_map: "uniform", "top", "bottom", a list of teacher layers, or pairs such as "1:3,2:6".
        projections: student width -> teacher width: None where the widths agree, one `nn.Linear` for all layers, or
            one for the embedding output and each mapped layer.
        attention_layer_map: the map for attention scores; None: as `layer_map`.
        decoder_layer_map: the map of the decoders' layers.
        decoder_attention_layer_map: the map for the decoders' own attention; None: as `decoder_layer_map`.
        cross_attention_layer_map: the map for their attention to the source; None: as `decoder_layer_map`.
        decoder_projections: as `projections`, one for each mapped decoder layer. `Projections` hold theirs already.
        temperature: of the prediction loss.
        losses: which to compute; None: all that these models have, without the label loss.

    Returns:
        `attention_loss`, `hidden_state_loss`, `embedding_loss`, `prediction_loss`: each the plain sum over mapped
        layers of the mean over that layer, unweighted, with gradient to the student and the projections. Between
        translators also `decoder_attention_loss`, `cross_attention_loss`, `decoder_hidden_state_loss`, and the
        prediction loss is a mean over target tokens.

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
        decoder_layer_map=decoder_layer_map,
        decoder_attention_layer_map=decoder_attention_layer_map,
        cross_attention_layer_map=cross_attention_layer_map,
        temperature=temperature,
    )
    seen = objective.capture_teachers(teacher, batch)
    made = objective.capture_student(student, batch)
    given: GivenProjections = projections
    if not isinstance(given, Projections):  # the first is of the embeddings, whether a loss compares them or not
        given = as_lookup(given, tuple(dict.fromkeys((0, *objective.each[0].projected_layers))))
    return objective.compute(
        made,
        seen,
        masks_of(batch),
        given,
        decoder_projections=decoder_projections,
        labels=labels_of(batch),
    )
