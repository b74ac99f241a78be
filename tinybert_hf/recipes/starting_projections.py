"""The projections that a student from a general distillation or a conversion brings to its next run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tinybert_hf.distillation.projections import AnyProjections
from tinybert_hf.distillation.teachers import AnyTeacher
from tinybert_hf.opening import read_projections
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
        "way (its projection), or to a teacher of another width."
    )
    return found
