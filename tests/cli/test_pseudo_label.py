"""`tinybert pseudo-label`: from a file and a teacher to rows; bad input; the same command again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_translator
from typer.testing import Result

from tinybert_hf.data.files import read_file
from tinybert_hf.data.pseudo_labels import read_pseudo_labels

Cli = Callable[..., Result]
SOURCES = [tiny_translator.sentence(1 + index % 5, index) for index in range(9)]
EXPECTED = [{"source": text, "target": tiny_translator.in_german(text)} for text in SOURCES]


@pytest.fixture
def label(tinybert: Cli, work: Path, translator: str) -> Cli:
    """Label good rows with a good teacher; later options win over these."""
    rows = [{"en": text, "de": tiny_translator.in_german(text)} for text in SOURCES]
    (work / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"en": "", "de": None}]))
    usual = ["--teacher", translator, "--input-file", "pairs.jsonl", "--source-column", "en", "--output-dir", "out"]
    return lambda *words: tinybert("pseudo-label", *usual, "--cpu", "--num-beams", "2", *words)


def test_a_folder(label: Cli) -> None:
    result = label("--shard-rows", "4", "--batch-size", "3")
    assert result.exit_code == 0, result.output
    assert list(read_pseudo_labels("out")) == EXPECTED
    assert "9 of 10 rows written to out" in result.stdout
    assert "left out, empty source: 1" in result.stdout
    assert "rows/s" in result.stdout
    assert result.stderr == ""
    again = label("--shard-rows", "4")
    assert again.stdout == result.stdout


def test_one_file_nearest_to_the_references(label: Cli) -> None:
    words = ["--target-column", "de", "--select", "nearest", "--output-dir", "out.parquet"]
    assert label(*words).exit_code == 0
    assert read_file("out.parquet", ["target"]).columns["target"] == [row["target"] for row in EXPECTED]


def test_every_option_reaches_the_settings(label: Cli, work: Path) -> None:
    options: dict[str, Any] = {"max-rows": 5, "max-new-tokens": 20, "prefix": "the ", "max-length-factor": 9.0}
    options |= {"max-repeats": 7, "shard-rows": 3, "num-beams": 4, "select": "nearest", "target-column": "de"}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    result = label(*words, "--format", "parquet", "--output-dir", "all")
    assert result.exit_code == 0, result.output
    manifest = json.loads((work / "all" / "manifest.json").read_text())
    settings = {name.replace("_", "-"): value for name, value in manifest["settings"].items()}
    assert options.items() <= settings.items()
    assert settings["source-column"] == "en"
    assert [shard["file"] for shard in manifest["shards"]] == ["shard-00000.parquet", "shard-00001.parquet"]
    half = label("--bf16", "--output-dir", "half")
    assert half.exit_code == 0, half.output
    teachers = [
        json.loads((work / name / "manifest.json").read_text())["settings"]["teacher"] for name in ("all", "half")
    ]
    assert teachers[0] != teachers[1]


def test_bad_input(label: Cli, work: Path, teacher: str) -> None:
    (work / "mine").mkdir()
    (work / "mine" / "notes.txt").write_text("x")
    for words, expected in (
        (["--source-column", "fr"], ["no column 'fr'", "Columns there: en, de"]),
        (["--target-column", "fr"], ["no column 'fr'"]),
        (["--input-file", "pears.jsonl"], ["pears.jsonl does not exist", "Did you mean pairs.jsonl"]),
        (["--select", "nearest"], ["--target-column"]),
        (["--select", "worst"], ["'worst'", "best"]),
        (["--format", "csv"], ["'csv'", "jsonl, parquet"]),
        (["--output-dir", "mine"], ["holds something else"]),
        (["--output-dir", "x.csv.parquet", "--format", "jsonl"], ["ends in .parquet"]),
        (["--teacher", teacher], ["no decoder"]),
        (["--teacher", "./nowhere"], ["does not exist"]),
        (["--target-language", "de"], ["no tokens for languages"]),
    ):
        result = label(*words)
        assert result.exit_code == 2, result.output
        assert result.stderr.startswith("error: ")
        assert len(result.stderr.splitlines()) < 20
        for word in expected:
            assert word in result.stderr
        assert sorted(path.name for path in work.iterdir()) == ["mine", "pairs.jsonl"]


def test_other_settings_and_a_stop(label: Cli, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinybert_hf.data import pseudo_labels

    translate, calls = pseudo_labels.translate_texts, []

    def stopping(*args: Any, **options: Any) -> Any:
        calls.append(len(args[2]))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return translate(*args, **options)

    monkeypatch.setattr(pseudo_labels, "translate_texts", stopping)
    stopped = label("--shard-rows", "4")
    assert stopped.exit_code == 130
    assert "goes on" in stopped.stderr
    refused = label("--shard-rows", "4", "--max-repeats", "5")
    assert refused.exit_code == 2
    assert "max_repeats: 3 there, 5 now" in refused.stderr
    assert label("--shard-rows", "4").exit_code == 0
    assert calls == [4, 4, 4, 2]
    assert list(read_pseudo_labels("out")) == EXPECTED
