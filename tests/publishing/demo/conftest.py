"""Students and teachers with random weights, saved with their tokenizers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import make_teacher
from transformers import BertTokenizer

from tinybert_hf.checkpoints import save_atomically
from tinybert_hf.model import TinyBertConfig, TinyBertForSequenceClassification


@pytest.fixture
def save_student(
    tmp_path: Path, tiny_config: Callable[..., TinyBertConfig], tiny_tokenizer: BertTokenizer
) -> Callable[..., str]:
    """Save a TinyBERT classifier, with a run.json beside it where `recipe` is given."""

    def save(
        name: str = "student",
        labels: tuple[str, ...] = ("negative", "positive"),
        problem: str | None = None,
        recipe: dict[str, Any] | None = None,
        seed: int = 0,
        **changes: Any,
    ) -> str:
        torch.manual_seed(seed)
        names = dict(enumerate(labels))
        config = tiny_config(
            id2label=names, label2id={label: i for i, label in names.items()}, problem_type=problem, **changes
        )
        save_atomically(TinyBertForSequenceClassification(config), tiny_tokenizer, tmp_path / name)
        if recipe is not None:
            (tmp_path / name / "run.json").write_text(json.dumps({"recipe": recipe}), encoding="utf-8")
        return str(tmp_path / name)

    return save


@pytest.fixture
def recipe() -> Callable[..., dict[str, Any]]:
    """The part of a run's recipe that a demonstration reads."""

    def make(teacher: str | None, **data: Any) -> dict[str, Any]:
        return {"data": {"dataset": None, **data}, "teacher": {"model": teacher}}

    return make


@pytest.fixture
def save_teacher(tmp_path: Path) -> Callable[..., str]:
    """Save a BERT classifier in a folder of this name."""
    return lambda name="teacher", **options: make_teacher(tmp_path / name, **options)
