"""What a general distillation cannot do, and what only it can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinybert_hf.data.settings import DataSettings
from tinybert_hf.errors import RecipeError

if TYPE_CHECKING:
    from tinybert_hf.recipes.schema import Recipe

_LOSSES = ("attention_loss", "hidden_state_loss", "embedding_loss", "label_loss")


def check_general(recipe: Recipe) -> None:
    """Refuse what does not belong to the task of a recipe, where it would be passed over in silence.

    Raises:
        RecipeError: naming the field.
    """
    corpus = recipe.corpus
    if not recipe.is_general:
        if corpus is not None:
            raise RecipeError(
                "corpus: plain text is for `task: general` (tinybert distill general); the rows of this task are "
                "named in `data` (--train-file, --validation-file)"
            )
        return
    usual = DataSettings()
    for name in vars(usual):
        if getattr(recipe.data, name) != getattr(usual, name):
            raise RecipeError(f"data.{name}: a general distillation reads no rows with labels; its text is `corpus`")
    if corpus is None:
        raise RecipeError("corpus: a general distillation needs text; name files (--corpus) or a dataset (--dataset)")
    for path, value in (
        ("baseline", recipe.baseline),
        ("teacher.finetune", recipe.teacher.finetune),
        ("teacher.config", recipe.teacher.config),
    ):
        if value is not None:
            raise RecipeError(f"{path}: there are no labels to train on in a general distillation; leave it out")
    if recipe.prune_vocabulary is not None:
        raise RecipeError(
            "prune_vocabulary: a task distillation goes on with the tokens of the general student's teacher; prune "
            "the student of the task, or this one afterwards (tinybert prune-vocabulary)"
        )
    if recipe.metric is not None or recipe.further_metrics:
        raise RecipeError(
            "metric: a general distillation is measured by its losses; leave metric and further_metrics out"
        )
    if recipe.further_teachers:
        raise RecipeError("further_teachers: a general distillation has one teacher")
    _check_losses(recipe)


def _check_losses(recipe: Recipe) -> None:
    assert recipe.corpus is not None
    for index, phase in enumerate(recipe.phases):
        losses = phase.loss_weights()
        wrong = sorted(set(losses) - set(_LOSSES))
        if wrong:
            raise RecipeError(
                f"phases.{index}: the teacher of a general distillation has no head, so there is no {wrong[0]}; call "
                f"the phase intermediate, or set {wrong[0]}_weight: 0"
            )
        if "label_loss" in losses and not recipe.corpus.masked_share:
            raise RecipeError(
                f"phases.{index}.label_loss_weight: without masked tokens there is nothing to find; set "
                "corpus.masked_share: 0.15 (--masked-lm)"
            )
        if phase.teacher_cache:
            raise RecipeError(f"phases.{index}.teacher_cache: not for a general distillation, whose corpus is large")
