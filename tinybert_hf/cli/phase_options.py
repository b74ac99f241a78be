"""What --epochs and --batch-size change in a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def phase_overrides(
    recipe: str,
    overrides: Mapping[str, Any],
    epochs: float | None,
    batch_size: int | None,
    *,
    with_baseline: bool = False,
) -> dict[str, Any]:
    """Every phase gets the epochs and the batch size, and what is compared with the phases follows.

    The baseline gets the epochs of all phases together, since the two are to see equally many rows. The batch size
    holds for the baseline and for the fine-tuning of a teacher too, which need as much memory.

    Args:
        recipe: name or file.
        overrides: the changes by the other options, by dotted path.
        epochs: of each phase, or None.
        batch_size: rows of a step, or None.
        with_baseline: a baseline is wanted even where the recipe has none.

    Returns:
        Further changes by dotted path.

    Raises:
        RecipeError: the recipe cannot be read.
    """
    from tinybert_hf.recipes.loader import read_recipe
    from tinybert_hf.recipes.overrides import set_value

    wanted = {name: value for name, value in (("epochs", epochs), ("batch_size", batch_size)) if value is not None}
    if not wanted:
        return {}
    mapping = read_recipe(recipe)
    for path, value in overrides.items():
        set_value(mapping, path, value)
    changed: dict[str, Any] = {}
    phases = mapping.get("phases")
    if phases is None:
        from tinybert_hf.recipes.schema import Recipe

        phases = [{"name": phase.name} for phase in Recipe.phases]  # the default of the field
        changed["phases"] = phases
    if not isinstance(phases, list):
        return {}  # the loader says what is wrong with them
    for index in range(len(phases)):
        changed |= {f"phases.{index}.{name}": value for name, value in wanted.items()}
    if with_baseline or mapping.get("baseline") is not None:
        changed |= {f"baseline.{name}": value for name, value in wanted.items()}
        if epochs is not None:
            changed["baseline.epochs"] = epochs * len(phases)
    teacher = mapping.get("teacher")
    if batch_size is not None and isinstance(teacher, Mapping) and teacher.get("finetune") is not None:
        changed["teacher.finetune.batch_size"] = batch_size
    return changed
