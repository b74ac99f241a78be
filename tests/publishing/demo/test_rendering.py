"""What the answers look like: every text escaped, the chosen label marked, nothing left out in silence."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from tinybert_hf.publishing import Answer, Comparison, open_contest
from tinybert_hf.publishing.demo import answer_html, comparison_html

Save = Callable[..., str]


def plain(html: str) -> str:
    """The text of some HTML."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_both_answers_are_shown(save_student: Save, save_teacher: Save) -> None:
    contest = open_contest(save_student(), save_teacher(), device="cpu")
    teacher = Answer("teacher", (0.25, 0.75), milliseconds=1234.0)
    student = Answer("student", (0.9, 0.1), milliseconds=2.0)
    shown = plain(comparison_html(contest, Comparison((teacher, student), 15)))
    assert "They differ: the teacher says positive , the student negative" in shown
    assert "617.0 times as fast as the teacher (the median of 15 calls" in shown
    assert re.search(r"teacher 1\.2 s 4 layers x 32.* negative 25\.0% positive 75\.0%", shown)
    assert re.search(r"student 2\.0 ms 2 layers x 32.* negative 90\.0% positive 10\.0%", shown)
    slower = Comparison((replace(teacher, milliseconds=1.0), student), 1)
    assert "2.0 times slower than the teacher (one call" in plain(comparison_html(contest, slower))
    same = comparison_html(contest, Comparison((replace(student, role="teacher"), student), 1))
    assert "Both say negative" in plain(same)
    assert "as fast as the teacher" in plain(same)


def test_the_bar_is_as_long_as_the_probability(save_student: Save) -> None:
    contest = open_contest(save_student(), device="cpu")
    html = comparison_html(contest, Comparison((Answer("student", (0.042, 0.958)),), 1))
    assert re.findall(r"width: ([\d.]+)%", html) == ["4.2", "95.8"]
    assert re.findall(r'tb-chosen"><span>(\w+)', html) == ["positive"]


def test_labels_and_translations_are_escaped(save_student: Save) -> None:
    contest = open_contest(save_student(labels=("<img src=x onerror=alert(1)>", "b")), device="cpu")
    html = comparison_html(contest, Comparison((Answer("student", (0.9, 0.1)),), 1))
    assert "<img" not in html
    assert "&lt;img" in html
    translator = replace(contest, kind="translation", labels=())
    html = comparison_html(translator, Comparison((Answer("student", text="<script>1</script>"),), 1))
    assert "<script" not in html


def test_of_many_labels_the_most_probable_are_shown(save_student: Save) -> None:
    names = tuple(f"label-{index}" for index in range(20))
    contest = open_contest(save_student(labels=names), device="cpu")
    scores = tuple(index / 190 for index in range(20))
    shown = plain(comparison_html(contest, Comparison((Answer("student", scores),), 1)))
    assert [name for name in names if f"{name} " in shown] == list(names[12:])
    assert "and 12 less probable labels" in shown


def test_all_labels_above_one_half_are_said(save_student: Save) -> None:
    names = tuple("abcdefghijkl")
    contest = open_contest(save_student(labels=names, problem="multi_label_classification"), device="cpu")
    shown = plain(comparison_html(contest, Comparison((Answer("student", (0.9,) * 10 + (0.1,) * 2),), 1)))
    assert all(f"{name} 90.0%" in shown for name in names[:10])
    none = plain(comparison_html(contest, Comparison((Answer("student", (0.1,) * 12),), 1)))
    assert "no label" in none


def test_a_number_is_shown(save_student: Save, save_teacher: Save) -> None:
    contest = open_contest(save_student(labels=("score",)), save_teacher(labels=("score",)), device="cpu")
    answers = (Answer("teacher", (3.25,), milliseconds=1), Answer("student", (3.0,), milliseconds=1))
    shown = plain(comparison_html(contest, Comparison(answers, 1)))
    assert "3.250" in shown
    assert "3.000" in shown
    assert "0.25 apart" in shown


def test_what_was_cut_is_said(save_student: Save) -> None:
    contest = open_contest(save_student(), device="cpu")
    assert "64 tokens" in plain(answer_html(contest, "film " * 100))
    assert "tokens" not in plain(answer_html(contest, "film"))
    cut = Comparison((Answer("student", text="x", cut_off=True),), 1)
    assert "did not come to an end" in plain(comparison_html(replace(contest, kind="translation"), cut))


def test_an_empty_text_is_answered(save_student: Save) -> None:
    contest = open_contest(save_student(), device="cpu")
    assert plain(answer_html(contest, "  ")) == "Please type a text first."
