"""A checkpoint is opened once and handed on: how often a command opens config.json of its folder."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_answers
import tiny_entities
import tiny_run
import tiny_translator
from transformers import AutoModel, AutoTokenizer
from typer.testing import CliRunner

from tinybert_hf.checkpoints import save_atomically
from tinybert_hf.cli import app
from tinybert_hf.model import TinyBertConfig, TinyBertForSequenceClassification

_watched: list[Path] = []
_opened: list[str] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _watched and isinstance(arguments[0], str | os.PathLike):
        path = Path(arguments[0])
        if path.name == "config.json" and path.parent.resolve() == _watched[0]:
            _opened.append(str(path))


sys.addaudithook(_note)  # stays for the process, and notes nothing outside of a test


def openings(folder: str, call: Any) -> int:
    """How often config.json of a folder is opened in a call."""
    _watched[:], _opened[:] = [Path(folder).resolve()], []
    try:
        call()
    finally:
        _watched.clear()
    return len(_opened)


def of_texts(folder: Path) -> tuple[str, str]:
    return tiny_run.make_teacher(folder / "model"), tiny_run.write_rows(folder / "rows.jsonl", tiny_run.rows(8))


def of_a_student(folder: Path) -> tuple[str, str]:
    """With the manifest and the code that a TinyBERT is saved with."""
    teacher, rows = of_texts(folder)
    tokenizer = AutoTokenizer.from_pretrained(teacher)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    labels = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}
    config = TinyBertConfig(vocab_size=len(tokenizer), max_position_embeddings=24, **sizes, **labels)
    save_atomically(TinyBertForSequenceClassification(config), tokenizer, folder / "student")
    return str(folder / "student"), rows


def of_words(folder: Path) -> tuple[str, str]:
    rows = tiny_run.write_rows(folder / "rows.jsonl", tiny_entities.rows(8))
    return tiny_entities.make_teacher(folder / "model"), rows


def of_questions(folder: Path) -> tuple[str, str]:
    rows = tiny_run.write_rows(folder / "rows.jsonl", tiny_answers.rows(8))
    return tiny_answers.make_teacher(folder / "model"), rows


def of_pairs(folder: Path) -> tuple[str, str]:
    pairs = [{"source": "dog cat", "target": "hund katze"}] * 4
    return tiny_translator.save_translator(folder / "model"), tiny_run.write_rows(folder / "rows.jsonl", pairs)


@pytest.mark.parametrize("made", [of_texts, of_a_student, of_words, of_questions, of_pairs])
def test_evaluate_opens_the_configuration_once(made: Any, tmp_path: Path) -> None:
    folder, rows = made(tmp_path)

    def plain() -> None:
        AutoModel.from_pretrained(folder)
        AutoTokenizer.from_pretrained(folder)

    def evaluate() -> None:
        words = "--validation-file", rows, "--max-length", "24", "--cpu"
        result = CliRunner().invoke(app, ["evaluate", folder, *words])
        assert result.exit_code == 0, result.output

    # Twice more than there: it is looked at before transformers reads it, and its hash is compared.
    assert 2 <= openings(folder, evaluate) <= openings(folder, plain) + 2
