"""Whole runs of models that label words: one teacher, two of them, long rows, plain labels, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tiny_entities import LABELS, make_teacher, recipe_mapping, rows
from tiny_run import write_rows
from transformers import AutoModelForTokenClassification, pipeline

from tinybert_hf.data import DataSettings, train_wordpiece_tokenizer
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation import evaluate_any_checkpoint
from tinybert_hf.model import TinyBertForTokenClassification
from tinybert_hf.publishing import write_report
from tinybert_hf.recipes.loader import apply_overrides, build
from tinybert_hf.recipes.plan import make_plan
from tinybert_hf.recipes.report import RunReport, describe_plan
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe

pytest.importorskip("seqeval")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_teacher(tmp_path_factory.mktemp("teacher"))


def recipe(folder: Path, model: str, *assignments: str, **changes: Any) -> Recipe:
    return build(Recipe, apply_overrides(recipe_mapping(folder, model, **changes), assignments))


def run(folder: Path, model: str, *assignments: str, **changes: Any) -> tuple[RunReport, str]:
    console = Console(record=True, width=120, file=io.StringIO())
    return run_recipe(recipe(folder, model, *assignments, **changes), console), console.export_text()


def test_a_run_leaves_a_student_that_labels_words(tmp_path: Path, teacher: str) -> None:
    tuned = {
        "model": make_teacher(tmp_path / "headless", head=False),
        "finetune": {"epochs": 6, "learning_rate": 0.003, "batch_size": 8},
    }
    report, printed = run(tmp_path, teacher, teacher=tuned, baseline={"epochs": 1})
    assert report.main_metric == "f1"
    assert report.metrics["teacher"]["f1"] > 0.8
    assert set(report.metrics["student"]) == {"f1", "precision", "recall", "accuracy"}
    assert f'pipeline("token-classification", "{tmp_path / "out"}")' in printed
    student = AutoModelForTokenClassification.from_pretrained(tmp_path / "out")
    assert isinstance(student, TinyBertForTokenClassification)
    assert tuple(student.config.id2label.values()) == LABELS
    validation = DataSettings(validation_file=str(tmp_path / "validation.jsonl"), max_length=32)
    found = evaluate_any_checkpoint(str(tmp_path / "out"), validation, device="cpu")
    figures = {name: value for name, value in found.items() if name not in ("notes", "warnings")}
    assert report.metrics["student"] == figures
    pipeline("token-classification", str(tmp_path / "out"), device="cpu")("Ada saw Paris")
    # What an intermediate phase alone cannot do: the head learns in the second.
    start = json.loads((tmp_path / "out" / "phases" / "1-prediction" / "phase.json").read_text())
    assert start["name"] == "prediction"
    assert not list((tmp_path / "out" / "phases").rglob("teacher_cache")), "its own cache is removed"
    page = write_report(tmp_path / "out").read_text(encoding="utf-8")
    assert "Answers to single words are not compared here" in page


@pytest.mark.slow
def test_rows_of_words_get_copies_whose_tags_nobody_reads(tmp_path: Path, teacher: str) -> None:
    """The phases read rows and copies, no tag reaches them, and what they compute does not depend on the tags."""
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        one = recipe(tmp_path / name, teacher, augmentation={"copies": 3, "probability": 1.0})
        if name == "b":
            # Every tag is wrong, and every tag of the teacher is still there.
            swap = {"O": "B-place", "B-place": "B-person", "I-place": "O", "B-person": "O", "I-person": "O"}
            wrong = [{**row, "ner_tags": [swap[tag] for tag in row["ner_tags"]]} for row in rows()]
            write_rows(tmp_path / name / "train.jsonl", wrong)
        run_recipe(one, Console(file=io.StringIO()))
        runs.append(Path(one.folder))
    content = json.loads((runs[0] / "run.json").read_text())
    assert (content["augmentation"]["rows"], content["augmentation"]["augmented_rows"]) == (40, 120)
    assert [phase["steps"] for phase in content["phases"]] == [10, 20]  # 160 rows, 16 a step
    assert content["phases"][1]["losses"]["prediction_loss"] > 0
    assert (runs[0] / "model.safetensors").read_bytes() == (runs[1] / "model.safetensors").read_bytes()


def test_words_in_later_windows_are_replaced_too(tmp_path: Path, teacher: str) -> None:
    from tinybert_hf.recipes.labelled import LabelledSteps
    from tinybert_hf.recipes.run import Run

    one = recipe(tmp_path, teacher, "data.max_length=8", augmentation={"copies": 1, "probability": 1.0})
    words = ["Ada", "saw", "Rome"] * 6
    long = [{"tokens": words, "ner_tags": ["B-person", "O", "B-place"] * 6} for _ in range(4)]
    write_rows(tmp_path / "train.jsonl", long)
    whole = Run(make_plan(one), Console(file=io.StringIO()))
    whole._open_teacher()
    whole.folder.claim()
    work = whole.steps
    assert isinstance(work, LabelledSteps)
    work.prepare_rows()
    copies = work._without_labels["tokens"][4:]
    assert len(copies) == 4
    assert all(new != old for copy in copies for new, old in zip(copy, words, strict=True))
    ready = work.distillation_rows
    assert "labels" not in ready.column_names
    assert len(ready) >= 3 * 8, "every row is read in several windows"
    assert sum(map(sum, ready["word_starts"])) == 2 * 4 * 18


def test_a_teacher_with_its_labels_in_another_order(tmp_path: Path, teacher: str) -> None:
    """The same teacher, its outputs renamed: the student is the same, and so are the figures."""
    order = [3, 0, 4, 2, 1]
    model = AutoModelForTokenClassification.from_pretrained(teacher)
    names = [LABELS[index] for index in order]
    model.config.id2label, model.config.label2id = dict(enumerate(names)), {name: i for i, name in enumerate(names)}
    with torch.no_grad():
        model.classifier.weight.copy_(model.classifier.weight[order])
        model.classifier.bias.copy_(model.classifier.bias[order])
    model.save_pretrained(tmp_path / "other")
    import shutil

    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(teacher) / name, tmp_path / "other")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = run(tmp_path / "a", teacher)[0], run(tmp_path / "b", str(tmp_path / "other"))[0]
    assert first.metrics == second.metrics
    ours, theirs = (AutoModelForTokenClassification.from_pretrained(tmp_path / one / "out") for one in "ab")
    torch.testing.assert_close(ours.classifier.weight, theirs.classifier.weight, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_two_teachers_count_as_their_mean_at_each_word(tmp_path: Path, teacher: str) -> None:
    """The same teacher twice is that teacher."""
    one, _ = run(tmp_path, teacher)
    (tmp_path / "two").mkdir()
    two, printed = run(tmp_path / "two", teacher, extra_teachers=[{"model": teacher}])
    assert two.metrics["teacher"]["each"] == [one.metrics["teacher"]] * 2
    assert {name: two.metrics["teacher"][name] for name in one.metrics["teacher"]} == one.metrics["teacher"]
    assert "the mean of 2 teachers" in printed


def test_a_teacher_with_other_tokens_is_refused_before_anything(tmp_path: Path, teacher: str) -> None:
    foreign = make_teacher(tmp_path / "foreign")
    train_wordpiece_tokenizer(["zebra quick fox"] * 3, vocab_size=60, max_length=64).save_pretrained(foreign)
    with pytest.raises(TinyBertError, match="the answers of a token classifier stand at tokens"):
        make_plan(recipe(tmp_path, teacher, extra_teachers=[{"model": foreign}], phases=[{"name": "prediction"}]))


def test_long_rows_are_said_and_measured_whole(tmp_path: Path, teacher: str) -> None:
    report, printed = run(tmp_path, teacher, "data.max_length=8", phases=[{"name": "prediction"}])
    assert "Note: train rows: " in printed
    assert "overlapping windows; no word is cut off" in printed
    assert "Note: validation rows: " in printed
    assert "WARNING" in printed or report.metrics["teacher"]["f1"] > 0


def test_plain_labels_are_measured_by_accuracy(tmp_path: Path) -> None:
    plain = [{**row, "ner_tags": [tag[-6:] for tag in row["ner_tags"]]} for row in rows()]
    model = make_teacher(tmp_path / "teacher", ("-place", "O", "person"))
    mapping = recipe_mapping(tmp_path, model, phases=[{"name": "prediction"}])
    write_rows(tmp_path / "train.jsonl", plain)
    write_rows(tmp_path / "validation.jsonl", plain[:12])
    console = Console(record=True, width=120, file=io.StringIO())
    report = run_recipe(build(Recipe, mapping), console)
    assert report.main_metric == "accuracy"
    assert set(report.metrics["student"]) == {"accuracy"}
    assert "no tag begins with B- or I-" in console.export_text()


def test_a_dry_run_shows_the_fields_of_the_task(tmp_path: Path, teacher: str) -> None:
    said = describe_plan(make_plan(recipe(tmp_path, teacher)))
    assert "tags_column: ner_tags" in said
    assert "text_column" not in said
    assert "labels: O, B-person, I-person, B-place, I-place (token-classification)" in said
    assert "the teacher is not run again: its answers are noted in the phase before" in said


def test_a_text_classifier_is_no_teacher_of_words(tmp_path: Path) -> None:
    import tiny_run

    with pytest.raises(TinyBertError, match="is a text classifier, and the task is token classification"):
        run(tmp_path, tiny_run.make_teacher(tmp_path / "texts"))


def test_a_student_of_words_is_pruned_and_measured(tmp_path: Path, teacher: str) -> None:
    report, _ = run(tmp_path, teacher, prune_vocabulary={"corpus": ["train"], "margin": 0.0}, baseline=None)
    assert report.pruning is not None
    assert report.pruning["pieces_after"] <= report.pruning["pieces_before"]
    assert report.metrics["student"]["f1"] == report.pruning["metrics"]["f1"]
