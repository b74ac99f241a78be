"""Entities and words, counted by hand; and a saved token classifier, measured on every word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_entities
from tiny_run import write_rows
from transformers import EvalPrediction, pipeline

from tinybert_hf.data import DataSettings
from tinybert_hf.errors import DataError, TinyBertError
from tinybert_hf.evaluation import (
    evaluate_any_checkpoint,
    main_metric,
    task_of_checkpoint,
    token_metrics_for,
    token_scores,
)
from tinybert_hf.evaluation import token_scores as function
from tinybert_hf.evaluation.metrics import check_can_count

pytest.importorskip("seqeval")


def test_entities_are_right_as_a_whole_only() -> None:
    """Of three entities one is found; of four that are said, one is right."""
    gold = [["B-a", "I-a", "O", "B-b"], ["O", "B-a"], []]
    said = [["B-a", "I-a", "O", "B-a"], ["B-a", "I-a"], []]
    assert token_scores(said, gold, entities=True) == pytest.approx(
        {"f1": 2 / 6, "precision": 1 / 3, "recall": 1 / 3, "accuracy": 3 / 6}
    )
    assert token_scores([["I-a", "I-a"]], [["B-a", "I-a"]], entities=True)["f1"] == 1.0, "as the CoNLL script counts"
    assert token_scores([["O"]], [["O"]], entities=True)["f1"] == 0.0
    assert token_scores([["X", ""]], [["X", "Y"]], entities=False) == {"accuracy": 0.5}
    assert main_metric("token-classification", ("O", "B-a")) == "f1"
    assert main_metric("token-classification", ("X", "Y")) == "accuracy"


def test_what_the_trainer_shows_leaves_padding_out() -> None:
    labels = np.array([[-100, 1, 2, -100], [-100, 0, -100, -100]])
    logits = np.full((2, 4, 3), -100.0)
    for row, place, answer in ((0, 1, 1), (0, 2, 2), (1, 1, 1), (0, 0, 1), (0, 3, 1)):
        logits[row, place, answer] = 5.0
    found = token_metrics_for(("O", "B-a", "I-a"))(EvalPrediction(predictions=logits, label_ids=labels))
    assert found == pytest.approx({"f1": 2 / 3, "precision": 0.5, "recall": 1.0, "accuracy": 2 / 3})


def test_a_missing_library_is_named_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = __import__(function.__module__, fromlist=["find_spec"])
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(TinyBertError, match=r'pip install "tinybert_hf\[ner\]"'):
        check_can_count("token-classification", ["B-place"])
    check_can_count("token-classification", ["NOUN"])


def test_a_checkpoint_is_measured_on_every_word(tmp_path: Path) -> None:
    """As the pipeline answers the first piece of each word; long rows count whole."""
    folder = tiny_entities.make_teacher(tmp_path / "teacher")
    rows = [*tiny_entities.rows(10), {"tokens": [], "ner_tags": []}]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    assert task_of_checkpoint(folder) == "token-classification"
    found = evaluate_any_checkpoint(folder, DataSettings(validation_file=file), device="cpu")
    assert found.pop("notes") == [f"{file}: 1 of 11 rows have no words: kept, and have nothing to answer."]
    assert ("warnings" in found) == (found["f1"] == 0)
    found.pop("warnings", None)
    label = pipeline("token-classification", folder, device="cpu")
    said = []
    for row in rows:
        starts = [sum(map(len, row["tokens"][:word])) + word for word in range(len(row["tokens"]))]
        answers = (
            {one["start"]: one["entity"] for one in label(" ".join(row["tokens"]), ignore_labels=[])} if starts else {}
        )
        said.append([answers[start] for start in starts])
    assert found == token_scores(said, [row["ner_tags"] for row in rows], entities=True)

    names = ("tokens", "ner_tags")
    long = [{name: [value for row in tiny_entities.rows(10) for value in row[name]] for name in names}]
    file = write_rows(tmp_path / "long.jsonl", long)
    found = evaluate_any_checkpoint(folder, DataSettings(validation_file=file, max_length=24), device="cpu")
    assert "overlapping windows; no word is cut off" in found["notes"][0]
    assert 0 <= found["accuracy"] <= 1


def test_labels_of_another_task_are_refused(tmp_path: Path) -> None:
    folder = tiny_entities.make_teacher(tmp_path / "teacher", ("O", "B-x", "I-x", "B-y", "I-y"))
    file = write_rows(tmp_path / "rows.jsonl", tiny_entities.rows(10))
    with pytest.raises(DataError, match="no tag of column 'ner_tags' is among the labels"):
        evaluate_any_checkpoint(folder, DataSettings(validation_file=file), device="cpu")
