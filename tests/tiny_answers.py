"""Questions whose answers stand in a text, small enough for a test, and a BERT that answers them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_run import STUDENT, write_rows
from transformers import BertConfig, BertForQuestionAnswering, BertModel, set_seed

from tinybert_hf.data import train_wordpiece_tokenizer

NAMES, PLACES = ("ada", "emil", "noor", "ines"), ("paris", "oslo", "lima", "cairo")


def rows(count: int = 32, unanswerable: bool = False) -> list[dict[str, Any]]:
    """Who lives where; with `unanswerable` every fourth question is about somebody else."""
    made: list[dict[str, Any]] = []
    for index in range(count):
        name, place = NAMES[index % 4], PLACES[index // 4 % 4]
        context = f"the sun was warm . {name} lives in {place} . the rest is quiet , number {index}"
        answers = {"text": [place], "answer_start": [context.index(place)]}
        if unanswerable and index % 4 == 3:
            name, answers = NAMES[0], {"text": [], "answer_start": []}
        made.append({"id": f"q{index}", "question": f"where lives {name} ?", "context": context, "answers": answers})
    return made


def make_teacher(folder: Path, *, head: bool = True) -> str:
    """Save a small BERT with its tokenizer; its head for answers is random."""
    set_seed(0)
    texts = [f"{row['question']} {row['context']}" for row in rows()]
    tokenizer = train_wordpiece_tokenizer(texts, vocab_size=150, max_length=64)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
        num_labels=2 if head else 3,  # a pretrained model may come from another task
    )
    (BertForQuestionAnswering if head else BertModel)(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def recipe_mapping(folder: Path, model: str, *, unanswerable: bool = False, **changes: Any) -> dict[str, Any]:
    """A recipe over files in `folder`, as YAML would give it; makes the files."""
    mapping: dict[str, Any] = {
        "name": "tiny",
        "task": "question-answering",
        "data": {
            "train_file": write_rows(folder / "train.jsonl", rows(unanswerable=unanswerable)),
            "validation_file": write_rows(folder / "validation.jsonl", rows(12, unanswerable)),
            "max_length": 24,
        },
        "teacher": {"model": model},
        "student": {"preset": "4l-312d", "overrides": STUDENT},
        "phases": [
            {"name": "intermediate", "epochs": 1, "batch_size": 16},
            {"name": "prediction", "epochs": 2, "batch_size": 16},
        ],
        "baseline": {"epochs": 1, "batch_size": 16},
        "training_arguments": {"use_cpu": True},
        "output_dir": str(folder / "out"),
    }
    return {**mapping, **changes}
