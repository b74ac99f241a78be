"""The learning rates that a recipe leaves to the student's width."""

from __future__ import annotations

from dataclasses import replace

from tinybert_hf.distillation.shapes import encoder_shape
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
