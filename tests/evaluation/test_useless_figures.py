"""Figures of models that know nothing are said, and of those that know something nothing is."""

from types import SimpleNamespace
from typing import Any

import pytest

from tinybert_hf.data import TaskData
from tinybert_hf.evaluation.useless_figures import doubts_about, knows_nothing

ONE_OF_TWO: Any = {"label": [0, 0, 0, 1]}
TAGS: Any = {"tags": [["N", "N"], ["N", "V"]]}


@pytest.mark.parametrize(
    ("data", "useless", "useful"),
    [
        (TaskData(None, ONE_OF_TWO, ("a", "b"), "single_label_classification"), {"accuracy": 0.75}, {"accuracy": 0.8}),
        (TaskData(None, None, ("a", "b"), "multi_label_classification"), {"f1_micro": 0.0}, {"f1_micro": 0.01}),
        (TaskData(None, None, ("score",), "regression"), {"pearson": -0.1}, {"pearson": 0.1}),
        (TaskData(None, None, (), "question-answering"), {"f1": 0.0}, {"f1": 0.1}),
        (TaskData(None, None, ("O", "B-place"), "token-classification"), {"f1": 0.0}, {"f1": 0.1}),
        (TaskData(None, TAGS, ("N", "V"), "token-classification"), {"accuracy": 0.75}, {"accuracy": 0.8}),
        (TaskData(None, None, (), "translation"), {"bleu": 1.9}, {"bleu": 2.0}),
    ],
    ids=lambda value: value.problem_type if isinstance(value, TaskData) else None,
)
def test_only_a_useless_figure_is_said(data: TaskData, useless: dict[str, float], useful: dict[str, float]) -> None:
    said = knows_nothing(data, useless, "The student")
    assert said is not None
    assert said.startswith("The student")
    assert knows_nothing(data, useful, "The student") is None
    (warning,) = doubts_about(useless, data)["warnings"]
    assert warning.startswith("The model")
    assert doubts_about(useful, data) == {}


def test_rows_with_one_label_tell_nothing() -> None:
    data = TaskData(None, SimpleNamespace(), ("a", "b"), "single_label_classification")  # type: ignore[arg-type]
    object.__setattr__(data, "validation", {"label": [1, 1]})
    assert knows_nothing(data, {"accuracy": 1.0}, "The student") is None
