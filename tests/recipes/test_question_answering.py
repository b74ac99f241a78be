"""Runs that distil answers to questions: from one teacher and from two, fine-tuned here or before."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tiny_answers import make_teacher, recipe_mapping, rows
from transformers import AutoModelForQuestionAnswering

from tinybert_hf.checkpoints.model_card import card_of
from tinybert_hf.data import DataSettings
from tinybert_hf.errors import TeacherError, TinyBertError
from tinybert_hf.evaluation import evaluate_any_checkpoint
from tinybert_hf.model import TinyBertForQuestionAnswering
from tinybert_hf.publishing import open_contest, write_report
from tinybert_hf.recipes.loader import apply_overrides, build, load_recipe
from tinybert_hf.recipes.plan import make_plan
from tinybert_hf.recipes.report import RunReport, describe_plan
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe


@pytest.fixture(scope="module")
def answerer(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_teacher(tmp_path_factory.mktemp("answerer"))


def recipe(folder: Path, model: str, *assignments: str, **changes: Any) -> Recipe:
    return build(Recipe, apply_overrides(recipe_mapping(folder, model, **changes), assignments))


def run(folder: Path, model: str, *assignments: str, **changes: Any) -> tuple[RunReport, str]:
    console = Console(record=True, width=160, file=io.StringIO())
    return run_recipe(recipe(folder, model, *assignments, **changes), console), console.export_text()


def test_a_run_from_a_pretrained_encoder(tmp_path: Path) -> None:
    """Of three labels before, with questions that have no answer; then everything that is made of its folder."""
    headless = make_teacher(tmp_path / "headless", head=False)
    teacher = {"model": headless, "finetune": {"epochs": 1, "batch_size": 16}}
    report, printed = run(tmp_path, headless, teacher=teacher, unanswerable=True)
    assert report.main_metric == "f1"
    assert set(report.metrics) == {"teacher", "student", "baseline"}
    for name in ("f1", "exact_match", "f1_answerable", "f1_unanswerable", "best_f1", "best_f1_threshold"):
        assert name in report.metrics["student"]
    assert "QuestionAnswerer(" in printed
    # Measured after each epoch too, as the finished student is.
    log = json.loads((tmp_path / "out" / "phases" / "1-prediction" / "log.json").read_text())["evaluation"]
    assert len(log) == 2
    for name in ("f1", "exact_match"):
        assert log[-1][name] == pytest.approx(report.metrics["student"][name], rel=1e-4)
    assert "Note: train rows: 32 questions are read in" in printed
    out = tmp_path / "out"
    student = AutoModelForQuestionAnswering.from_pretrained(out)
    assert isinstance(student, TinyBertForQuestionAnswering)
    settings = DataSettings(validation_file=str(tmp_path / "validation.jsonl"), max_length=24)
    for folder, who in ((out, "student"), (out / "teacher", "teacher")):
        figures = evaluate_any_checkpoint(str(folder), settings, device="cpu")
        assert any("questions" in note and "have no answer" in note for note in figures.pop("notes"))
        assert bool(figures.pop("warnings", [])) == (figures["f1"] == 0)
        assert figures == pytest.approx(report.metrics[who])
    assert RunReport.read(json.loads((out / "run.json").read_text()), str(out)) == report
    card = card_of(out)
    assert "question-answering" in card
    assert "QuestionAnswerer(" in card
    assert "exact match" in card
    page = write_report(out, device="cpu").read_text()
    assert "Rows are not compared one by one for question answering" in page
    with pytest.raises(TinyBertError, match="is for question answering, and this page shows text classifiers"):
        open_contest(str(out))


@pytest.mark.slow
def test_a_run_from_two_teachers(tmp_path: Path, answerer: str) -> None:
    report, _ = run(tmp_path, answerer, "baseline=null", extra_teachers=[{"model": answerer, "weight": 3.0}])
    teacher = report.metrics["teacher"]
    assert teacher["each"] == [{name: teacher[name] for name in ("f1", "exact_match")}] * 2


def test_a_plan_says_the_fields_of_the_task(tmp_path: Path, answerer: str) -> None:
    text = describe_plan(make_plan(recipe(tmp_path, answerer)))
    assert "question_column: question" in text
    assert "\n  text_column" not in text
    assert "labels:" not in text
    assert "rows: 32 train, 12 validation" in text
    with pytest.raises(TinyBertError, match=r"data\.max_length: 65 tokens are more than the 64 positions"):
        make_plan(recipe(tmp_path, answerer, "data.max_length=65"))


@pytest.mark.parametrize(("name", "dataset"), [("squad", "rajpurkar/squad"), ("squad2", "rajpurkar/squad_v2")])
def test_the_shipped_recipes(name: str, dataset: str, tmp_path: Path, answerer: str) -> None:
    shipped = load_recipe(name)
    assert (shipped.task, shipped.data.dataset, shipped.data.max_length) == ("question-answering", dataset, 384)
    mapping = recipe_mapping(tmp_path, answerer)
    own = {f"data.{field}": value for field, value in mapping["data"].items()}
    own |= {"teacher.model": answerer, "student.init": "random", "output_dir": str(tmp_path / "out")}
    plan = make_plan(load_recipe(name, own))
    assert plan.student_config.hidden_size == 312
    assert len(plan.data.train or ()) == len(rows())


def test_a_teacher_of_another_task_is_refused_in_the_plan(tmp_path: Path, teacher: str) -> None:
    with pytest.raises(TeacherError, match="is a text classifier, and the task is question answering"):
        make_plan(recipe(tmp_path, teacher))


def test_a_student_that_answers_is_pruned_and_measured(tmp_path: Path, answerer: str) -> None:
    report, _ = run(tmp_path, answerer, prune_vocabulary={"corpus": ["train"], "margin": 0.0}, baseline=None)
    assert report.pruning is not None
    assert report.pruning["pieces_after"] < report.pruning["pieces_before"]
    assert {"f1", "exact_match"} <= report.metrics["student"].keys()
