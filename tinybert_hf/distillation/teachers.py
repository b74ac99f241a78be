"""Several teachers at once, and teachers that read tokens of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import nn

from tinybert_hf.distillation.layer_map import LayerMapSpec
from tinybert_hf.distillation.vocabularies import different_tokens
from tinybert_hf.errors import CaptureError, TeacherError, check_number

if TYPE_CHECKING:
    from transformers import PreTrainedModel

AnyTeacher: TypeAlias = "PreTrainedModel | Teachers"


class Teachers(nn.Module):
    """Models that a student learns from together.

    The prediction loss is towards the weighted mean of their probabilities (of their values in a regression), a loss
    between layers the weighted mean of the losses towards each. Only the proportions of the weights matter.

    Attributes:
        models: the teachers.
        weights: of each, with the sum 1.
        layer_maps: of each; None: as the student's arguments say; "none": no loss between layers for this one.
        tokenizers: of each; None: it reads the student's tokens.
        differences: of each, tokens with another id than in the student's tokenizer; where there are any, the
            teacher reads columns of its own (see `columns_of`).
    """

    def __init__(
        self,
        models: Sequence[PreTrainedModel],
        weights: Sequence[float] | None = None,
        *,
        layer_maps: Sequence[LayerMapSpec | None] | None = None,
        tokenizers: Sequence[Any] | None = None,
    ) -> None:
        """Check that there is one of everything for each teacher.

        Args:
            models: one or more, fine-tuned on the same labels; their order of the labels may differ.
            weights: above 0; None: all the same.
            layer_maps: any form that `resolve_layer_map` reads, None, or "none".
            tokenizers: where a teacher may have another one than the student.

        Raises:
            TeacherError: no teacher, another number of anything than of teachers, or a weight that is not above 0.
        """
        super().__init__()
        if not models:
            raise TeacherError("The list of teachers is empty: give one model or more.")
        for name, given in (("weights", weights), ("layer_maps", layer_maps), ("tokenizers", tokenizers)):
            if given is not None and len(given) != len(models):
                raise TeacherError(
                    f"There are {len(models)} teachers and {len(given)} {name.replace('_', ' ')}: give one for each "
                    "teacher, in their order."
                )
        self.models = nn.ModuleList(models)
        self.weights = shares([1.0] * len(models) if weights is None else weights)
        self.layer_maps = tuple(layer_maps or [None] * len(models))
        self.tokenizers = tuple(tokenizers or [None] * len(models))
        self.differences: tuple[tuple[str, ...], ...] = ((),) * len(models)

    def beside(self, tokenizer: Any) -> Teachers:
        """The same teachers, their vocabularies compared with the student's.

        Args:
            tokenizer: of the student.

        Returns:
            Others with the same models, and `differences` filled in.

        Raises:
            TeacherError: a teacher's tokenizer is given, and the student's is not.
        """
        other = Teachers(
            list(self.models),  # type: ignore[arg-type]
            self.weights,
            layer_maps=self.layer_maps,
            tokenizers=self.tokenizers,
        )
        if any(own is not None for own in self.tokenizers) and not hasattr(tokenizer, "get_vocab"):
            raise TeacherError(
                "Teachers were given with their tokenizers, to be compared with the student's, which is not given: "
                "add processing_class=tokenizer."
            )
        other.differences = tuple(
            () if own is None else tuple(different_tokens(own, tokenizer)) for own in self.tokenizers
        )
        return other

    def name_of(self, index: int) -> str:
        """A teacher in the words of a message."""
        return f"teachers[{index}] ({type(self.models[index]).__name__})"

    def batch_of(self, index: int, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a teacher reads of a batch: the student's tokens, or its own.

        Args:
            index: of the teacher.
            batch: as the collator makes it.

        Returns:
            The batch itself, or the columns of this teacher under their usual names.

        Raises:
            CaptureError: the batch lacks the tokens of a teacher that has its own.
        """
        if not self.differences[index]:
            return batch
        prefix = columns_of(index)
        own = {name.removeprefix(prefix): value for name, value in batch.items() if name.startswith(prefix)}
        if "input_ids" not in own:
            raise CaptureError(
                f"{self.name_of(index)} reads other tokens than the student, for example "
                f"{', '.join(self.differences[index])} (its id and the student's), and the rows have no column "
                f"{prefix}input_ids. Add what its tokenizer makes of each row: "
                f"with_teacher_tokens(rows, its_rows, teacher={index})."
            )
        return own


def columns_of(index: int) -> str:
    """What the columns with a teacher's own tokens begin with."""
    return f"teacher_{index}_"


def settled(teacher: AnyTeacher | Sequence[PreTrainedModel], tokenizer: Any) -> AnyTeacher:
    """The teachers beside the student's tokenizer; one that reads the same tokens is the model itself.

    Args:
        teacher: a model, several, or `Teachers`.
        tokenizer: of the student; None: not known.

    Raises:
        TeacherError: as Teachers.
    """
    if isinstance(teacher, Sequence):
        teacher = Teachers(teacher)
    if not isinstance(teacher, Teachers):
        return teacher
    teacher = teacher.beside(tokenizer)
    if len(teacher.models) == 1 and teacher.layer_maps == (None,) and not any(teacher.differences):
        only: Any = teacher.models[0]
        return only  # type: ignore[no-any-return]
    return teacher


def as_teachers(teacher: AnyTeacher | Sequence[PreTrainedModel]) -> Teachers:
    """Any kind of teacher as `Teachers`: one model as a tuple of one."""
    if isinstance(teacher, Teachers):
        return teacher
    return Teachers(teacher if isinstance(teacher, Sequence) else [teacher])


def each_teacher(teacher: Any) -> list[PreTrainedModel]:
    """The models of any kind of teacher."""
    return list(teacher.models) if isinstance(teacher, Teachers) else [teacher]


def shares(weights: Sequence[float]) -> tuple[float, ...]:
    """Weights with the sum 1.

    Raises:
        TeacherError: one of them is not above 0 and finite.
    """
    for index, weight in enumerate(weights):
        # A teacher that is not to count is left out.
        check_number(weight, f"The weight of teachers[{index}]", error=TeacherError)
    return tuple(weight / math.fsum(weights) for weight in weights)
