"""Several teachers of a run, or one that reads other tokens than the student: opened, and checked before training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.settings import QUESTION_ANSWERING, SINGLE_LABEL
from tinybert_hf.distillation import Teachers, load_teacher
from tinybert_hf.distillation.losses.prediction import mixed_logits
from tinybert_hf.distillation.losses.spans import mixed_span_logits
from tinybert_hf.distillation.objective import Objective
from tinybert_hf.distillation.teachers import settled
from tinybert_hf.distillation.vocabularies import different_tokens
from tinybert_hf.errors import TinyBertError
from tinybert_hf.model import TinyBertConfig
from tinybert_hf.opening import HEADS
from tinybert_hf.recipes.plan_base import in_phase, open_encoder_config
from tinybert_hf.recipes.schema import Recipe
from tinybert_hf.recipes.translators import open_tokenizer
from tinybert_hf.training.preparation import new_projections

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class JointTeachers:
    """What is known about the teachers before they are opened.

    Attributes:
        configs: of all teachers, in their order.
        tokenizers: likewise.
        student_tokenizer: the first teacher's, or that of a student that exists already.
        differences: of each teacher, tokens with another id than the student's; such a teacher reads its own.
        objectives: of each phase.
    """

    configs: tuple[PreTrainedConfig, ...]
    tokenizers: tuple[PreTrainedTokenizerBase, ...]
    student_tokenizer: PreTrainedTokenizerBase
    differences: tuple[tuple[str, ...], ...]
    objectives: tuple[Objective, ...]


def plan_joint_teachers(
    recipe: Recipe,
    first: PreTrainedConfig,
    first_tokenizer: PreTrainedTokenizerBase,
    student_config: TinyBertConfig,
) -> JointTeachers | None:
    """Check all teachers against the student; None for one teacher that reads the student's tokens.

    Args:
        recipe: of the run.
        first: configuration of the first teacher.
        first_tokenizer: of the first teacher.
        student_config: of the student.

    Raises:
        TinyBertError: labels, layers or tokens that do not fit, with the phase and the teacher.
    """
    if not recipe.further_teachers and recipe.student.model is None:
        return None
    names = [one.model for one in recipe.further_teachers]
    configs = (first, *(open_encoder_config(name, recipe.task) for name in names))
    rest = (open_tokenizer(name, "teacher", config) for name, config in zip(names, configs[1:], strict=True))
    tokenizers, student_tokenizer = (first_tokenizer, *rest), first_tokenizer
    if recipe.student.model is not None:
        own = open_tokenizer(recipe.student.model, "student", student_config)
        if different_tokens(first_tokenizer, own, shown=1):
            student_tokenizer = own
    if not names and student_tokenizer is first_tokenizer:
        return None
    skeletons = [_skeleton(recipe.task, config) for config in configs]
    teachers = settled(join(recipe, skeletons, tokenizers), student_tokenizer)
    assert isinstance(teachers, Teachers)
    objectives = _objectives(recipe, student_config, teachers)
    return JointTeachers(configs, tokenizers, student_tokenizer, teachers.differences, objectives)


def join(recipe: Recipe, models: Sequence[PreTrainedModel], tokenizers: Sequence[PreTrainedTokenizerBase]) -> Teachers:
    """The teachers of a recipe as one value, with its weights and layer maps."""
    settings: list[Any] = [recipe.teacher, *recipe.further_teachers]
    return Teachers(
        models,
        [one.weight for one in settings],
        layer_maps=[one.layer_map for one in settings],
        tokenizers=tokenizers,
    )


def open_further_teachers(recipe: Recipe) -> list[PreTrainedModel]:
    """All teachers but the first.

    Raises:
        TeacherError: one cannot be opened, or was never fine-tuned.
    """
    return [
        load_teacher(one.model, task=recipe.task, dtype=one.dtype or "float32")[0] for one in recipe.further_teachers
    ]


def _skeleton(task: str, config: PreTrainedConfig) -> Any:
    """A model without weights, to ask what it is."""
    from torch import device

    with device("meta"):
        return HEADS[task].opener.from_config(config)


def _objectives(recipe: Recipe, student_config: TinyBertConfig, teachers: Teachers) -> tuple[Objective, ...]:
    from torch import device

    with device("meta"):
        student = HEADS[recipe.task].student_class(student_config)
    objectives = []
    for index, phase in enumerate(recipe.phases):
        try:
            objective = Objective.between(
                student,
                teachers,
                losses=tuple(phase.loss_weights()),
                named=phase.named_losses,
                temperature=phase.temperature,
                **phase.layer_maps,
            )
            new_projections(phase.projection, student, teachers, objective)
        except TinyBertError as error:
            raise in_phase(index, phase.name, error) from error
        objectives.append(objective)
    return tuple(objectives)


def mean_answers(logits: Sequence[Any], weights: Sequence[float], problem_type: str) -> Any:
    """Of the answers of several models, which are arrays, or lists of them for each row."""
    from torch import tensor

    if problem_type == QUESTION_ANSWERING:
        rows = ([tensor(one) for one in each] for each in zip(*logits, strict=True))
        return [mixed_span_logits(row, weights).numpy() for row in rows]
    if isinstance(logits[0], list):
        return [mean_answers(row, weights, SINGLE_LABEL) for row in zip(*logits, strict=True)]
    return mixed_logits([tensor(one) for one in logits], weights, problem_type).numpy()


def in_order(logits: Any, order: list[int]) -> Any:
    """The last axis of an array, or of each of a list of them, in another order."""
    return [one[..., order] for one in logits] if isinstance(logits, list) else logits[..., order]
