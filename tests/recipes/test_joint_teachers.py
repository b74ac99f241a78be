"""Runs with several teachers, and with a student that keeps a tokenizer of its own."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tiny_run import STUDENT, make_teacher, recipe_mapping, rows
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tinybert_hf.data import train_wordpiece_tokenizer
from tinybert_hf.distillation.teachers import Int8Linear
from tinybert_hf.errors import TinyBertError
from tinybert_hf.model import TinyBertConfig, TinyBertForSequenceClassification
from tinybert_hf.recipes import run as stages
from tinybert_hf.recipes.loader import apply_overrides, build
from tinybert_hf.recipes.models import open_extra_teachers
from tinybert_hf.recipes.plan import make_plan
from tinybert_hf.recipes.report import RunReport, describe_plan
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe

PREDICTION = [{"name": "prediction", "epochs": 1, "batch_size": 16}]
TEXTS = [row["text"] for row in rows(16)]


def recipe(folder: Path, model: str, *assignments: str, **changes: Any) -> Recipe:
    return build(Recipe, apply_overrides(recipe_mapping(folder, model, **changes), assignments))


def run(folder: Path, model: str, *assignments: str, **changes: Any) -> tuple[RunReport, str]:
    console = Console(record=True, width=120, file=io.StringIO())
    changes = {"baseline": None, **changes}
    return run_recipe(recipe(folder, model, *assignments, **changes), console), console.export_text()


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same tokenizer, other weights and depth, the labels in the other order."""
    return make_teacher(
        tmp_path_factory.mktemp("second"), labels=("positive", "negative"), num_hidden_layers=3, hidden_size=24
    )


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Another tokenizer."""
    texts = ["zebra quick brown fox", *(row["text"] for row in rows(20))]
    return make_teacher(tmp_path_factory.mktemp("foreign"), texts=texts, num_hidden_layers=3)


def probabilities(folder: str, order: list[int]) -> torch.Tensor:
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        logits = [
            model(**tokenizer(text, truncation=True, max_length=16, return_tensors="pt")).logits[0] for text in TEXTS
        ]
    return torch.stack(logits).softmax(-1)[:, order]


def test_a_run_with_several_teachers(work: Path, teacher: str, second: str, foreign: str) -> None:
    further = [
        {"model": second, "weight": 1, "layer_map": "top"},
        {"model": foreign, "weight": 1, "layer_map": "none"},
    ]
    settings = {"model": teacher, "weight": 2}
    said = describe_plan(make_plan(recipe(work, teacher, teacher=settings, extra_teachers=further)))
    assert said.count("\nteacher: bert") == 3
    report, printed = run(work, teacher, teacher=settings, extra_teachers=further)
    content = json.loads((work / "out" / "run.json").read_text())
    labels = torch.tensor([row["label"] == "positive" for row in rows(16)]).long()
    each = [probabilities(folder, order) for folder, order in ((teacher, [0, 1]), (second, [1, 0]), (foreign, [0, 1]))]
    figures = content["metrics"]["teacher"]
    for found, expected in zip(figures["each"], each, strict=True):
        assert found["accuracy"] == pytest.approx(float((expected.argmax(-1) == labels).float().mean()))
    mean = 0.5 * each[0] + 0.25 * each[1] + 0.25 * each[2]
    assert figures["accuracy"] == pytest.approx(float((mean.argmax(-1) == labels).float().mean()))
    assert "the mean of 3 teachers" in printed
    weak = [one for one in figures["each"] if one["accuracy"] <= 0.5]
    assert len([warning for warning in report.warnings if warning.startswith("the teacher")]) == len(weak)
    learnt_nothing = report.metrics["student"]["accuracy"] <= 0.5
    assert any(warning.startswith("The student's accuracy") for warning in report.warnings) == learnt_nothing
    assert [phase["name"] for phase in report.phases] == ["intermediate", "prediction"]
    assert (
        AutoTokenizer.from_pretrained(work / "out").get_vocab() == AutoTokenizer.from_pretrained(teacher).get_vocab()
    )
    single = sum(p.numel() for p in AutoModelForSequenceClassification.from_pretrained(teacher).parameters())
    assert report.costs["teacher"]["parameters"] > 2 * single


def test_each_teacher_is_opened_as_it_is_asked_for(work: Path, teacher: str, second: str) -> None:
    further = [{"model": second, "dtype": "int8"}, {"model": second, "dtype": "bfloat16"}, {"model": second}]
    opened = open_extra_teachers(recipe(work, teacher, extra_teachers=further))
    assert isinstance(opened[0].classifier, Int8Linear)
    assert [model.dtype for model in opened[1:]] == [torch.bfloat16, torch.float32]


def save_student(folder: Path, seed_texts: list[str]) -> str:
    tokenizer = train_wordpiece_tokenizer(seed_texts, vocab_size=90, max_length=64)
    TinyBertForSequenceClassification(TinyBertConfig(**STUDENT, vocab_size=len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_student_that_keeps_its_own_tokenizer(work: Path, teacher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    general = save_student(work / "general", ["a wholly other film", *TEXTS])
    with pytest.raises(TinyBertError, match=r"phases\.0 \(intermediate\): teachers\[0\].*the same ids would mean"):
        run(work, teacher, student={"model": general})
    assert not (work / "out").exists()
    given: dict[str, Any] = {}
    phases = stages.run_phases

    def noting(*arguments: Any, **named: Any) -> Any:
        given.update(named)
        return phases(*arguments, **named)

    monkeypatch.setattr(stages, "run_phases", noting)
    baseline = {"epochs": 1, "batch_size": 16}
    report, _ = run(work, teacher, student={"model": general}, phases=PREDICTION, baseline=baseline)
    row = given["train_dataset"][3]
    text = rows()[3]["text"]
    ours, theirs = AutoTokenizer.from_pretrained(general), AutoTokenizer.from_pretrained(teacher)
    assert row["input_ids"] == ours(text, truncation=True, max_length=16)["input_ids"]
    assert row["teacher_0_input_ids"] == theirs(text, truncation=True, max_length=16)["input_ids"]
    assert set(report.metrics) == {"teacher", "student", "baseline"}
    assert AutoTokenizer.from_pretrained(work / "out").get_vocab() == ours.get_vocab()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("extra_teachers=[{model: SECOND, weight: 0}]", r"extra_teachers\.0\.weight is 0\.0; it must be above 0"),
        ("extra_teachers=[{model: SECOND, dtype: int4}]", r"extra_teachers\.0\.dtype: there is no 'int4'"),
        ("extra_teachers=[{weight: 1}]", r"extra_teachers\.0\.model: this field is missing"),
        ("extra_teachers=[{model: nowhere/x}]", r"teacher nowhere/x: there is no such folder"),
        (
            "extra_teachers=[{model: SECOND, layer_map: '1:9'}]",
            r"phases\.0 \(intermediate\): teachers\[1\].*layer 9",
        ),
        ("extra_teachers=[{model: FOREIGN}]", r"phases\.0 \(intermediate\): teachers\[1\].*layer map \"none\""),
        ("extra_teachers=[{model: MOODS}]", r"teachers\[1\].*student: negative, positive\n  teacher: glad, sad"),
        ("teacher.layer_map=top", r"teacher\.layer_map: of one teacher, the phases say it"),
        ("teacher.weight=-1", r"teacher\.weight is -1.0; it must be above 0"),
    ],
)
def test_refused_before_training(
    work: Path, teacher: str, second: str, foreign: str, assignment: str, message: str
) -> None:
    if "MOODS" in assignment:
        make_teacher(work / "moods", labels=("glad", "sad"))
    for name, folder in (("SECOND", second), ("FOREIGN", foreign), ("MOODS", str(work / "moods"))):
        assignment = assignment.replace(name, folder)
    with pytest.raises(TinyBertError, match=f"(?s){message}"):
        make_plan(recipe(work, teacher, assignment))
    assert not (work / "out").exists()


def test_a_cache_and_translators_have_one_teacher(work: Path, teacher: str, second: str) -> None:
    further = [{"model": second}]
    with pytest.raises(TinyBertError, match=r"phases\.0\.teacher_cache: it keeps what one teacher says"):
        recipe(work, teacher, extra_teachers=further, phases=[{**PREDICTION[0], "teacher_cache": True}])
    with pytest.raises(TinyBertError, match="extra_teachers: a translator"):
        recipe(
            work, teacher, "student.preset=seq2seq-3-1-128d", "student.overrides={}", task="translation",
            extra_teachers=further,
        )  # fmt: skip
