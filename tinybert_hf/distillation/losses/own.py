"""A loss of a user's own, computed from the forwards that run anyway."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tinybert_hf.distillation.architecture import decoder_shape, encoder_shape
from tinybert_hf.distillation.batch import at_least_some, attention_mask
from tinybert_hf.distillation.capturing import Capture, Wanted
from tinybert_hf.distillation.layer_map import LayerMap, LayerMapSpec, compares_nothing, resolve_layer_map
from tinybert_hf.distillation.losses.entry import EMBEDDINGS, HEADS, Layers, Loss, LossInputs, chosen_map
from tinybert_hf.errors import CaptureError, RecipeError, TinyBertError, check_number

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

LAYER_FIELDS = tuple(one.name for one in fields(Wanted) if one.name not in ("values", "answer"))
"""What of a forward is kept layer by layer."""
_IN_DECODER = ("decoder_attention", "cross_attention", "decoder_hidden_states")
_MAPS = {
    "attention": ("attention_layer_map", "layer_map"),
    "hidden_states": ("layer_map",),
    "decoder_attention": ("decoder_attention_layer_map", "decoder_layer_map"),
    "cross_attention": ("cross_attention_layer_map", "decoder_layer_map"),
    "decoder_hidden_states": ("decoder_layer_map",),
}
COUNTS = ("rows", "tokens", "target_tokens")
MAPPED, LAST, EMBEDDED = "mapped", "last", "embeddings"
# Names that a log or an evaluation has for something else.
_TAKEN = ("distillation_loss", "train_loss")

LossFunction = Callable[[Capture, Capture, Mapping[str, Any]], Any]
Count = str | Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class DistillationLoss(Loss):
    """A loss of your own beside ours: what it is given of both models, and what its mean is over.

    `function(student, teacher, batch)` is called in each step with two `Capture` of the same batch, and the batch. In
    both, layers go by the number of the student's layer: `teacher.hidden_states[2]` is what student layer 2 learns
    from. They hold what was asked for here and nothing else; the student's logits are always there. The teacher is
    without gradient, its labels are in the student's order. `batch` holds `attention_mask` (B, L), and every column
    that a model takes. Of several teachers the function is called with each, and the weighted mean is taken.

    A function or an `nn.Module`, whose parameters are trained with the student and kept in checkpoints. It returns a
    scalar: the mean over what `count` says of this batch; or a pair: the sum, and that count.

    Attributes:
        function: what is called.
        weight: above 0.
        hidden_states: layers whose hidden states (B, L, H) it is given: "mapped" (those of the trainer's layer map),
            "last" (the last of both models), "embeddings" (layer 0 of both), or a layer map of its own: "uniform",
            "top", "bottom", "1:3,2:6", a list, a mapping. None: none.
        attention: the same for queries and keys, as `AttentionRecord`.
        decoder_hidden_states: of translators: hidden states (B, T, H) of the decoders.
        decoder_attention: likewise, the target's own attention.
        cross_attention: likewise, from target to source.
        values: the values (B, A, L, D) beside queries and keys.
        logits: the teacher's logits; None: where it is given no layers. Without them, and with no layers, the loss
            looks at the student alone.
        count: what its mean is over: "rows", "tokens" (real ones), "target_tokens", or a function of the batch that
            gives a number. With it the mean is right over accumulated batches and several processes.
        columns: of the dataset, that no model takes and the function reads in `batch`.
        phases: "intermediate", "prediction", "joint", "extra": it is computed in these alone. None: in all.
    """

    function: LossFunction
    weight: float = 1.0
    hidden_states: LayerMapSpec | None = None
    attention: LayerMapSpec | None = None
    decoder_hidden_states: LayerMapSpec | None = None
    decoder_attention: LayerMapSpec | None = None
    cross_attention: LayerMapSpec | None = None
    values: bool = False
    logits: bool | None = None
    count: Count = "rows"
    columns: Collection[str] = ()
    phases: Collection[str] | None = None

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise RecipeError(
                f"The function of a DistillationLoss is {self.function!r:.60}; give a function or an nn.Module that "
                "is called with (student, teacher, batch)."
            )
        check_number(self.weight, "The weight of a DistillationLoss")
        if not callable(self.count) and self.count not in COUNTS:
            raise RecipeError(
                f"The count of a DistillationLoss is {self.count!r:.60}; choose one of {', '.join(COUNTS)}, or give a "
                "function of the batch."
            )
        for name in ("columns", "phases"):
            if isinstance(getattr(self, name), str):
                raise RecipeError(f"The {name} of a DistillationLoss are {getattr(self, name)!r:.60}; give a list.")
        if self.values and not any(getattr(self, name) is not None for name in HEADS):
            raise RecipeError(
                'values=True gives values beside queries and keys: say of which layers, for example attention="last".'
            )

    @property
    def captured(self) -> tuple[str, ...]:
        """The fields of `Capture` that hold layers for it."""
        return tuple(name for name in LAYER_FIELDS if getattr(self, name) is not None)

    @property
    def needs_teacher(self) -> bool:
        """Whether it is given anything of the teacher."""
        return bool(self.captured) or self.compares_answers

    @property
    def compares_answers(self) -> bool:
        """Whether it is given the teacher's logits."""
        return not self.captured if self.logits is None else self.logits

    @property
    def keeps_values(self) -> bool:
        """Whether it is given values."""
        return self.values

    def resolve(
        self, name: str, maps: Mapping[str, Any], student: PreTrainedConfig, teacher: PreTrainedConfig
    ) -> Layers:
        """The pairs of layers that it is given.

        Raises:
            CaptureError: layers of decoders, between models that have none.
            LayerMapError: a map that does not fit.
        """
        resolved = {}
        for field in self.captured:
            in_decoder = field in _IN_DECODER
            if in_decoder and not all(getattr(one, "is_encoder_decoder", False) for one in (student, teacher)):
                raise CaptureError(f"{name} asks for {field}, and these models have no decoder.")
            shape = decoder_shape if in_decoder else encoder_shape
            resolved[field] = self._layers(
                name, field, maps, shape(student).layers, shape(teacher).layers, counts_embeddings=field not in HEADS
            )
        return resolved

    def _layers(
        self, name: str, field: str, maps: Mapping[str, Any], student: int, teacher: int, *, counts_embeddings: bool
    ) -> LayerMap:
        spec = getattr(self, field)
        if spec == EMBEDDED and counts_embeddings:
            return EMBEDDINGS
        if spec == LAST:
            return LayerMap(((student, teacher),))
        map_name = field
        if spec == MAPPED:
            map_name, spec = chosen_map(_MAPS[field], maps)
        if compares_nothing(spec):
            raise CaptureError(
                f'{name} asks for {field}, and {map_name} is "none", so there are no layers to give it. Give '
                f'{field}="last", or layers of its own.'
            )
        return resolve_layer_map(spec, student, teacher)

    def count_of(self, name: str, batch: Mapping[str, Any]) -> Tensor | float:
        """What it counts in a batch, where a function says so.

        Raises:
            TinyBertError: that is no number.
        """
        assert callable(self.count)
        found = self.count(batch)
        if isinstance(found, Tensor) and found.dim() == 0:
            return found
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise TinyBertError(f"The count of {name} gave {_described(found)}; it must be a number, or a scalar.")
        return float(found)

    def __call__(self, name: str, inputs: LossInputs) -> Tensor:
        """Its share of the mean over all batches of a step; the weighted mean over teachers."""
        batch = {**inputs.batch, "attention_mask": attention_mask(inputs.batch)}
        whole = inputs.counts.own[name] if callable(self.count) else getattr(inputs.counts, self.count)
        own = self._count_here(name, batch, inputs)

        def towards(index: int) -> Tensor:
            one = inputs.towards[index]
            student, teacher = self._given(one.layers[name], inputs.student, inputs.teachers[index])
            if self.compares_answers:
                if teacher.logits is None:
                    raise CaptureError(
                        f"{name} asks for logits, and the teacher has no head. Load it with its AutoModelFor... "
                        'class, or ask for layers: DistillationLoss(function, hidden_states="last").'
                    )
                teacher = replace(teacher, logits=one.in_order(teacher.logits))
            try:
                result = self.function(student, teacher, batch)
            except (TypeError, KeyError) as error:  # what torch says of shapes is enough
                raise TinyBertError(
                    f"{name} failed: {type(error).__name__}: {error}. It is called as function(student, teacher, "
                    "batch), and finds the layers it asked for (hidden_states=..., attention=...) by their numbers."
                ) from error
            total, count = _checked(name, result)
            if count is None:
                return total.float() * (own / at_least_some(whole))
            if inputs.counts_are_own and abs(float(count) - float(own)) > 1e-3 * max(1.0, abs(float(own))):
                raise TinyBertError(
                    f"{name} gave a sum over {float(count):g}, and counts {float(own):g} in this batch (count="
                    f"{self.count if isinstance(self.count, str) else 'your function'!r}). Over accumulated batches "
                    "and several processes its mean would be wrong: give the count that it sums over, for example "
                    'count=lambda batch: (batch["labels"] != -100).sum().'
                )
            return total.float() / at_least_some(whole)

        return inputs.mean_over_teachers(name, towards)

    def _count_here(self, name: str, batch: Mapping[str, Any], inputs: LossInputs) -> Tensor | float:
        if callable(self.count):
            return self.count_of(name, batch)
        if self.count == "rows":
            return float(len(inputs.masks.source))
        return (inputs.masks.source if self.count == "tokens" else inputs.target_mask).sum()

    def _given(self, layers: Layers, student: Capture, teacher: Capture) -> tuple[Capture, Capture]:
        """What was asked for, by the number of the student's layer."""
        of_student, of_teacher = {}, {}
        for field, layer_map in layers.items():
            own, other = getattr(student, field), getattr(teacher, field)
            of_student[field] = {m: own[m] for m, _ in layer_map.pairs}
            of_teacher[field] = {m: other[n] for m, n in layer_map.pairs}
        logits = teacher.logits if self.compares_answers else None
        return Capture(**of_student, logits=student.logits), Capture(**of_teacher, logits=logits)


def own_losses(given: Mapping[str, Any] | None, taken: Collection[str]) -> dict[str, DistillationLoss]:
    """Losses of one's own by name; a function or a module alone is given the logits, with the weight 1.

    Args:
        given: by name.
        taken: names of our losses.

    Raises:
        RecipeError: a name that cannot be one, or a value that is no loss.
    """
    losses = {}
    if not isinstance(given or {}, Mapping):
        raise RecipeError(
            f'extra_losses: losses by name, such as {{"pooled_cosine_loss": function}}; got {given!r:.60}.'
        )
    for name, loss in (given or {}).items():
        if not (isinstance(name, str) and name.isidentifier() and name.endswith("_loss") and name != "_loss"):
            raise RecipeError(
                f"extra_losses: {name!r:.60} cannot be the name of a loss in a log; give one such as "
                '"pooled_cosine_loss", that ends with _loss.'
            )
        if name in taken or name in _TAKEN or name.startswith("eval_"):
            raise RecipeError(f"extra_losses: the name {name} is taken; choose another one.")
        if not isinstance(loss, DistillationLoss) and not callable(loss):
            raise RecipeError(f"extra_losses: {name} is {loss!r:.60}; give a function or a DistillationLoss.")
        losses[name] = loss if isinstance(loss, DistillationLoss) else DistillationLoss(loss)
    return losses


def check_first_values(
    losses: Mapping[str, DistillationLoss], parts: Mapping[str, Tensor], student: nn.Module
) -> None:
    """Refuse, before the first step, a loss of one's own that is not finite or does not reach the student.

    Args:
        losses: by name.
        parts: what they gave on some rows, in the graph of the student.
        student: the model that learns.

    Raises:
        TinyBertError: naming the loss.
    """
    trainable = [parameter for parameter in student.parameters() if parameter.requires_grad]
    for name in losses:
        if not bool(parts[name].isfinite()):
            raise TinyBertError(
                f"{name} is {float(parts[name].detach()):g} on the first rows. Look for a division by 0, a log of 0, "
                "or padding that is read."
            )
        reached = parts[name].requires_grad and any(
            gradient is not None
            for gradient in torch.autograd.grad(parts[name], trainable, allow_unused=True, retain_graph=True)
        )
        if not reached:
            raise TinyBertError(
                f"{name} has no gradient to the student, so nothing would be learnt from it. Compute it from "
                "student.hidden_states, student.attention or student.logits, without detach(), item() or no_grad."
            )


def _checked(name: str, result: Any) -> tuple[Tensor, Any]:
    """What a function of a user's gave: a mean and None, or a sum and its count."""
    count = None
    if isinstance(result, tuple | list) and len(result) == 2:
        result, count = result
        is_number = isinstance(count, int | float) and not isinstance(count, bool)
        if not is_number and not (isinstance(count, Tensor) and count.dim() == 0):
            raise TinyBertError(f"{name} gave a pair whose count is {_described(count)}; it must be a number.")
    if not isinstance(result, Tensor) or result.dim() != 0 or not result.is_floating_point():
        raise TinyBertError(
            f"{name} gave {_described(result)}. It has to return a scalar tensor, the mean over the batch, or a pair: "
            "the sum, and the count that it is divided by."
        )
    return result, count


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        kind = "of shape " + str(tuple(value.shape)) if value.dim() else "without a shape"
        return f"a tensor {kind} ({str(value.dtype).removeprefix('torch.')})"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{value!r:.60}" if value is None or isinstance(value, int | float | str) else f"a {type(value).__name__}"
