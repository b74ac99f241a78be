"""Every command: its help, a wrong flag, a run; and `python -m tinybert_hf`."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tiny_run import recipe_mapping, rows, write_rows
from transformers import AutoModelForSequenceClassification
from typer.testing import Result

from tinybert_hf.cli import COMMANDS
from tinybert_hf.recipes.loader import load_recipe, shipped_recipes

Cli = Callable[..., Result]
NAMES = [command.__name__ for command in COMMANDS]


@pytest.mark.parametrize("name", NAMES)
def test_help(tinybert: Cli, name: str) -> None:
    result = tinybert(name, "--help")
    assert result.exit_code == 0
    assert f"tinybert {name}" in result.output


@pytest.mark.parametrize("name", NAMES)
def test_wrong_flag(tinybert: Cli, name: str) -> None:
    result = tinybert(name, "--no-such-flag")
    assert result.exit_code == 2
    assert "No such option" in result.output


def test_recipes_lists_each_with_its_description(tinybert: Cli) -> None:
    result = tinybert("recipes")
    assert result.exit_code == 0
    for name, description in shipped_recipes().items():
        assert re.search(rf"^{name} +{re.escape(description)}$", result.output, flags=re.MULTILINE)


def test_a_recipe_is_printed_as_a_start_for_ones_own(tinybert: Cli, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(tinybert("recipes", "sst2").output, encoding="utf-8")
    assert (
        load_recipe(str(own), {"teacher.model": "x", "output_dir": "y"}).phases
        == load_recipe("sst2", {"teacher.model": "x", "output_dir": "y"}).phases
    )
    assert tinybert("recipes", "sst3").exit_code == 2


def test_as_a_module() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "tinybert_hf", "recipes"], capture_output=True, text=True, timeout=280, check=True
    )
    assert "demo" in process.stdout
    assert process.stderr == ""


@pytest.fixture
def files(work: Path) -> list[str]:
    train, validation = write_rows(work / "a.jsonl", rows()), write_rows(work / "b.jsonl", rows(16))
    return ["--train-file", train, "--validation-file", validation]


SMALL = "student.overrides={hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 32}"


def test_distill_files_then_evaluate(tinybert: Cli, work: Path, files: list[str], teacher: str) -> None:
    for row_file in ("a.jsonl", "b.jsonl"):
        text = (work / row_file).read_text().replace('"text"', '"sentence"').replace('"label"', '"mood"')
        (work / row_file).write_text(text)
    options = ["--text-column", "sentence", "--label-column", "mood", "--teacher", teacher, "--student", "4l-312d"]
    options += ["--max-length", "16", "--output-dir", "out", "--cpu", "--no-baseline", "--set", SMALL]
    options += ["--set", "phases.0.epochs=0.5", "--set", "phases.1.epochs=1"]
    result = tinybert("distill", *files, *options)
    assert result.exit_code == 0, result.output
    assert 'pipeline("text-classification", "out")' in result.output
    assert AutoModelForSequenceClassification.from_pretrained(work / "out").config.hidden_size == 16
    # The columns need not be named again: run.json knows them.
    measured = tinybert("evaluate", "out", "--validation-file", "b.jsonl", "--json")
    assert measured.exit_code == 0, measured.output
    run = json.loads((work / "out" / "run.json").read_text())
    assert json.loads(measured.stdout) == pytest.approx(run["metrics"]["student"])


def test_dry_run_prints_the_run_and_writes_nothing(tinybert: Cli, work: Path, files: list[str], teacher: str) -> None:
    result = tinybert("distill", *files, "--teacher", teacher, "--max-length", "16", "--set", SMALL, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "layer map (student<-teacher): 1<-2, 2<-4" in result.output
    assert sorted(path.name for path in work.iterdir()) == ["a.jsonl", "b.jsonl"]
    recipe = yaml.safe_load(result.output.split("\n\n")[0])
    assert recipe["teacher"]["model"] == teacher
    assert recipe["data"]["max_length"] == 16


def test_the_demo_can_be_planned_without_anything(tinybert: Cli, work: Path) -> None:
    result = tinybert("distill", "demo", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "output folder: runs/demo" in result.output


def test_own_recipe_with_changes(tinybert: Cli, work: Path, teacher: str) -> None:
    (work / "mine.yaml").write_text(yaml.safe_dump(recipe_mapping(work, "changed below")))
    words = ["--teacher", teacher, "--seed", "7", "--start", "random", "--baseline", "--bf16", "--finetune-teacher"]
    result = tinybert("distill", "mine.yaml", *words, "--set", "phases.0.learning_rate=1e-4", "--dry-run")
    assert result.exit_code == 0, result.output
    recipe = yaml.safe_load(result.output.split("\n\n")[0])
    assert recipe["seed"] == 7
    assert recipe["student"]["start"] == "random"
    assert recipe["phases"][0]["learning_rate"] == 1e-4
    assert recipe["training_arguments"]["bf16"] is True
    assert recipe["teacher"]["finetune"]["epochs"] == 3.0
    assert recipe["baseline"]["batch_size"] == 16


def test_finetune_makes_a_teacher(tinybert: Cli, work: Path, files: list[str], headless: str) -> None:
    options = ["--max-length", "16", "--epochs", "1", "--batch-size", "16", "--output-dir", "tuned", "--cpu"]
    result = tinybert("finetune", "--model", headless, *files, *options)
    assert result.exit_code == 0, result.output
    assert "accuracy" in result.output
    model = AutoModelForSequenceClassification.from_pretrained(work / "tuned")
    assert model.config.id2label == {0: "negative", 1: "positive"}
    measured = tinybert("evaluate", "tuned", "--validation-file", "b.jsonl")
    assert measured.exit_code == 0, measured.output
    assert "accuracy" in measured.output
    again = tinybert("finetune", "--model", headless, *files, *options)
    assert "complete" in again.output
    other = tinybert("finetune", "--model", headless, *files, *options, "--seed", "3")
    assert other.exit_code == 2
    assert "seed: 42 there, 3 now" in other.stderr


def test_evaluate_finds_the_obvious_columns(tinybert: Cli, work: Path, teacher: str) -> None:
    write_rows(work / "b.jsonl", [{"sentence": row["text"], "label": row["label"]} for row in rows(16)])
    result = tinybert("evaluate", teacher, "--validation-file", "b.jsonl", "--max-length", "16")
    assert result.exit_code == 0, result.output
    write_rows(work / "c.jsonl", [{"review": row["text"], "label": row["label"]} for row in rows(16)])
    result = tinybert("evaluate", teacher, "--validation-file", "c.jsonl", "--max-length", "16")
    assert result.exit_code == 2
    assert "review" in result.stderr
