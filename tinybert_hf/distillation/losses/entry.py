"""What a loss is: an entry of LOSSES, as the objective calls it.

The entries say what a recipe is checked against, so this file loads no torch before a loss is computed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tinybert_hf.distillation.layer_map import LayerMap, resolve_layer_map
from tinybert_hf.errors import CaptureError
from tinybert_hf.tasks import found

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedConfig

    from tinybert_hf.distillation.batch import Counts, Masks
    from tinybert_hf.distillation.capturing import Capture
    from tinybert_hf.distillation.objective import TowardsTeacher


# What an entry of LOSSES says of a loss: what it captures, computes and counts. The objective calls it.

Layers = Mapping[str, LayerMap]
"""Field of `Wanted` and `Capture` -> the pairs of layers that are compared."""
EMBEDDINGS = LayerMap(((0, 0),))
HEADS = ("attention", "decoder_attention", "cross_attention")
"""Fields that hold queries and keys of each head."""


@dataclass(frozen=True)
class LossInputs:
    """What a loss may look at in a step.

    Attributes:
        student: all that any loss wants of it.
        teachers: the same of each teacher, of the same batch.
        towards: what is compared between the student and each teacher.
        weights: of each teacher, with the sum 1.
        projections: towards each teacher: field of `Capture` -> student layer -> module, or None where the widths
            agree.
        masks: of source and target.
        counts: what the means divide by.
        counts_are_own: they are those of this batch, and not of a larger whole.
        labels: of the label loss.
        batch: all columns of the rows, for losses of one's own.
        problem_type: of the student; see `Objective`.
        temperature: of the prediction loss.
        translates: both models have a decoder.
    """

    student: Capture
    teachers: tuple[Capture, ...]
    towards: tuple[TowardsTeacher, ...]
    weights: tuple[float, ...]
    projections: tuple[Mapping[str, Mapping[int, nn.Module | None]], ...]
    masks: Masks
    counts: Counts
    counts_are_own: bool
    labels: Tensor | None
    batch: Mapping[str, Any]
    problem_type: str
    temperature: float
    translates: bool

    @property
    def target_mask(self) -> Tensor:
        """(B, T).

        Raises:
            CaptureError: the batch has no target.
        """
        if self.masks.target is None:
            from tinybert_hf.distillation.capturing import NO_TARGET

            raise CaptureError(NO_TARGET)
        return self.masks.target

    def mean_over_teachers(self, name: str, towards: Callable[[int], Tensor]) -> Tensor:
        """The weighted mean of a loss over the teachers that take part in it.

        Args:
            name: of the loss.
            towards: the loss towards the teacher with this index.
        """
        having = [index for index, one in enumerate(self.towards) if name in one.layers]
        if len(having) == 1:
            return towards(having[0])
        import torch

        from tinybert_hf.distillation.teachers import shares

        weights = shares([self.weights[index] for index in having])
        return torch.stack([weight * towards(index) for weight, index in zip(weights, having, strict=True)]).sum()


class Loss(ABC):
    """An entry of LOSSES, or a loss of one's own."""

    @property
    @abstractmethod
    def captured(self) -> tuple[str, ...]:
        """The fields of `Capture` that it looks at layer by layer."""

    @property
    @abstractmethod
    def needs_teacher(self) -> bool:
        """Whether it looks at the teacher."""

    @property
    @abstractmethod
    def compares_answers(self) -> bool:
        """Whether it looks at the teacher's logits."""

    @property
    def keeps_values(self) -> bool:
        """Whether it looks at the values of the attention, beside queries and keys."""
        return False

    @abstractmethod
    def resolve(
        self, name: str, maps: Mapping[str, Any], student: PreTrainedConfig, teacher: PreTrainedConfig
    ) -> Layers:
        """What is captured of the layers of both models.

        Args:
            name: of the loss.
            maps: the layer maps, by the name of the argument.
            student: configuration.
            teacher: likewise.

        Raises:
            TinyBertError: the models do not fit.
        """

    @abstractmethod
    def __call__(self, name: str, inputs: LossInputs) -> Tensor:
        """The loss of a batch, a scalar without its weight; arguments as for `resolve`."""


@dataclass(frozen=True)
class LayerLoss(Loss):
    """A loss between layers: the sum over the pairs of the layer map, the weighted mean over teachers.

    Attributes:
        place: "module:name" in this folder of what computes it, called with what was captured of a student layer and
            of its teacher layer, the projection between them and the inputs of the step; it divides by its count, a
            field of `Counts`.
        captures: the field of `Wanted` and `Capture` that it compares.
        layer_maps: the arguments with the layer map that it goes by: the first that is given counts.
        in_decoder: it compares decoders.
        projected: the student's states go through projections.
        of_embeddings: it compares layer 0, which stands in no map. Where no layer is compared, it is not either.
        phases: those that compute it unless a weight says otherwise.
    """

    place: str
    captures: str
    layer_maps: tuple[str, ...]
    in_decoder: bool = False
    projected: bool = False
    of_embeddings: bool = False
    phases: tuple[str, ...] = ("intermediate", "joint")

    @cached_property
    def compute(self) -> Callable[[Any, Any, nn.Module | None, LossInputs], Tensor]:
        """What stands at `place`."""
        return _at(self.place)

    @property
    def captured(self) -> tuple[str, ...]:
        """The one that it compares."""
        return (self.captures,)

    @property
    def needs_teacher(self) -> bool:
        """Always."""
        return True

    @property
    def compares_answers(self) -> bool:
        """Never."""
        return False

    def resolve(
        self, name: str, maps: Mapping[str, Any], student: PreTrainedConfig, teacher: PreTrainedConfig
    ) -> Layers:
        """The pairs of its map; heads are compared on the way."""
        from tinybert_hf.distillation.architecture import decoder_shape, encoder_shape
        from tinybert_hf.distillation.losses.attention import common_heads

        shape = decoder_shape if self.in_decoder else encoder_shape
        student_shape, teacher_shape = shape(student), shape(teacher)
        if self.captures in HEADS:
            common_heads(student_shape.heads, teacher_shape.heads)
        if self.of_embeddings:
            return {self.captures: EMBEDDINGS}
        _, spec = chosen_map(self.layer_maps, maps)
        return {self.captures: resolve_layer_map(spec, student_shape.layers, teacher_shape.layers)}

    def __call__(self, name: str, inputs: LossInputs) -> Tensor:
        """The sum over pairs of layers."""
        import torch

        student = getattr(inputs.student, self.captures)

        def towards(index: int) -> Tensor:
            teacher = getattr(inputs.teachers[index], self.captures)
            maps = inputs.projections[index][self.captures] if self.projected else None
            each = [
                self.compute(student[m], teacher[n], None if maps is None else maps[m], inputs)
                for m, n in inputs.towards[index].layers[name][self.captures].pairs
            ]
            return torch.stack(each).sum()

        return inputs.mean_over_teachers(name, towards)


@dataclass(frozen=True)
class AnswerLoss(Loss):
    """A loss of the student's logits, towards those of all teachers at once or towards labels.

    Attributes:
        place: "module:name" in this folder of what computes it, called with the inputs of the step.
        of_labels: it does not look at a teacher.
        phases: those that compute it unless a weight says otherwise.
    """

    place: str
    of_labels: bool = False
    phases: tuple[str, ...] = ()

    @cached_property
    def compute(self) -> Callable[[LossInputs], Tensor]:
        """What stands at `place`."""
        return _at(self.place)

    @property
    def captured(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def needs_teacher(self) -> bool:
        """Unless it is of labels."""
        return not self.of_labels

    @property
    def compares_answers(self) -> bool:
        """Unless it is of labels."""
        return not self.of_labels

    def resolve(
        self, name: str, maps: Mapping[str, Any], student: PreTrainedConfig, teacher: PreTrainedConfig
    ) -> Layers:
        """No layers."""
        return {}

    def __call__(self, name: str, inputs: LossInputs) -> Tensor:
        """The loss of all rows, or of all tokens."""
        return self.compute(inputs)


def _at(place: str) -> Any:
    return found(f"distillation.losses.{place}")


def chosen_map(names: tuple[str, ...], maps: Mapping[str, Any]) -> tuple[str, Any]:
    """The name and the value of the first map that is given; the last one is "uniform" where none is.

    Args:
        names: of the maps that a loss goes by.
        maps: by name; None, or not there: not given.
    """
    name = next((one for one in names if maps.get(one) is not None), names[-1])
    value = maps.get(name)
    return name, "uniform" if value is None else value
