"""What a recipe leaves open: learning rates, by the student's width, and epochs, by width and rows."""

from __future__ import annotations

from dataclasses import replace

from tinybert_hf.distillation.shapes import encoder_shape
from tinybert_hf.model import TinyBertConfig
from tinybert_hf.recipes.plan_base import open_student_config, preset_config
from tinybert_hf.recipes.schema import Recipe


def with_learning_rates(recipe: Recipe) -> Recipe:
    """The recipe, each phase with the rate that it names or that is usual for the student, the baseline with the last.

    Raises:
        RecipeError: there is no such student.
    """
    student, baseline = recipe.student, recipe.baseline
    named = [phase.learning_rate for phase in recipe.phases]
    if None in named:
        config = preset_config(recipe, {}) if student.model is None else open_student_config(student.model)
        width = encoder_shape(config).width
        phases = tuple(phase.with_learning_rate(width, has_decoder=recipe.is_translation) for phase in recipe.phases)
        recipe = replace(recipe, phases=phases)
    if baseline is not None and baseline.learning_rate is None:
        recipe = replace(recipe, baseline=replace(baseline, learning_rate=recipe.phases[-1].learning_rate))
    return recipe


def with_epochs(recipe: Recipe, student: TinyBertConfig, rows: int | None, further: int = 0) -> Recipe:
    """The recipe, its phases, its teacher and its baseline with the epochs that they name or that are usual.

    A baseline that names none reads the rows with labels as often as all phases together read theirs, or would without
    the further ones.

    Args:
        recipe: with learning rates or without.
        student: its configuration.
        rows: with labels; None: they are not counted, as in a text.
        further: rows that only the phases learn from.
    """
    translates, width = recipe.is_translation, encoder_shape(student).width
    all_rows = None if rows is None else rows + further
    phases = tuple(phase.with_epochs(all_rows, width, has_decoder=translates) for phase in recipe.phases)
    teacher, baseline = recipe.teacher, recipe.baseline
    if teacher.finetune is not None:
        teacher = replace(teacher, finetune=teacher.finetune.with_epochs(rows, has_decoder=translates))
    if baseline is not None and baseline.epochs is None:
        each = (phase.with_epochs(rows, width, has_decoder=translates).epochs or 0 for phase in recipe.phases)
        baseline = replace(baseline, epochs=sum(each))
    return replace(recipe, phases=phases, teacher=teacher, baseline=baseline)
