"""What --epochs, --teacher-epochs, --baseline-epochs and --batch-size change in a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import typer


class Epochs(NamedTuple):
    """Epochs that were given: of each phase, of the teacher's fine-tuning, and of the baseline."""

    phase: float | None = None
    teacher: float | None = None
    baseline: float | None = None


def phase_overrides(
    recipe: str,
    overrides: Mapping[str, Any],
    epochs: Epochs,
    batch_size: int | None,
    *,
    with_baseline: bool = False,
) -> dict[str, Any]:
    """Every phase gets the epochs and the batch size, and what is compared with the phases follows.

    The baseline gets the epochs of all phases together, since the two are to see equally many rows, unless it is
    given epochs of its own. The fine-tuning of a teacher is another training and has only epochs of its own. The batch
    size holds for the baseline and for the fine-tuning of a teacher too, which need as much memory.

    Args:
        recipe: name or file.
        overrides: the changes by the other options, by dotted path.
        epochs: that were given.
        batch_size: rows of a step, or None.
        with_baseline: a baseline is wanted even where the recipe has none.

    Returns:
        Further changes by dotted path.

    Raises:
        RecipeError: the recipe cannot be read.
        BadParameter: epochs of a training that the run does not have.
    """
    from tinybert_hf.recipes.loader import read_recipe
    from tinybert_hf.recipes.overrides import set_value

    given = {"epochs": epochs.phase, "batch_size": batch_size}
    wanted = {name: value for name, value in given.items() if value is not None}
    if not wanted and epochs == Epochs():
        return {}
    mapping = read_recipe(recipe)
    for path, value in overrides.items():
        set_value(mapping, path, value)
    changed: dict[str, Any] = {}
    phases = mapping.get("phases")
    if phases is None and wanted:
        from tinybert_hf.recipes.schema import Recipe

        phases = [{"name": phase.name} for phase in Recipe.phases]  # the default of the field
        changed["phases"] = phases
    if wanted and not isinstance(phases, list):
        return {}  # the loader says what is wrong with them
    for index in range(len(phases or ())):
        changed |= {f"phases.{index}.{name}": value for name, value in wanted.items()}
    if with_baseline or mapping.get("baseline") is not None:
        changed |= {f"baseline.{name}": value for name, value in wanted.items()}
        if epochs.phase is not None:
            changed["baseline.epochs"] = None  # as many as all phases together, whatever --set says of one
        if epochs.baseline is not None:
            changed["baseline.epochs"] = epochs.baseline
    elif epochs.baseline is not None:
        raise typer.BadParameter("--baseline-epochs: this run has no baseline; add one with --baseline")
    teacher = mapping.get("teacher")
    own = {"batch_size": batch_size, "epochs": epochs.teacher}
    if isinstance(teacher, Mapping) and teacher.get("finetune") is not None:
        changed |= {f"teacher.finetune.{name}": value for name, value in own.items() if value is not None}
    elif epochs.teacher is not None:
        raise typer.BadParameter(
            "--teacher-epochs: no teacher is fine-tuned in this run; a pretrained one is with --finetune-teacher"
        )
    return changed
