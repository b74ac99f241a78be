"""The commands on rows of words: fine-tune, distil, evaluate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_entities
from tiny_run import STUDENT, write_rows

from tinybert_hf.errors import TinyBertError
from tinybert_hf.publishing import open_contest

Cli = Callable[..., Any]
pytest.importorskip("seqeval")


def test_fine_tune_distil_and_evaluate(tinybert: Cli, tmp_path: Path) -> None:
    rows = [{"words": row["tokens"], "tags": row["ner_tags"]} for row in tiny_entities.rows()]
    files = [
        "--train-file", write_rows(tmp_path / "train.jsonl", rows),
        "--validation-file", write_rows(tmp_path / "validation.jsonl", rows[:12]),
        "--tokens-column", "words", "--tags-column", "tags", "--max-length", "32", "--cpu",
    ]  # fmt: skip
    base = tiny_entities.make_teacher(tmp_path / "base", head=False)
    teacher, student = str(tmp_path / "teacher"), str(tmp_path / "student")
    tuned = tinybert("finetune", "--task", "ner", "--model", base, *files, "--output-dir", teacher, "--epochs", "1")
    assert tuned.exit_code == 0, tuned.output
    made = tinybert("distill", "ner", "--teacher", teacher, *files, "--output-dir", student, "--epochs", "1",
                    "--set", f"student.overrides={json.dumps(STUDENT)}", "--set", "baseline=null")  # fmt: skip
    assert made.exit_code == 0, made.output
    measured = tinybert("evaluate", student, "--validation-file", files[3], "--cpu", "--json")
    assert measured.exit_code == 0, measured.output
    report = json.loads((tmp_path / "student" / "run.json").read_text())
    assert json.loads(measured.stdout)["f1"] == report["metrics"]["student"]["f1"]
    assert report["task"] == "token-classification"
    with pytest.raises(TinyBertError, match="is for token classification, and this page shows text classifiers"):
        open_contest(student)
    card = tinybert("card", student)
    assert card.exit_code == 0, card.output
    assert "pipeline_tag: token-classification" in card.output


def test_a_wrong_task_names_the_known(tinybert: Cli, tmp_path: Path) -> None:
    result = tinybert("finetune", "--task", "nerr", "--model", "x", "--train-file", "a", "--validation-file", "b",
                      "--output-dir", str(tmp_path / "out"))  # fmt: skip
    assert result.exit_code == 2
    assert "token-classification, ner" in " ".join(result.output.split())
