"""What is odd about the figures of a run: models that know no more than the counts of the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinybert_hf.data import TaskData
from tinybert_hf.data.settings import SINGLE_LABEL
from tinybert_hf.distillation.teacher import majority_warning, order_warning
from tinybert_hf.evaluation import knows_nothing
from tinybert_hf.recipes.plan_encoder import EncoderPlan

_LEARN_MORE = "So it has not learnt the task. Give it more epochs or rows, or a higher learning rate."
_TUNE_MORE = (
    "It was fine-tuned in this run, so it has not learnt the task, and nothing can be learnt from it. Give its "
    "fine-tuning more epochs (--teacher-epochs), more rows, or a higher teacher.finetune.learning_rate."
)
_LOOK_AT_TEACHER = "Was it fine-tuned on this task and these labels, and long enough?"


def teacher_warnings(plan: EncoderPlan, figures: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """What to say of the teachers before a student learns from them.

    Args:
        plan: of the run.
        figures: of the teachers on the validation rows; under "each" those of each, where there are several.
        names: of the teachers.
    """
    each = figures.get("each", [figures])
    whose = ["The teacher"] if len(each) == 1 else [f"The teacher {name}" for name in names]
    configs = (plan.teacher_config,) if plan.joint is None else plan.joint.configs
    found = [
        _teacher_warning(plan, one, who, config, tuned_here=index == 0 and plan.recipe.teacher.finetune is not None)
        for index, (one, who, config) in enumerate(zip(each, whose, configs, strict=True))
    ]
    return [warning for warning in found if warning is not None]


def _teacher_warning(
    plan: EncoderPlan, figures: Mapping[str, Any], who: str, config: Any, *, tuned_here: bool
) -> str | None:
    # The labels of a teacher that was fine-tuned here are those of the rows: their order cannot be wrong.
    if plan.data.problem_type == SINGLE_LABEL and not tuned_here:
        assert plan.data.validation is not None
        who = who[0].lower() + who[1:]
        return order_warning(figures, who, config, plan.student_config) or majority_warning(
            figures["accuracy"],
            plan.data.validation["label"],
            who=who,
            teacher_names=[str(name) for name in config.id2label.values()],
            label_names=plan.data.label_names,
        )
    warning = knows_nothing(plan.data, figures, who)
    return None if warning is None else f"{warning} {_TUNE_MORE if tuned_here else _LOOK_AT_TEACHER}"


def student_warnings(data: TaskData, figures: Mapping[str, Any], who: str = "The student") -> list[str]:
    """What to say of a model that was trained here.

    Args:
        data: with the validation rows.
        figures: of the model on them.
        who: the model, at the beginning of a sentence.
    """
    warning = knows_nothing(data, figures, who)
    return [] if warning is None else [f"{warning} {_LEARN_MORE}"]
