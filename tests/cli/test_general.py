"""`tinybert distill general`: several texts after one --corpus, and options that do not belong to it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_run import STUDENT, rows, write_rows
from typer.testing import Result

from tinybert_hf.cli import spread

Cli = Callable[..., Result]
SHAPE = [word for name, value in STUDENT.items() for word in ("--set", f"student.overrides.{name}={value}")]


@pytest.mark.parametrize(
    ("words", "spread_out"),
    [
        ("general --corpus a b c --teacher t", "general --corpus a --corpus b --corpus c --teacher t"),
        ("--corpus a general", "--corpus a --corpus general"),
        ("--corpus a --corpus b c", "--corpus a --corpus b --corpus c"),
        ("general --corpus=a b", "general --corpus=a b"),
        ("general --teacher t x", "general --teacher t x"),
        ("general --corpus", "general --corpus"),
    ],
)
def test_what_follows_an_option_up_to_the_next(words: str, spread_out: str) -> None:
    assert spread(words.split(), ("--corpus",)) == spread_out.split()


@pytest.fixture
def texts(work: Path) -> list[str]:
    """Two text files."""
    lines = [row["text"] for row in rows(200)]
    (work / "a.txt").write_text("\n".join(lines[:100]))
    (work / "b.txt").write_text("\n".join(lines[100:]))
    return ["a.txt", "b.txt"]


def test_a_run_then_a_task(tinybert: Cli, texts: list[str], work: Path, headless: str, teacher: str) -> None:
    done = tinybert(
        "distill", "general", "--corpus", *texts, "--teacher", headless, "--student", "4l-312d", *SHAPE,
        "--block-size", 32, "--corpus-cache", "cache", "--batch-size", 8, "--epochs", 1, "--cpu",
        "--output-dir", "general",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    for words in (
        "Corpus: 2 sources",
        "tinybert distill sst2 --student general --teacher MODEL_FINE_TUNED_ON_THE_TASK --output-dir general-sst2",
        "200 lines",
        "hidden-state loss",
        "tokens/s",
        "tokens per second",
        "no classifier",
    ):
        assert words in done.output
    content = json.loads((work / "general" / "run.json").read_text())
    assert content["recipe"]["corpus"]["files"] == texts
    assert content["recipe"]["phases"][0]["batch_size"] == 8
    train, dev = write_rows(work / "train.jsonl", rows()), write_rows(work / "dev.jsonl", rows(16))
    words = [
        "distill", "--train-file", train, "--validation-file", dev, "--student", "general", "--teacher", teacher,
        "--max-length", 16, "--epochs", 1, "--no-baseline", "--cpu", "--output-dir", "out",
    ]  # fmt: skip
    planned = tinybert(*words, "--dry-run")
    assert "the student starts from: the weights of general\nThe projections of general are gone on with." in (
        planned.stdout
    ), planned.output
    assert "start: teacher" not in planned.stdout
    done = tinybert(*words)
    assert done.exit_code == 0, done.output
    assert "The projections of general are gone on with." in done.output
    # What else can be done with the folder of a general student.
    assert "knows no task" in tinybert("card", "general").output
    refused = tinybert("evaluate", "general", "--validation-file", dev)
    assert refused.exit_code == 2
    assert "Traceback" not in refused.output


def test_a_dry_run_reads_the_options(tinybert: Cli, texts: list[str], headless: str) -> None:
    words = ["distill", "general", "--corpus", "*.txt", "--teacher", headless, *SHAPE, "--block-size", 32]
    words += ["--masked-lm", "--text-column", "body", "--validation-file", "b.txt", "--dry-run", "--json"]
    shown = tinybert(*words)
    assert shown.exit_code == 0, shown.output
    resolved = json.loads(shown.stdout)
    assert resolved["corpus"]["files"] == ["*.txt"]
    assert resolved["corpus"]["masked_share"] == 0.15
    assert resolved["corpus"]["text_column"] == "body"
    assert resolved["corpus"]["validation_files"] == ["b.txt"]
    assert resolved["phases"][0]["label_loss_weight"] == 1.0
    assert resolved["data"]["validation_file"] is None
    # Without a recipe's name, a corpus says which one is meant.
    assert json.loads(tinybert(*[w for w in words if w != "general"]).stdout)["task"] == "general"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("general", "--label-column", "x"), "--label-column does not belong to a general distillation"),
        (("general", "--text-pair-column", "x"), "--text-pair-column does not belong"),
        (("general", "--train-file", "x"), "--corpus"),
        (("general", "--max-length", "64"), "--block-size"),
        (("general", "--finetune-teacher"), "--finetune-teacher does not belong"),
        (("general", "--teacher", "y"), "a second --teacher does not belong"),
        (("general", "--validation-split", "0.1"), "--validation-split does not belong"),
        (("general", "--unlabelled-file", "x"), "--unlabelled-file does not belong"),
        (("general", "--source-column", "x"), "--source-column does not belong"),
        (("general", "--baseline"), "baseline: there are no labels"),
        (("general", "--dataset", "x"), "not both"),
        (("sst2",), "--corpus is for plain text"),
        (("translation",), "the task of translation is translation"),
    ],
)
def test_options_of_another_task_are_refused_by_name(
    tinybert: Cli, texts: list[str], words: tuple[str, ...], message: str
) -> None:
    done = tinybert("distill", *words, "--corpus", *texts, "--teacher", "x", "--dry-run")
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())
    if words[0] == "sst2":
        for option, value in (("--dataset", "x"), ("--block-size", 64), ("--corpus-cache", "x")):
            done = tinybert("distill", "sst2", option, value, "--teacher", "x", "--dry-run")
            assert f"{option} is for plain text" in " ".join(done.output.replace("│", " ").split())


def test_without_any_text(tinybert: Cli) -> None:
    done = tinybert("distill", "general", "--teacher", "x", "--dry-run")
    assert done.exit_code == 2
    assert "--corpus" in done.output
