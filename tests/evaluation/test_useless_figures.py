"""Figures of models that know nothing are said, and of those that know something nothing is."""

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from tinybert_hf.data import TaskData
from tinybert_hf.distillation.teachers import constant_f1
from tinybert_hf.evaluation.metrics import doubts_about, knows_nothing

ONE_OF_TWO: Any = {"label": [0, 0, 0, 1]}
SEVERAL: Any = {"label": [[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]}
TAGS: Any = {"tags": [["N", "N"], ["N", "V"]]}


@pytest.mark.parametrize(
    ("data", "useless", "useful"),
    [
        (TaskData(None, ONE_OF_TWO, ("a", "b"), "single_label_classification"), {"accuracy": 0.75}, {"accuracy": 0.8}),
        (TaskData(None, SEVERAL, ("a", "b"), "multi_label_classification"), {"f1_micro": 0.8}, {"f1_micro": 0.81}),
        (TaskData(None, None, ("a", "b"), "multi_label_classification"), {"f1_micro": 0.0}, {"f1_micro": 0.01}),
        (TaskData(None, None, ("score",), "regression"), {"pearson": -0.1}, {"pearson": 0.1}),
        (TaskData(None, None, (), "question-answering"), {"f1": 0.0}, {"f1": 0.1}),
        (TaskData(None, None, ("O", "B-place"), "token-classification"), {"f1": 0.0}, {"f1": 0.1}),
        (TaskData(None, TAGS, ("N", "V"), "token-classification"), {"accuracy": 0.75}, {"accuracy": 0.8}),
        (TaskData(None, None, (), "translation"), {"bleu": 1.9}, {"bleu": 2.0}),
        (TaskData(None, None, (), "translation"), {"bleu": 0.0, "chrf": 23.0}, {"bleu": 0.0, "chrf": 25.0}),
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


@pytest.mark.parametrize("seed", range(5))
def test_no_answer_that_is_the_same_for_every_row_passes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wanted = (rng.random((30, 5)) < rng.random(5)).astype(int)
    answers = itertools.product((0, 1), repeat=5)
    best = max(f1_score(wanted, np.tile(answer, (30, 1)), average="micro", zero_division=0) for answer in answers)
    assert constant_f1(wanted.tolist()) == pytest.approx(best)
    data = TaskData(None, SimpleNamespace(), tuple("abcde"), "multi_label_classification")  # type: ignore[arg-type]
    object.__setattr__(data, "validation", {"label": wanted.tolist()})
    assert "same labels to every row" in (knows_nothing(data, {"f1_micro": best}, "The student") or "")
    assert knows_nothing(data, {"f1_micro": best + 0.001}, "The student") is None


def test_rows_with_one_label_tell_nothing() -> None:
    data = TaskData(None, SimpleNamespace(), ("a", "b"), "single_label_classification")  # type: ignore[arg-type]
    object.__setattr__(data, "validation", {"label": [1, 1]})
    assert knows_nothing(data, {"accuracy": 1.0}, "The student") is None
