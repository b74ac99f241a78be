"""How a run was made: its phases, its recipe, and how to make it again."""

from __future__ import annotations

from typing import Any

import yaml

from tinybert_hf.reporting.finished_run import FinishedRun
from tinybert_hf.reporting.words import LOSSES, setting
from tinybert_hf.training import Phase

_HEADS = ["phase", "losses", "epochs", "steps", "batch", "learning rate", "layer map", "minutes"]


def phases_table(run: FinishedRun) -> tuple[list[str], list[list[str]]]:
    """A line a phase: its heads and its rows."""
    rows = []
    for settings, done in zip(run.recipe["phases"], run.content["phases"], strict=True):
        phase = Phase(**settings)
        weights = phase.loss_weights(has_decoder=run.is_translation)
        losses = [LOSSES[name] + ("" if weight == 1 else f" × {weight:g}") for name, weight in weights.items()]
        batch = f"{phase.batch_size}"
        if phase.gradient_accumulation_steps > 1:
            batch += f" × {phase.gradient_accumulation_steps}"
        rows.append(
            [
                phase.name,
                ", ".join(losses),
                setting(phase.epochs),
                f"{done['steps']:,}",
                batch,
                setting(phase.learning_rate),
                setting(phase.layer_map if weights.keys() - {"prediction_loss", "label_loss"} else "none"),
                f"{done['seconds'] / 60:.1f}",
            ]
        )
    return _HEADS, rows


def compares_layers(run: FinishedRun, index: int) -> bool:
    """Whether a phase has a loss between layers."""
    losses = Phase(**run.recipe["phases"][index]).loss_weights(has_decoder=run.is_translation)
    return bool(losses.keys() - {"prediction_loss", "label_loss"})


def recipe_text(run: FinishedRun) -> str:
    """The recipe as a YAML file that `tinybert distill` takes; where it writes is left to the command."""
    recipe: dict[str, Any] = {name: value for name, value in run.recipe.items() if name != "output_dir"}
    return str(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=100))


def starts_from_teacher(run: FinishedRun) -> bool:
    """Whether the student's first weights were computed from the teacher's."""
    student = run.recipe["student"]
    start = student.get("start") or ("random" if run.is_translation else "teacher")
    return not student.get("model") and bool(start == "teacher")


def start_of(run: FinishedRun) -> str:
    """Where the student's first weights came from, in a sentence."""
    model = run.recipe["student"].get("model")
    if model:
        return f"The student began as {model}."
    taken = "weights taken from the teacher" if starts_from_teacher(run) else "random weights"
    return f"The student began with {taken}."
