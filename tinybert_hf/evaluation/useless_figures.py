"""Figures that say that a model knows no more of its task than the counts of the labels."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tinybert_hf.data import TaskData
from tinybert_hf.data.bio import marks_entities
from tinybert_hf.data.settings import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.data.tasks.translation import TRANSLATION
from tinybert_hf.distillation.teacher import constant_answer_warning, majority_share
from tinybert_hf.evaluation.metrics import main_metric

NEXT_TO_NOTHING = 2.0
"""Below this BLEU, translations and references share hardly more than the full stop."""
NOTHING_LIKE_IT = 25.0
"""Below this chrF they may share no more than the frequent letters: one sentence for every source reaches 23."""
_NOTHING_LEARNT = {REGRESSION: "gives numbers that do not rise with the right ones."}
_NO_ANSWER = "finds no answer, not even a part of one (f1 0)."


def knows_nothing(data: TaskData, figures: Mapping[str, Any], who: str) -> str | None:
    """What to say of a model that knows nothing; None where it knows something.

    Args:
        data: with the validation rows.
        figures: of the model on them, as `task_metrics` gives them, or with the BLEU of translations.
        who: the model, at the beginning of a sentence: "The student".
    """
    if data.problem_type == SINGLE_LABEL:
        assert data.validation is not None
        return _no_better(figures, majority_share(data.validation["label"]), who, "label")
    if data.problem_type == MULTI_LABEL:
        labels = [] if data.validation is None else list(data.validation["label"])
        return constant_answer_warning(figures[main_metric(MULTI_LABEL)], labels, who)
    if data.problem_type == TRANSLATION:
        return nothing_in_common(figures, who)
    if data.problem_type != TOKEN_CLASSIFICATION:
        nothing = _NOTHING_LEARNT.get(data.problem_type, _NO_ANSWER)
        return None if figures[main_metric(data.problem_type)] > 0 else f"{who} {nothing}"
    if marks_entities(data.label_names):
        return None if figures["f1"] > 0 else f"{who} finds no entity rightly (f1 0)."
    assert data.validation is not None
    counts = Counter(tag for row in data.validation["tags"] for tag in row)
    return _no_better(figures, max(counts.values()) / counts.total(), who, "tag")


def nothing_in_common(figures: Mapping[str, Any], who: str) -> str | None:
    """What to say of translations that are not those of the sources; None where they may be.

    However right they are, BLEU is 0 where no translation has four words in a row, and low in languages that put no
    spaces between words: a chrF that chance does not reach decides there.

    Args:
        figures: bleu, and chrf where it is known.
        who: as for `knows_nothing`.
    """
    bleu, chrf = figures["bleu"], figures.get("chrf", 0.0)
    if bleu >= NEXT_TO_NOTHING or chrf >= NOTHING_LIKE_IT:
        return None
    return (
        f"{who}'s BLEU is {bleu:.1f} and its chrF {chrf:.1f}: its translations have next to nothing in common with "
        "the references."
    )


def doubts_about(figures: Mapping[str, Any], data: TaskData) -> dict[str, list[str]]:
    """`warnings` to stand beside the figures of a saved model that knows nothing; nothing where it knows something."""
    warning = knows_nothing(data, figures, "The model")
    advice = "Was it trained for this task, with these labels, and long enough?"
    return {} if warning is None else {"warnings": [f"{warning} {advice}"]}


def _no_better(figures: Mapping[str, Any], most: float, who: str, what: str) -> str | None:
    if figures["accuracy"] > most or most == 1:  # of rows with one label nothing can be said
        return None
    return (
        f"{who}'s accuracy is {figures['accuracy']:.4f}, no better than always answering the most frequent {what} "
        f"({most:.4f})."
    )
