"""`tinybert benchmark`: a run with all its files, and what is refused before anything is measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_run import rows, write_rows
from typer.testing import Result

Cli = Callable[..., Result]
QUICK = (
    "--backends",
    "eager",
    "--batch-sizes",
    "1,2",
    "--lengths",
    "8,100",
    "--rounds",
    "2",
    "--threads",
    "1",
    "--cpu",
)


def test_a_run_with_all_its_files(tinybert: Cli, teacher: str, work: Path) -> None:
    rows_file = write_rows(work / "dev.jsonl", rows(16))
    result = tinybert(
        "benchmark", teacher, *QUICK, "--no-memory", "--validation-file", rows_file, "--json-file", "b.json",
        "--plot", "b.svg",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    content = json.loads((work / "b.json").read_text())
    assert [(one["batch_size"], one["length"]) for one in content["measurements"]] == [
        (1, 8),
        (2, 8),
        (1, 100),
        (2, 100),
    ]
    assert content["models"][0]["metrics"]["accuracy"] >= 0
    plot = (work / "b.svg").read_text()
    assert plot.startswith("<svg ")
    assert ' xmlns="http://www.w3.org/2000/svg"' in plot.partition(">")[0]
    for said in ("Batch 2 x 8 tokens", "accuracy", "CPU ms", "1.00x (1.00x-1.00x)", "skipped", "Ratios are to"):
        assert said in result.output
    assert "note: " in result.stderr
    assert "reads 64 tokens at most" in result.stderr
    assert "Written: b.json" in result.stderr


def test_json_alone_on_standard_output(tinybert: Cli, teacher: str) -> None:
    result = tinybert("benchmark", teacher, *QUICK, "--no-memory", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["baseline"]["backend"] == "eager"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("bert-bas",), "Did you mean 'bert-base'"),
        (("./nowhere",), "nowhere does not exist"),
        (("2l-192d", "--backends", "egaer"), "Did you mean 'eager'"),
        (("2l-192d", "--lengths", "12,x"), "whole numbers, separated by commas"),
        (("2l-192d", "--batch-sizes", "0"), "batch size of 0 cannot be measured"),
        (("2l-192d", "--seconds", "0"), "seconds"),
        (("2l-192d", "--baseline", "other", "--backends", "eager"), "baseline 'other' is none"),
        (("2l-192d", "--plot", "p.svg"), "give --validation-file"),
        (("2l-192d", "--plot", "p.png", "--validation-file", "x.jsonl"), "has to end in .svg"),
        (("2l-192d", "--json-file", "no/folder/b.json"), "there is no folder no/folder"),
        (("2l-192d", "--json-file", "."), "has to end in .json"),
        (("2l-192d", "--json-file", "folder.json"), "folder.json is a folder"),
        (("2l-192d", "--validation-file", "rows.jsonl", "--backends", "eager"), "Only shapes without weights"),
        (("2l-192d", "--validation-file", "x.jsonl"), "x.jsonl does not exist"),
        (("2l-192d", "--backends", "tflite"), "an exported folder (openvino, tflite, ...) is named among the models"),
        (("nobody", "--backends", "eager"), "as an id on the Hub it cannot be opened"),
        (("nobody", "--backends", "eager"), "Shapes without weights are bert-base, "),
    ],
)
def test_refused_before_anything_is_measured(tinybert: Cli, work: Path, words: tuple[str, ...], message: str) -> None:
    (work / "folder.json").mkdir()
    (work / "rows.jsonl").write_text('{"text": "good", "label": "positive"}')
    result = tinybert("benchmark", *words)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.replace("│", " ").split())
    assert "batch 1 x" not in result.output


def test_nothing_measured_is_no_success(tinybert: Cli, teacher: str) -> None:
    result = tinybert("benchmark", teacher, "--backends", "eager", "--lengths", "9999", "--batch-sizes", "1")
    assert result.exit_code == 2
    assert "Every size was skipped" in result.stderr
