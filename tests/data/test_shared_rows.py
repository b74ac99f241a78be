"""Rows that are measured on and learnt from are counted, whatever the task, and nothing else is."""

from typing import Any

import pytest
from datasets import Dataset

from tinybert_hf.data import TaskData
from tinybert_hf.data.tasks import shared_rows_notes


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
