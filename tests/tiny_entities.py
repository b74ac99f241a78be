"""Rows of words with BIO tags, and a small teacher that labels words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_run import STUDENT, write_rows
from transformers import BertConfig, BertForTokenClassification, set_seed

from tinybert_hf.data import train_wordpiece_tokenizer

PEOPLE, PLACES = ("Ada", "Bob", "Cleo", "Dora"), ("Paris", "Rome", "York")
LABELS = ("O", "B-person", "I-person", "B-place", "I-place")


def rows(count: int = 40) -> list[dict[str, Any]]:
    """Half of the rows name a person and a place, the others a place of two words."""
    made: list[dict[str, Any]] = []
    for index in range(count):
        person, place = PEOPLE[index % 4], PLACES[index % 3]
        if index % 2:
            words, tags = [person, "Smith", "saw", place], ["B-person", "I-person", "O", "B-place"]
        else:
            words, tags = (
                ["rain", "over", "New", place, "again", f"number{index}"],
                ["O", "O", "B-place", "I-place", "O", "O"],
            )
        made.append({"tokens": words, "ner_tags": tags})
    return made


def tokenizer() -> Any:
    """Trained on the rows; it cuts some words into pieces."""
    return train_wordpiece_tokenizer([" ".join(row["tokens"]) for row in rows()], vocab_size=200, max_length=64)


def make_teacher(folder: Path, labels: tuple[str, ...] = LABELS, *, head: bool = True) -> str:
    """Save a small BERT with its tokenizer; without `head` it is a pretrained model only."""
    set_seed(0)
    pieces = tokenizer()
    config = BertConfig(
        vocab_size=len(pieces),
        max_position_embeddings=64,
        initializer_range=0.3 if head else 0.1,  # random answers differ more, training goes better
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=64,
        id2label=dict(enumerate(labels)),
        label2id={name: index for index, name in enumerate(labels)},
    )
    model = BertForTokenClassification(config)
    (model if head else model.bert).save_pretrained(folder)
    pieces.save_pretrained(folder)
    return str(folder)


def recipe_mapping(folder: Path, model: str, **changes: Any) -> dict[str, Any]:
    """A recipe over files in `folder`; makes the files."""
    mapping: dict[str, Any] = {
        "name": "tiny-entities",
        "task": "token-classification",
        "data": {
            "train_file": write_rows(folder / "train.jsonl", rows()),
            "validation_file": write_rows(folder / "validation.jsonl", rows(12)),
            "max_length": 32,
        },
        "teacher": {"model": model},
        "student": {"preset": "4l-312d", "overrides": STUDENT},
        "phases": [
            {"name": "intermediate", "epochs": 1, "batch_size": 16},
            {"name": "prediction", "epochs": 2, "batch_size": 16},
        ],
        "training_arguments": {"use_cpu": True},
        "output_dir": str(folder / "out"),
    }
    return {**mapping, **changes}
