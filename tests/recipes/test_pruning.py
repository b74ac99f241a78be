"""The stage of a run that makes the vocabulary smaller."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tiny_run import recipe_mapping, rows, write_rows
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tinybert_hf.checkpoints.model_card import card_of
from tinybert_hf.data import DataSettings
from tinybert_hf.errors import DataError, OutputFolderError, RecipeError
from tinybert_hf.evaluation import evaluate_checkpoint
from tinybert_hf.publishing import report as page
from tinybert_hf.recipes import models
from tinybert_hf.recipes.folder import RunFolder
from tinybert_hf.recipes.loader import build
from tinybert_hf.recipes.plan import make_plan
from tinybert_hf.recipes.report import RunReport, describe_plan
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe

PRUNED: dict[str, Any] = {"prune_vocabulary": {"margin": 0.0}}


def run(folder: Path, model: str, **changes: Any) -> tuple[RunReport, str]:
    console = Console(record=True, width=120, file=io.StringIO())
    report = run_recipe(build(Recipe, recipe_mapping(folder, model, **changes)), console)
    return report, console.export_text()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, teacher: str) -> tuple[Path, RunReport, str]:
    """A run whose student was pruned by the training rows, half of which are of use."""
    folder = tmp_path_factory.mktemp("pruned")
    mapping = recipe_mapping(folder, teacher, **PRUNED)
    write_rows(folder / "train.jsonl", rows()[:24])
    console = Console(record=True, width=120, file=io.StringIO())
    return folder, run_recipe(build(Recipe, mapping), console), console.export_text()


def test_the_student_that_is_shipped_is_the_pruned_one(finished: tuple[Path, RunReport, str]) -> None:
    folder, report, printed = finished
    out = folder / "out"
    sizes = report.pruning
    assert sizes is not None
    assert sizes["pieces_after"] < sizes["pieces_before"]
    student = AutoModelForSequenceClassification.from_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert student.config.vocab_size == len(tokenizer) == sizes["pieces_after"]
    assert report.costs["student"]["parameters"] == sizes["parameters_after"] == student.num_parameters()
    data = DataSettings(validation_file=str(folder / "validation.jsonl"), max_length=16)
    assert evaluate_checkpoint(str(out), data)["accuracy"] == report.metrics["student"]["accuracy"]
    assert json.loads((out / "run.json").read_text())["pruning"] == sizes
    assert "metrics_before" in sizes
    assert f"{sizes['pieces_before']:,} -> {sizes['pieces_after']:,} pieces" in printed
    # What text loses its pieces, as `tinybert prune-vocabulary` says it; and of the validation rows, counted.
    whole = AutoTokenizer.from_pretrained(out / "baseline")
    texts = [json.loads(line)["text"] for line in (folder / "validation.jsonl").read_text().splitlines()]
    pieces = [piece for text in texts for piece in whole.tokenize(text)]
    left_out = sum(piece not in tokenizer.get_vocab() for piece in pieces) / len(pieces)
    assert sizes["left_out_share"] == pytest.approx(left_out)
    assert f"of the validation rows' tokens {left_out:.2%} have a piece that was left out" in printed
    assert f"about {sizes['unseen_share']:.2%} of the tokens would be new" in printed
    assert (
        f"accuracy {sizes['metrics_before']['accuracy']:.4f} -> {report.metrics['student']['accuracy']:.4f}" in printed
    )
    assert not (out / ".run").exists()


def test_the_baseline_keeps_its_vocabulary_and_that_is_said(finished: tuple[Path, RunReport, str]) -> None:
    folder, report, printed = finished
    assert report.pruning is not None
    assert report.costs["baseline"]["parameters"] == report.pruning["parameters_before"]
    baseline = AutoModelForSequenceClassification.from_pretrained(folder / "out" / "baseline")
    assert baseline.num_parameters() == report.pruning["parameters_before"]
    assert "trained alone keeps the whole vocabulary" in printed
    card = card_of(folder / "out")
    assert f"pruned from {report.pruning['pieces_before']} to {report.pruning['pieces_after']} word pieces" in card
    assert "keeps the whole vocabulary" in card


def test_without_it_nothing_is_said(work: Path, teacher: str) -> None:
    report, printed = run(work, teacher, baseline=None)
    assert report.pruning is None
    assert "vocabulary" not in printed
    assert "pruned" not in card_of(work / "out")


def test_the_report_page_opens_the_pruned_student(finished: tuple[Path, RunReport, str], tmp_path: Path) -> None:
    folder, report, _ = finished
    assert report.pruning is not None
    page.write_report(folder / "out", tmp_path / "report.html")
    shown = (tmp_path / "report.html").read_text()
    assert f"pruned from {report.pruning['pieces_before']} to {report.pruning['pieces_after']} word pieces" in shown


@pytest.mark.parametrize(
    "moment", ["inside", *(pytest.param(moment, marks=pytest.mark.slow) for moment in ("before", "after", "placing"))]
)
def test_a_run_that_was_stopped_there_goes_on(
    moment: str, work: Path, teacher: str, finished: tuple[Path, RunReport, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Exception):
        pass

    def stop(*args: Any, **kwargs: Any) -> Any:
        raise Stop

    mapping = recipe_mapping(work, teacher, **PRUNED)
    write_rows(work / "train.jsonl", rows()[:24])
    recipe = build(Recipe, mapping)
    with monkeypatch.context() as patch:
        if moment == "before":
            patch.setattr(models, "prune_student", stop)
        elif moment == "inside":
            patch.setattr("tinybert_hf.checkpoints.save_atomically", stop)
        elif moment == "after":  # the folder is whole, the stage is not noted
            patch.setattr(models, "share_left_out", stop)
        else:  # some files have been moved, config.json has not
            place = RunFolder.place

            def half(self: Any, name: str, target: str = "") -> None:
                if name == models.PRUNING:
                    shutil.move(self.work / name / "model.safetensors", self.path / "model.safetensors")
                    raise Stop
                place(self, name, target)

            patch.setattr(RunFolder, "place", half)
        with pytest.raises(Stop):
            run_recipe(recipe, Console(file=io.StringIO()))
    assert not (work / "out" / "config.json").exists()
    report = run_recipe(recipe, Console(file=io.StringIO()))
    folder, expected, _ = finished
    assert report.metrics == expected.metrics
    assert report.pruning == expected.pruning
    one, other = (
        AutoModelForSequenceClassification.from_pretrained(place / "out").state_dict() for place in (work, folder)
    )
    assert all(torch.equal(values, other[name]) for name, values in one.items())


def test_a_corpus_of_its_own(work: Path, teacher: str) -> None:
    (work / "corpus.txt").write_text("the film was good\n")
    changes = {"prune_vocabulary": {"corpus": [str(work / "corpus.txt")], "margin": 0.0}, "baseline": None}
    report, _ = run(work, teacher, **changes)
    assert report.pruning is not None
    assert report.pruning["texts"] == 1
    (work / "corpus.txt").write_text("the plot was bad\n")  # it belongs to the run, as the rows do
    with pytest.raises(OutputFolderError, match=r"content of .*corpus\.txt"):
        make_plan(build(Recipe, recipe_mapping(work, teacher, **changes)))


def test_a_dry_run_tells(work: Path, teacher: str) -> None:
    plan = make_plan(build(Recipe, recipe_mapping(work, teacher, **PRUNED)))
    assert "then the vocabulary: pieces that come once or more in the training rows" in describe_plan(plan)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_count": 0}, r"prune_vocabulary\.min_count: expected 1 or more"),
        ({"margin": 1.5}, r"prune_vocabulary\.margin: expected a share"),
        ({"corpus": []}, r"prune_vocabulary\.corpus: name at least one"),
        ({"margins": 0}, r"margins.*did you mean margin"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str, work: Path, teacher: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build(Recipe, recipe_mapping(work, teacher, prune_vocabulary=settings))


def test_a_translator_keeps_its_vocabulary(work: Path, teacher: str) -> None:
    mapping = recipe_mapping(work, teacher, task="translation", **PRUNED)
    mapping["student"] = {"preset": "seq2seq-3-1-128d"}
    with pytest.raises(RecipeError, match="prune_vocabulary: a translator"):
        build(Recipe, mapping)


def test_a_corpus_that_is_not_there_is_found_before_training(work: Path, teacher: str) -> None:
    changes = {"prune_vocabulary": {"corpus": ["train", "absent.txt"]}}
    with pytest.raises(DataError, match=r"absent\.txt does not exist"):
        make_plan(build(Recipe, recipe_mapping(work, teacher, **changes)))
