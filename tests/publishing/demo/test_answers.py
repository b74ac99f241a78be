"""Answers equal those of transformers' own pipeline; times are medians of calls in turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_translator import in_german, save_translator
from transformers import pipeline

from tinybert_hf.evaluation.cost import Clock, Times
from tinybert_hf.publishing import EmptyTextError, compare, open_contest
from tinybert_hf.publishing.demo import Answer, chosen_labels, measure

TEXT, PAIR = "the film was very good", "a dull plot"
Save = Callable[..., str]


def expected(folder: str, text: Any, function: str) -> dict[str, float]:
    """What transformers' pipeline says: label -> score."""
    answer = pipeline("text-classification", folder, device="cpu")(text, top_k=None, function_to_apply=function)
    return {one["label"]: one["score"] for one in answer}


@pytest.mark.parametrize(
    ("problem", "labels", "function"),
    [
        ("single_label_classification", ("a", "b", "c"), "softmax"),
        ("multi_label_classification", ("a", "b", "c"), "sigmoid"),
        ("regression", ("score",), "none"),
        (None, ("score",), "none"),
    ],
)
def test_scores_are_those_of_the_pipeline(
    save_student: Save, problem: str | None, labels: tuple[str, ...], function: str
) -> None:
    student = save_student(labels=labels, problem=problem)
    contest = open_contest(student, device="cpu")
    (answer,) = compare(contest, TEXT, calls=1).answers
    oracle = expected(student, TEXT, function)
    assert answer.scores == pytest.approx([oracle[label] for label in labels], abs=1e-6)
    assert answer.milliseconds > 0


def test_pairs_are_read_as_pairs(save_student: Save) -> None:
    student = save_student()
    contest = open_contest(student, pairs=True, device="cpu")
    (answer,) = compare(contest, TEXT, PAIR, calls=1).answers
    oracle = expected(student, {"text": TEXT, "text_pair": PAIR}, "softmax")
    assert answer.scores == pytest.approx([oracle["negative"], oracle["positive"]], abs=1e-6)
    (swapped,) = compare(contest, PAIR, TEXT, calls=1).answers
    assert swapped.scores != pytest.approx(answer.scores, abs=1e-4)


def test_the_teacher_answers_in_the_order_of_the_students_labels(save_student: Save) -> None:
    teacher = save_student("teacher", labels=("positive", "negative"), seed=1)
    contest = open_contest(save_student(), teacher, device="cpu")
    theirs, ours = compare(contest, TEXT, calls=1).answers
    assert (theirs.role, ours.role) == ("teacher", "student")
    oracle = expected(teacher, TEXT, "softmax")
    assert abs(oracle["negative"] - oracle["positive"]) > 0.01
    assert theirs.scores == pytest.approx([oracle["negative"], oracle["positive"]], abs=1e-6)


def test_a_translator_translates(tmp_path: Path) -> None:
    folder = save_translator(tmp_path / "translator")
    contest = open_contest(folder, folder, device="cpu")
    comparison = compare(contest, " the dog sees the cat ", calls=1)
    assert [answer.text for answer in comparison.answers] == [in_german("the dog sees the cat")] * 2
    assert not any(answer.truncated or answer.cut_off for answer in comparison.answers)
    assert all(answer.truncated for answer in compare(contest, "dog " * 40, calls=1).answers)


def test_a_long_text_is_cut_and_said_to_be(save_student: Save) -> None:
    contest = open_contest(save_student(), device="cpu")
    assert contest.student.limit == 64
    whole = "film " * 61 + "dull"  # and two special tokens
    (fits,) = compare(contest, whole, calls=1).answers
    (long,) = compare(contest, f"{whole} good", calls=1).answers
    (longer,) = compare(contest, f"{whole} {'good ' * 100_000}", calls=1).answers
    assert (fits.truncated, long.truncated, longer.truncated) == (False, True, True)
    oracle = expected(contest.student.name, whole, "softmax")
    assert fits.scores == pytest.approx([oracle["negative"], oracle["positive"]], abs=1e-6)
    assert long.scores == pytest.approx(fits.scores)
    assert longer.scores == pytest.approx(fits.scores)


@pytest.mark.parametrize(("text", "pair"), [("", ""), (" \n", None), (TEXT, ""), ("", PAIR), (None, None)])
def test_empty_texts_are_refused(save_student: Save, text: Any, pair: Any) -> None:
    contest = open_contest(save_student(), pairs=True, device="cpu")
    with pytest.raises(EmptyTextError, match="both texts"):
        compare(contest, text, pair)
    with pytest.raises(EmptyTextError, match="a text first"):
        compare(replace(contest, pairs=False), "  ")


@pytest.mark.parametrize("text", ["\ud83d", "\x00", "😀" * 50, "<script>", "\u202e", "."])
def test_odd_texts_get_an_answer(save_student: Save, text: str) -> None:
    contest = open_contest(save_student(), device="cpu")
    (answer,) = compare(contest, text, calls=1).answers
    assert sum(answer.scores) == pytest.approx(1)


class Hours:
    """Time that only tasks move on."""

    now = 0.0

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now)

    def task(self, seconds: Iterator[float], calls: list[str], name: str) -> Callable[[], str]:
        def run() -> str:
            self.now += next(seconds)
            calls.append(name)
            return f"{name}'s answer"

        return run


def test_tasks_are_timed_in_turn_after_a_warm_up() -> None:
    hours, calls = Hours(), []
    slow = hours.task(iter([9e-1, 2e-3, 4e-3, 3e-3]), calls, "slow")
    fast = hours.task(iter([9e-1, 1e-3, 1e-3, 5e-3]), calls, "fast")
    answers, times = measure([slow, fast], 3, hours.clock)
    assert answers == ["slow's answer", "fast's answer"]
    assert calls == ["slow", "fast", "slow", "fast", "fast", "slow", "slow", "fast"]
    assert times[0].all_wall == pytest.approx([2e-3, 4e-3, 3e-3])
    assert times[1].all_wall == pytest.approx([1e-3, 1e-3, 5e-3])


@pytest.mark.parametrize(("seconds", "rounds"), [(0.001, 15), (0.3, 6), (1.0, 3), (3.0, 2), (60.0, 1)])
def test_slow_models_are_asked_less_often(seconds: float, rounds: int) -> None:
    hours, calls = Hours(), []
    _, times = measure([hours.task(iter(lambda: seconds, None), calls, "model")], 15, hours.clock)
    assert len(times[0].wall) == rounds
    assert len(calls) == rounds + 1


def test_the_ratio_is_the_teachers_time_over_the_students(
    save_student: Save, save_teacher: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = open_contest(save_student(), save_teacher(), device="cpu")
    monkeypatch.setattr(
        "tinybert_hf.publishing.demo.measure",
        lambda tasks, calls: (
            [task() for task in tasks],
            [Times([[0.009], [0.006], [0.6]]), Times([[0.002], [0.001], [0.003]])],
        ),
    )
    comparison = compare(contest, TEXT)
    assert [answer.milliseconds for answer in comparison.answers] == pytest.approx([9, 2])
    assert comparison.speed_up == pytest.approx(4.5)
    assert comparison.calls == 3


def test_chosen_labels() -> None:
    labels = ("a", "b", "c")
    assert chosen_labels("single_label_classification", labels, Answer("student", (0.2, 0.45, 0.35))) == ("b",)
    several = Answer("student", (0.9, 0.5, 0.51))
    assert chosen_labels("multi_label_classification", labels, several) == ("a", "c")
    assert chosen_labels("multi_label_classification", labels, Answer("student", (0.1, 0.2, math.nan))) == ()
