"""Which teacher is shown, and which is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_translator import save_translator

from tinybert_hf.checkpoints.run_record import RunFacts
from tinybert_hf.data import demo_sentiment_splits
from tinybert_hf.errors import TeacherError, TinyBertError
from tinybert_hf.publishing import Contest, open_contest
from tinybert_hf.publishing.demo import examples_for

Save = Callable[..., str]
Recipe = Callable[..., dict[str, Any]]


def teacher_of(contest: Contest) -> str | None:
    return None if contest.teacher is None else contest.teacher.name


def test_the_teacher_of_run_json_is_shown(save_student: Save, save_teacher: Save, recipe: Recipe) -> None:
    teacher = save_teacher("some-teacher")
    contest = open_contest(save_student(recipe=recipe(teacher)), device="cpu")
    assert teacher_of(contest) == teacher
    assert contest.notes == ()


def test_a_teacher_trained_in_the_run_lies_inside(save_student: Save, save_teacher: Save, recipe: Recipe) -> None:
    student = save_student(recipe=recipe(None))
    inside = save_teacher("student/teacher")
    assert teacher_of(open_contest(student, device="cpu")) == inside


def test_a_relative_teacher_may_lie_beside_the_student(
    save_student: Save, save_teacher: Save, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_teacher("beside")
    student = save_student(recipe=recipe("beside"))
    monkeypatch.chdir("/")
    assert teacher_of(open_contest(student, device="cpu")) == str(Path(student).parent / "beside")


def test_a_teacher_that_is_gone_is_said(save_student: Save, save_teacher: Save, recipe: Recipe) -> None:
    teacher = save_teacher()
    student = save_student(recipe=recipe(teacher))
    shutil.rmtree(teacher)
    contest = open_contest(student, device="cpu")
    assert contest.teacher is None
    assert teacher in contest.notes[0]
    assert "only the student" in contest.notes[0]
    with pytest.raises(TinyBertError, match="does not exist"):
        open_contest(student, teacher, device="cpu")


def test_a_damaged_teacher_is_said(save_student: Save, save_teacher: Save, recipe: Recipe) -> None:
    teacher = save_teacher()
    weights = Path(teacher) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    contest = open_contest(save_student(recipe=recipe(teacher)), device="cpu")
    assert contest.teacher is None
    assert "model.safetensors" in " ".join(contest.notes)


def test_no_teacher_is_known(save_student: Save) -> None:
    contest = open_contest(save_student(), device="cpu")
    assert contest.teacher is None
    assert "--teacher" in contest.notes[0]


def test_pairs_and_extra_teachers_come_from_run_json(save_student: Save, save_teacher: Save, recipe: Recipe) -> None:
    run = recipe(save_teacher(), text_pair_column="second") | {"extra_teachers": [{"model": "x"}, {"model": "y"}]}
    contest = open_contest(save_student(recipe=run), device="cpu")
    assert contest.pairs
    assert "3 teachers" in contest.notes[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ("good", "bad")}, "different label names"),
        ({"labels": ("a", "b", "c")}, "different numbers of labels"),
        ({"labels": ("score",)}, "for regression"),
    ],
)
def test_another_question_is_refused(
    save_student: Save, save_teacher: Save, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TeacherError, match=message):
        open_contest(save_student(), save_teacher(**options), device="cpu")


def test_another_task_is_refused(tmp_path: Path, save_student: Save) -> None:
    translator, classifier = save_translator(tmp_path / "translator"), save_student()
    with pytest.raises(TeacherError, match=r"classifies texts, but the teacher .* translates"):
        open_contest(classifier, translator, device="cpu")
    with pytest.raises(TeacherError, match=r"translates, but the teacher .* classifies texts"):
        open_contest(translator, classifier, device="cpu")


@pytest.mark.parametrize("content", ["[]", "{}", '{"recipe": {"data": []}}', '{"recipe": {"data": {}, "teacher": 3}}'])
def test_a_damaged_run_json_is_named(save_student: Save, content: str) -> None:
    student = save_student()
    (Path(student) / "run.json").write_text(content)
    with pytest.raises(TinyBertError, match=r"run\.json"):
        open_contest(student, device="cpu")


def test_the_run_of_a_fine_tuned_model_has_no_teacher(save_student: Save) -> None:
    student = save_student()
    (Path(student) / "run.json").write_text(json.dumps({"recipe": {"data": {"text_pair_column": None}}}))
    assert open_contest(student, device="cpu").teacher is None


def test_examples() -> None:
    known = {row["text"] for part in demo_sentiment_splits() for row in part}
    demo = examples_for(RunFacts(dataset="demo-sentiment"), translator=False, pairs=False)
    assert demo
    assert not known & {text for (text,) in demo}
    assert {len(one) for one in examples_for(RunFacts(), translator=False, pairs=True)} == {2}
    chinese = examples_for(RunFacts(source="zho_Hans"), translator=True, pairs=False)
    assert all(not text.isascii() for (text,) in chinese)
    assert "Zug" in examples_for(RunFacts(source="text_de"), translator=True, pairs=False)[0][0]
    assert "train" in examples_for(RunFacts(source="source"), translator=True, pairs=False)[0][0]
    assert examples_for(RunFacts(dataset="demo-translation"), translator=True, pairs=False)
