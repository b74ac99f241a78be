"""What is odd about the figures of a run: models that know no more than the counts of the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tinybert_hf.data.bio import marks_entities
from tinybert_hf.data.settings import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.distillation.teacher import majority_share, majority_warning, order_warning
from tinybert_hf.evaluation import main_metric
from tinybert_hf.recipes.plan_classification import ClassificationPlan

_NOTHING_LEARNT = {
    MULTI_LABEL: "gives no row one of its labels: no probability is above 1/2 where it should be.",
    REGRESSION: "gives numbers that do not rise with the right ones.",
}
_NO_ANSWER = "finds no answer, not even a part of one (f1 0)."
_LEARN_MORE = "So it has not learnt the task. Give it more epochs or rows, or a higher learning rate."
_LOOK_AT_TEACHER = "Was it fine-tuned on this task and these labels, and long enough?"


def teacher_warnings(plan: ClassificationPlan, figures: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """What to say of the teachers before a student learns from them.

    Args:
        plan: of the run.
        figures: of the teachers on the validation rows; under "each" those of each, where there are several.
        names: of the teachers.
    """
    each = figures.get("each", [figures])
    whose = ["The teacher"] if len(each) == 1 else [f"The teacher {name}" for name in names]
    if plan.data.problem_type != SINGLE_LABEL:
        said = (_knows_nothing(plan, one, who) for one, who in zip(each, whose, strict=True))
        return [f"{warning} {_LOOK_AT_TEACHER}" for warning in said if warning is not None]
    assert plan.data.validation is not None
    configs = (plan.teacher_config,) if plan.joint is None else plan.joint.configs
    found = [
        order_warning(one, who[0].lower() + who[1:], config, plan.student_config)
        or majority_warning(
            one["accuracy"],
            plan.data.validation["label"],
            who=who[0].lower() + who[1:],
            teacher_names=[str(name) for name in config.id2label.values()],
            label_names=plan.data.label_names,
        )
        for one, who, config in zip(each, whose, configs, strict=True)
    ]
    return [warning for warning in found if warning is not None]


def student_warnings(plan: ClassificationPlan, figures: Mapping[str, Any]) -> list[str]:
    """What to say of the student that the run has made.

    Args:
        plan: of the run.
        figures: of the student on the validation rows.
    """
    if plan.data.problem_type != SINGLE_LABEL:
        warning = _knows_nothing(plan, figures, "The student")
        return [] if warning is None else [f"{warning} {_LEARN_MORE}"]
    assert plan.data.validation is not None
    reached, majority = figures["accuracy"], majority_share(plan.data.validation["label"])
    if reached > majority:
        return []
    return [
        f"The student's accuracy is {reached:.4f}, no better than always answering the most frequent label "
        f"({majority:.4f}). {_LEARN_MORE}"
    ]


def _knows_nothing(plan: ClassificationPlan, figures: Mapping[str, Any], who: str) -> str | None:
    """The sentence about a model that knows nothing, where a row has not one label out of some."""
    data = plan.data
    if data.problem_type != TOKEN_CLASSIFICATION:
        nothing = _NOTHING_LEARNT.get(data.problem_type, _NO_ANSWER)
        return None if figures[main_metric(data.problem_type)] > 0 else f"{who} {nothing}"
    if marks_entities(data.label_names):
        return None if figures["f1"] > 0 else f"{who} finds no entity rightly (f1 0)."
    assert data.validation is not None
    counts = Counter(tag for row in data.validation["tags"] for tag in row)
    most = max(counts.values()) / counts.total()
    if figures["accuracy"] > most:
        return None
    return (
        f"{who}'s accuracy is {figures['accuracy']:.4f}, no better than always answering the most frequent tag "
        f"({most:.4f})."
    )
