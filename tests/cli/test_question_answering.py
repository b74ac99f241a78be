"""The commands with questions and answers."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_answers import make_teacher, rows
from tiny_run import write_rows
from typer.testing import Result

Cli = Callable[..., Result]
# As wide as the recipe's student is, it cannot start from so small a teacher.
LENGTH = ["--max-length", 24, "--init", "random"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    train, validation = (
        write_rows(tmp_path / f"{name}.jsonl", rows(n)) for name, n in (("train", 16), ("validation", 8))
    )
    return ["--train-file", train, "--validation-file", validation]


def test_finetune_evaluate_and_distill(
    tinybert: Cli, tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    headless = make_teacher(tmp_path / "headless", head=False)
    more = ["--max-length", 24, "--epochs", 1, "--cpu"]
    result = tinybert("finetune", "--task", "qa", "--model", headless, *files, *more, "--output-dir", "tuned")
    assert result.exit_code == 0, result.output
    assert "16 questions are read in" in result.output
    assert "exact_match" in result.output
    useless = json.loads(Path("tuned/run.json").read_text())["metrics"]["f1"] == 0
    assert ("WARNING: The model finds no answer" in result.output) == useless
    # The length is that of run.json.
    shown = tinybert("evaluate", "tuned", *files[2:], "--predictions", "a.jsonl", "--cpu", "--json")
    assert shown.exit_code == 0, shown.output
    metrics = json.loads(shown.stdout)
    assert "8 questions are read in" in metrics.pop("notes")[0]
    assert len(Path("a.jsonl").read_text().splitlines()) == 8
    said = json.loads(Path("tuned/run.json").read_text())["metrics"]
    assert metrics == pytest.approx(said)
    distilled = tinybert("distill", "squad", "--teacher", "tuned", *files, "--dry-run", *LENGTH)
    assert distilled.exit_code == 0, distilled.output
    assert "task: question-answering" in distilled.output


def test_wrong_tasks_and_files(tinybert: Cli, tmp_path: Path, files: list[str], teacher: str) -> None:
    wrong = tinybert("finetune", "--task", "quiz", "--model", teacher, *files, "--output-dir", tmp_path / "out")
    assert wrong.exit_code == 2
    assert "no task 'quiz'; known are text-classification" in wrong.output
    predictions = tinybert("evaluate", teacher, *files[2:], "--predictions", tmp_path / "a.json")
    assert predictions.exit_code == 2
    assert "answers no questions" in predictions.output
    other = tinybert("distill", "squad", "--teacher", teacher, *files, *LENGTH)
    assert other.exit_code == 2
    assert "is a text classifier, and the task is question answering" in other.output
