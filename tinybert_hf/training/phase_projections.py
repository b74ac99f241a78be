"""The projections that a phase begins with: new ones, those of the phase before, or those a student came with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from tinybert_hf.distillation.objective import Objective
from tinybert_hf.distillation.projections import AnyProjections, Projections
from tinybert_hf.distillation.shapes import is_translator
from tinybert_hf.distillation.teachers import AnyTeacher
from tinybert_hf.opening import PROJECTIONS_FILE
from tinybert_hf.training.phase import Phase
from tinybert_hf.training.preparation import new_projections


def _projections_of(student: PreTrainedModel, teacher: AnyTeacher, phase: Phase) -> AnyProjections:
    """New projections as this phase makes them."""
    has_decoder = is_translator(student)
    losses = tuple(phase.loss_weights(has_decoder=has_decoder))
    named = phase.named_losses
    objective = Objective.between(student, teacher, losses=losses, named=named, **phase.layer_maps)
    return new_projections(phase.projection, student, teacher, objective)


def kept_projections(work: Path, student: PreTrainedModel, teacher: AnyTeacher, phase: Phase) -> AnyProjections | None:
    """The projections that a finished phase ended with."""
    if not (work / PROJECTIONS_FILE).is_file():
        return None
    projections = _projections_of(student, teacher, phase)
    projections.load_state_dict(load_file(work / PROJECTIONS_FILE))
    return projections


def projections_from(
    kept: Mapping[str, Tensor], student: PreTrainedModel, teacher: AnyTeacher, phase: Phase
) -> Projections | None:
    """The projections of a phase, begun with those that a student was saved with.

    One map for all layers serves as the start of one for each.

    Args:
        kept: from `read_projections`.
        student: the model that they were saved with.
        teacher: of the phase.
        phase: says which layers are projected, and how.

    Returns:
        None where the phase projects nothing, or where they are for a teacher of another width.
    """
    made = _projections_of(student, teacher, phase)
    if not isinstance(made, Projections) or made.is_empty:
        return None
    state = {}
    for name, value in made.state_dict().items():
        part = name.rpartition(".")[2]
        start = kept.get(name, kept.get(f"maps.shared.{part}"))
        if start is None or start.shape != value.shape:
            return None
        state[name] = start
    made.load_state_dict(state)
    return made


def that_fit(
    projections: AnyProjections | None, student: PreTrainedModel, teacher: AnyTeacher, phase: Phase
) -> AnyProjections | None:
    """The projections of the phase before, where this phase would make the same ones; else None."""
    if projections is None or projections.is_empty:
        return None
    return projections if projections.same_as(_projections_of(student, teacher, phase)) else None
