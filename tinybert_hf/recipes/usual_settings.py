"""What a recipe leaves open: learning rates, by the student's width, and epochs, by width and rows."""

from __future__ import annotations

from dataclasses import replace

from tinybert_hf.distillation.shapes import encoder_shape
from tinybert_hf.model import TinyBertConfig
from tinybert_hf.recipes.plan_base import open_student_config, preset_config
from tinybert_hf.recipes.schema import Recipe, StudentSettings
from tinybert_hf.training import Phase
from tinybert_hf.training.finetuning import USUAL_LEARNING_RATE


def with_learning_rates(recipe: Recipe) -> Recipe:
    """The recipe, each phase with the rate that it names or that is usual for the student; teacher and baseline too.

    A baseline that names none learns at that of the last phase. Where that names none either, at the usual one of a
    phase of answers alone, since it learns from labels alone.

    Raises:
        RecipeError: there is no such student.
    """
    student, teacher, baseline = recipe.student, recipe.teacher, recipe.baseline
    if teacher.finetune is not None and teacher.finetune.learning_rate is None:
        teacher = replace(teacher, finetune=replace(teacher.finetune, learning_rate=USUAL_LEARNING_RATE))
        recipe = replace(recipe, teacher=teacher)
    named = [phase.learning_rate for phase in recipe.phases]
    last = named[-1]
    if None in named:
        translates = recipe.is_translation
        # Those of translators do not depend on the width, and a preset may not be chosen yet.
        width = 0 if translates else _width(student, recipe)
        phases = tuple(phase.with_learning_rate(width, has_decoder=translates) for phase in recipe.phases)
        recipe = replace(recipe, phases=phases)
        last = last or Phase("prediction").usual_learning_rate(width, has_decoder=translates)
    if baseline is not None and baseline.learning_rate is None:
        recipe = replace(recipe, baseline=replace(baseline, learning_rate=last))
    return recipe


def _width(student: StudentSettings, recipe: Recipe) -> int:
    config = preset_config(recipe, {}) if student.model is None else open_student_config(student.model)
    return encoder_shape(config).width


def with_epochs(recipe: Recipe, student: TinyBertConfig, rows: int | None, further: int = 0) -> Recipe:
    """The recipe, its phases, its teacher and its baseline with the epochs that they name or that are usual.

    A baseline that names none reads the rows with labels as often as all phases together read them, or would without
    the further ones: fewer epochs over more rows are no reason for the student alone to learn less.

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
        each = (_of_all_rows(phase.with_epochs(rows, width, has_decoder=translates), rows) for phase in recipe.phases)
        baseline = replace(baseline, epochs=sum(each))
    return replace(recipe, phases=phases, teacher=teacher, baseline=baseline)


def _of_all_rows(phase: Phase, rows: int | None) -> float:
    """The epochs of a phase, as ones over all rows where it takes only the first of them."""
    epochs = phase.known_epochs
    return epochs * min(1.0, phase.train_rows / rows) if phase.train_rows and rows else epochs
