"""A whole run small enough for a test: 48 rows, and a teacher of 4 layers and width 32 with a trained head."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from transformers import BertConfig, BertForSequenceClassification, Trainer, set_seed

from tinybert_hf.data import train_wordpiece_tokenizer
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe

NOUNS = ("film", "plot", "cast", "scene", "song", "play")
PRAISE, BLAME = ("good", "bright", "fine", "warm"), ("bad", "dull", "weak", "cold")


def rows(count: int = 48, labels: tuple[Any, Any] = ("negative", "positive")) -> list[dict[str, Any]]:
    """Sentences of praise and blame, half and half."""
    made = []
    for index in range(count):
        positive = index % 2
        word = (PRAISE if positive else BLAME)[index // 2 % 4]
        made.append({"text": f"the {NOUNS[index % 6]} was {word} number {index}", "label": labels[positive]})
    return made


def write_rows(path: Path, content: Iterable[dict[str, Any]]) -> str:
    """Write JSON lines; returns the path as a command line takes it."""
    path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    return str(path)


def make_teacher(
    folder: Path,
    *,
    labels: tuple[str, ...] = ("negative", "positive"),
    head: bool = True,
    texts: Iterable[str] | None = None,
    **shape: Any,
) -> str:
    """Save a small BERT with its tokenizer; without `head` it is a pretrained model only."""
    set_seed(0)
    tokenizer = train_wordpiece_tokenizer(texts or [row["text"] for row in rows()], vocab_size=120, max_length=64)
    size = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64}
    size |= {"max_position_embeddings": 64, **shape}
    config = BertConfig(
        vocab_size=len(tokenizer),
        initializer_range=0.2,
        **size,
        id2label=dict(enumerate(labels)),
        label2id={name: index for index, name in enumerate(labels)},
    )
    model = BertForSequenceClassification(config)
    (model if head else model.bert).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


STUDENT: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}


def recipe_mapping(folder: Path, model: str, **changes: Any) -> dict[str, Any]:
    """A recipe over files in `folder`, as YAML would give it; makes the files."""
    mapping: dict[str, Any] = {
        "name": "tiny",
        "data": {
            "train_file": write_rows(folder / "train.jsonl", rows()),
            "validation_file": write_rows(folder / "validation.jsonl", rows(16)),
            "max_length": 16,
        },
        "teacher": {"model": model},
        "student": {"preset": "4l-312d", "overrides": STUDENT},
        "phases": [
            {"name": "intermediate", "epochs": 1, "batch_size": 16},
            {"name": "prediction", "epochs": 1, "batch_size": 16},
        ],
        "baseline": {"epochs": 1, "batch_size": 16},
        "training_arguments": {"use_cpu": True},
        "output_dir": str(folder / "out"),
    }
    return {**mapping, **changes}


def carry_out(recipe: Recipe) -> tuple[dict[str, Any], str]:
    """run.json and what was printed."""
    console = Console(record=True, width=300, file=io.StringIO())
    run_recipe(recipe, console)
    return json.loads((Path(recipe.folder) / "run.json").read_text()), console.export_text()


def stop_at_step(patch: pytest.MonkeyPatch, trainer: type[Trainer], step: int) -> None:
    """As Ctrl-C in the step with this number, counted from 1."""
    whole, taken = trainer.training_step, iter(range(1, step))

    def training_step(self: Trainer, *args: Any, **kwargs: Any) -> Any:
        if next(taken, None) is None:
            raise KeyboardInterrupt
        return whole(self, *args, **kwargs)

    patch.setattr(trainer, "training_step", training_step)
