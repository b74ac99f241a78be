"""A whole translation run small enough for a test: 40 pairs of words that are exchanged one by one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console
from tiny_run import write_rows
from tiny_translator import in_german, sentence

from tinybert_hf.recipes.loader import apply_overrides, build
from tinybert_hf.recipes.report import RunReport
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe

STUDENT: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_decoder_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 24,
}
BEAMS = 2
LABELS_ALONE = {
    "name": "prediction",
    "epochs": 1,
    "prediction_loss_weight": 0.0,
    "label_loss_weight": 1.0,
    "batch_size": 16,
}


def pairs(count: int = 40, seed: int = 0) -> list[dict[str, Any]]:
    """English and German; some sentences of more words than the teacher has learnt."""
    sources = [sentence(1 + index % 6, 100 * seed + index) for index in range(count)]
    return [{"en": source, "de": in_german(source)} for source in sources]


def recipe_mapping(folder: Path, model: str, **changes: Any) -> dict[str, Any]:
    """A recipe over files in `folder`, as YAML would give it; makes the files."""
    mapping: dict[str, Any] = {
        "name": "tiny",
        "task": "translation",
        "data": {
            "train_file": write_rows(folder / "train.jsonl", pairs()),
            "validation_file": write_rows(folder / "validation.jsonl", pairs(12, seed=7)),
            "source_column": "en",
            "target_column": "de",
            "max_length": 16,
        },
        "teacher": {"model": model},
        "student": {"preset": "seq2seq-3-1-128d", "overrides": STUDENT},
        "pseudo_labels": {"num_beams": BEAMS},
        "phases": [{**LABELS_ALONE, "prediction_loss_weight": 1.0, "epochs": 2, "learning_rate": 5e-3}],
        "baseline": {"epochs": 2, "batch_size": 16, "learning_rate": 5e-3},
        "training_arguments": {"use_cpu": True},
        "output_dir": str(folder / "out"),
    }
    return {**mapping, **changes}


def recipe(folder: Path, model: str, *assignments: str, **changes: Any) -> Recipe:
    """The recipe as a value."""
    return build(Recipe, apply_overrides(recipe_mapping(folder, model, **changes), assignments))


def run(folder: Path, model: str, *assignments: str, **changes: Any) -> tuple[RunReport, str]:
    """The report of a run, and what it printed."""
    console = Console(record=True, width=120, file=io.StringIO())
    report = run_recipe(recipe(folder, model, *assignments, **changes), console)
    return report, console.export_text()
