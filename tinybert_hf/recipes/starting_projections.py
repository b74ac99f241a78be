"""The projections that a student from a general distillation or a conversion brings to its next run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tinybert_hf.distillation.projections import AnyProjections
from tinybert_hf.distillation.teachers import AnyTeacher
from tinybert_hf.opening import HEADS, read_projections
from tinybert_hf.recipes.joint_teachers import join
from tinybert_hf.recipes.plan import EncoderPlan, GeneralPlan
from tinybert_hf.training import Phase, projections_from

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def projections_beside(
    model: str | None, student: PreTrainedModel, teacher: AnyTeacher, phase: Phase, say: Callable[[str], None]
) -> AnyProjections | None:
    """Those that lie beside a student, where the first phase can go on with them; the user is told.

    Args:
        model: folder or Hub id of the student; None: it is made from a preset.
        student: opened.
        teacher: of the run.
        phase: the first.
        say: prints a line.
    """
    kept = None if model is None else read_projections(model)
    if kept is None:
        return None
    found = projections_from(kept, student, teacher, phase)
    say(
        f"The projections of {model} are gone on with."
        if found is not None
        else f"Note: the projections of {model} are not used: the first phase projects nothing, or in another "
        "way (its projection), or to several teachers or one of another width."
    )
    return found


def described(plan: EncoderPlan | GeneralPlan) -> Iterator[str]:
    """Where the student starts, for a dry run."""
    model = plan.recipe.student.model
    if model is None:
        origin = "the teacher's weights" if plan.starts_from_teacher else "random weights"
        yield f"the student starts from: {origin}"
        return
    yield f"the student starts from: the weights of {model}"
    said: list[str] = []
    projections_beside(model, *_shapes(plan), plan.recipe.phases[0], said.append)
    yield from said or ["it brings no projections; the first phase makes its own"]


def _shapes(plan: EncoderPlan | GeneralPlan) -> tuple[PreTrainedModel, AnyTeacher]:
    """Both models without their weights, to see what would be projected."""
    from torch import device
    from transformers import AutoModel

    with device("meta"):
        if isinstance(plan, GeneralPlan):
            return plan.student_class(plan.student_config), AutoModel.from_config(plan.teacher_config)
        head = HEADS[plan.recipe.task]
        configs = (plan.teacher_config,) if plan.joint is None else plan.joint.configs
        teachers = [head.opener.from_config(config) for config in configs]
        student = head.student_class(plan.student_config)
    if plan.joint is None:
        return student, teachers[0]
    return student, join(plan.recipe, teachers, plan.joint.tokenizers)
