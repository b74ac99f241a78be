"""Everything about a run that can be known before anything is trained."""

from __future__ import annotations

from tinybert_hf.data import TASKS
from tinybert_hf.errors import RecipeError
from tinybert_hf.recipes.fields import unknown_name
from tinybert_hf.recipes.folder import RunFolder
from tinybert_hf.recipes.plan_base import (
    Plan,
    check_metrics,
    check_phase_arguments,
    check_schedulers,
    check_training_arguments,
)
from tinybert_hf.recipes.plan_encoder import EncoderPlan, plan_encoder
from tinybert_hf.recipes.plan_general import GeneralPlan, corpus_content, plan_general
from tinybert_hf.recipes.plan_translation import TranslationPlan, plan_translation
from tinybert_hf.recipes.pruning import check_corpus, corpus_files
from tinybert_hf.recipes.schema import GENERAL, TRANSLATION, Recipe
from tinybert_hf.recipes.usual_settings import with_learning_rates

__all__ = [
    "EncoderPlan",
    "GeneralPlan",
    "Plan",
    "TranslationPlan",
    "check_training_arguments",
    "make_plan",
]

_A_CLASSIFIER = "a BERT that was fine-tuned on these labels, or any pretrained one together with --finetune-teacher"
_EXAMPLES = {
    TRANSLATION: "a translator of these languages, or one that `tinybert finetune` has trained on your pairs",
    GENERAL: "a pretrained BERT",
}
# Said about a run, not part of what it computes.
_NOT_COMPARED = ("name", "description", "output_dir", "card")


def named_models(recipe: Recipe) -> dict[str, str | None]:
    """Field -> folder or id of each model that a recipe names."""
    named = {"teacher.model": recipe.teacher.model, "student.model": recipe.student.model}
    named |= {f"further_teachers.{index}.model": one.model for index, one in enumerate(recipe.further_teachers)}
    return named if recipe.augmentation is None else {**named, "augmentation.model": recipe.augmentation.model}


def make_plan(recipe: Recipe) -> EncoderPlan | TranslationPlan | GeneralPlan:
    """Check a recipe against the world: data, teacher, student, layer maps, output folder, disk. Writes nothing.

    Raises:
        TinyBertError: anything that would stop the run later.
    """
    known = (*TASKS, GENERAL)
    if recipe.task not in known:
        raise RecipeError(unknown_name("task", recipe.task, known))
    check_training_arguments(recipe.training_arguments)
    check_schedulers(recipe)
    if recipe.teacher.model is None and recipe.teacher.config is None:
        raise RecipeError(
            "teacher.model: no teacher is given; name a folder or a Hub id (--teacher), for example "
            f"{_EXAMPLES.get(recipe.task, _A_CLASSIFIER)}"
        )
    recipe = with_learning_rates(recipe)
    settings = {name: value for name, value in recipe.as_dict().items() if name not in _NOT_COMPARED}
    if recipe.is_general:
        settings |= corpus_content(recipe)
    unlabelled = recipe.pseudo_labels.unlabelled_file if recipe.pseudo_labels is not None else None
    vectors = recipe.augmentation.glove_file if recipe.augmentation is not None else None
    further = (
        *recipe.data.further_validation_files.values(),
        *(file for file in (recipe.data.unlabelled_file, unlabelled, vectors) if file),
        *corpus_files(recipe),
    )
    folder = RunFolder(recipe.folder, settings, recipe.data, further_files=further, models=named_models(recipe))
    folder.check()
    check_corpus(recipe)
    if recipe.is_general:
        general = plan_general(recipe, folder)
        check_phase_arguments(general, None)
        return general
    plan = plan_translation(recipe, folder) if recipe.is_translation else plan_encoder(recipe, folder)
    check_metrics(recipe, plan.data.problem_type)
    check_phase_arguments(plan, None if recipe.is_translation else plan.data)
    return plan
