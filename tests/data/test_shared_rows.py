"""Rows that are measured on and learnt from: held out of one file, or counted where they stand in both."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from tinybert_hf.data import TASKS, DataSettings, TaskData
from tinybert_hf.data.tasks import shared_rows_notes
from tinybert_hf.errors import DataError


def data(train: Any, validation: Any, **parts: Any) -> TaskData:
    made = [None if rows is None else Dataset.from_dict(rows) for rows in (train, validation)]
    return TaskData(*made, (), "any", **parts)


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        ({"text": ["a", "b", "c"], "label": [0, 1, 0]}, {"text": ["C", "d", " a\n"], "label": [1, 1, 0]}),
        (
            {"text": ["a", "a", "b"], "text_pair": ["x", "y", "z"]},
            {"text": ["a", "b", "a"], "text_pair": ["y", "y", "x"]},
        ),
        ({"tokens": [["a", "b"], ["c"], []]}, {"tokens": [["a"], ["c"], ["a", "b"]]}),
        (
            {"question": ["who", "who"], "context": ["it", "she"], "answers": ["1", "2"]},
            {"question": ["who", "who", "why"], "context": ["she", "it", "it"], "answers": ["3", "4", "5"]},
        ),
        ({"source": ["a", "b"], "target": ["x", "y"]}, {"source": ["a", "b", "c"], "target": ["z", "y", "w"]}),
    ],
    ids=["texts", "pairs", "words", "questions", "translation"],
)
def test_shared_rows_are_counted_by_what_a_model_reads(train: Any, validation: Any) -> None:
    (note,) = shared_rows_notes(data(train, validation))
    assert note.startswith("2 of 3 validation rows stand among the training rows too")


def test_each_part_is_counted_apart() -> None:
    further = {"mismatched": Dataset.from_dict({"text": ["q", "r"]})}
    rows = data({"text": ["a"]}, {"text": ["b"]}, further_validation=further)
    assert not list(shared_rows_notes(rows))
    rows = data(
        {"text": ["a"]}, {"text": ["b", "b"]}, further_validation=further,
        unlabelled=Dataset.from_dict({"text": ["b", "r", "s"]}),
    )  # fmt: skip
    assert [note.split(" too")[0] for note in shared_rows_notes(rows)] == [
        "2 of 2 validation rows stand among the unlabelled rows",
        "1 of 2 mismatched rows stands among the unlabelled rows",
    ]
    assert not list(shared_rows_notes(data(None, {"text": ["b"]})))
    assert not list(shared_rows_notes(data({"text": ["b"]}, None)))


ROWS: dict[str, Any] = {
    "text-classification": lambda n: {"text": f"number {n}", "label": ("even", "odd", "rare")[2 if n == 7 else n % 2]},
    "token-classification": lambda n: {"tokens": ["number", str(n)], "ner_tags": ["O", "B-rare" if n == 7 else "O"]},
    "question-answering": lambda n: {
        "question": f"Which {n}?", "context": f"It is {n}.", "answers": {"text": [f"{n}"], "answer_start": [6]}
    },
    "translation": lambda n: {"source": f"number {n}", "target": f"Nummer {n}"},
}  # fmt: skip


@pytest.mark.parametrize("task", ROWS)
@pytest.mark.parametrize("share", [0.1, "0.25", 0.05, 0.999])
def test_a_share_of_the_training_rows_is_held_out(tmp_path: Path, task: str, share: float | str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(ROWS[task](n)) + "\n" for n in range(40)))
    whole = TASKS[task].load(DataSettings(train_file=str(file)), need_validation=False)
    assert whole.train is not None
    every = [repr(row) for row in whole.train]
    found: dict[int, list[list[str]]] = {}
    for seed in (42, 42, 7):
        settings = DataSettings(train_file=str(file), validation_split=share, split_seed=seed)
        data = TASKS[task].load(settings)
        assert data.label_names == whole.label_names  # of all rows, whoever got the rare one
        parts = [[repr(row) for row in part] for part in (data.train, data.validation)]  # type: ignore[union-attr]
        # Of single labels each keeps a row to learn from, and there are three.
        assert len(parts[1]) == min(round(40 * float(share)), 37 if task == "text-classification" else 39)
        assert sorted(parts[0] + parts[1]) == sorted(every)
        assert all(part == [row for row in every if row in part] for part in parts)  # in the order of the file
        assert found.setdefault(seed, parts) == parts
        alone = TASKS[task].load(settings, need_train=False)
        assert alone.train is None
        assert [repr(row) for row in alone.validation] == parts[1]  # type: ignore[union-attr]
        alone = TASKS[task].load(settings, need_validation=False)
        assert alone.validation is None
        assert [repr(row) for row in alone.train] == parts[0]  # type: ignore[union-attr]
        capped = TASKS[task].load(replace(settings, max_train_rows=4, max_validation_rows=1))
        assert [repr(row) for row in capped.train] == parts[0][:4]  # type: ignore[union-attr]
        assert [repr(row) for row in capped.validation] == parts[1][:1]  # type: ignore[union-attr]
    assert found[42] != found[7]


def test_every_label_gives_its_share(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    labels = ["neg"] * 60 + ["pos"] * 30 + ["odd"] * 10
    file.write_text("".join(json.dumps({"text": str(n), "label": label}) + "\n" for n, label in enumerate(labels)))
    settings = DataSettings(train_file=str(file), validation_split=0.1)
    for seed in range(5):
        data = TASKS["text-classification"].load(replace(settings, split_seed=seed))
        assert Counter(data.validation["label"]) == {0: 6, 1: 1, 2: 3}  # type: ignore[index]
    with pytest.raises(DataError, match=r"All 1 held-out rows have the label 'neg' \(validation_split 0.01 of 100"):
        TASKS["text-classification"].load(replace(settings, validation_split=0.01))
    rare = [*["neg"] * 39, "pos"]
    file.write_text("".join(json.dumps({"text": str(n), "label": label}) + "\n" for n, label in enumerate(rare)))
    with pytest.raises(DataError, match="All 4 held-out rows have the label 'neg'"):
        TASKS["text-classification"].load(settings)


def test_shares_that_are_none(tmp_path: Path) -> None:
    for share in (0.0, 1.0, -0.1, float("nan"), "inf", 10):
        with pytest.raises(DataError, match="above 0 and below 1"):
            DataSettings(train_file="a.csv", validation_split=share)
    with pytest.raises(DataError, match=r"validation_file \(b\.csv\) and validation_split .* are both given"):
        DataSettings(train_file="a.csv", validation_file="b.csv", validation_split=0.1)
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps(ROWS["translation"](0)) + "\n")
    settings = DataSettings(train_file=str(file), validation_split=0.5)
    with pytest.raises(DataError, match="one training row alone"):
        TASKS["translation"].load(settings)
    with pytest.raises(DataError, match=r"Further rows to measure on \(other\)"):
        TASKS["translation"].load(replace(settings, further_validation_files={"other": str(file)}))
