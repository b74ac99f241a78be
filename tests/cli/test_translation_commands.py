"""The commands that distil and train translators."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tiny_run import write_rows
from tiny_translation_run import STUDENT, pairs
from tiny_translator import save_translator
from typer.testing import Result

Cli = Callable[..., Result]


@pytest.fixture
def words(work: Path) -> list[str]:
    """Files of pairs, and what the options say about them."""
    train, validation = write_rows(work / "a.jsonl", pairs()), write_rows(work / "b.jsonl", pairs(8, seed=7))
    files = ["--train-file", train, "--validation-file", validation]
    return [*files, "--source-column", "en", "--target-column", "de", "--max-length", "16", "--cpu"]


def test_distill_without_a_recipe_takes_that_of_translation(tinybert: Cli, work: Path, words: list[str]) -> None:
    teacher = save_translator(work / "teacher")
    write_rows(work / "more.jsonl", [{"text": "the dog runs"}])
    options = ["--teacher", teacher, "--unlabelled-file", "more.jsonl", "--unlabelled-column", "text", "--epochs", "2"]
    options += ["--student", "seq2seq-3-1-128d", "--output-dir", "out", "--set", f"student.overrides={STUDENT}"]
    result = tinybert("distill", *words, *options, "--dry-run")
    assert result.exit_code == 0, result.output
    recipe = yaml.safe_load(result.output.split("\n\n")[0])
    assert recipe["task"] == "translation"
    assert recipe["pseudo_labels"]["unlabelled_file"] == "more.jsonl"
    assert (recipe["phases"][0]["epochs"], recipe["baseline"]["epochs"]) == (2, 2)
    assert "and of 1 unlabelled source " in result.output
    assert not (work / "out").exists()
    result = tinybert("distill", *words, *options, "--no-baseline")
    assert result.exit_code == 0, result.output
    assert "Unlabelled sources: 1 of 1 translations kept" in result.output
    assert (work / "out" / "worst_sentences.md").exists()


def test_finetune_makes_a_translator(tinybert: Cli, work: Path, words: list[str]) -> None:
    teacher = save_translator(work / "teacher")
    options = ["--epochs", "1", "--output-dir", "tuned"]
    result = tinybert("finetune", "--model", teacher, *words, *options)
    assert result.exit_code == 0, result.output
    assert "bleu signature: nrefs:1" in result.output
    assert (work / "tuned" / "config.json").exists()


def test_finetune_without_a_model_needs_pairs(tinybert: Cli, work: Path, words: list[str]) -> None:
    result = tinybert("finetune", *words[:4], "--output-dir", "tuned")
    assert result.exit_code == 2
    assert "give --model" in result.output
