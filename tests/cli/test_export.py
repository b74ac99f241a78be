"""`tinybert export`: what it prints, where it writes, and its exit status."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def rows(work: Path) -> str:
    from tinybert_hf.data.demo import demo_sentiment

    names = ("negative", "positive")
    made = [{"text": row["text"], "label": names[row["label"]]} for row in demo_sentiment(40, seed=5)]
    Path("dev.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in made))
    return "dev.jsonl"


def test_a_teacher_is_exported_and_measured(
    tinybert: Callable[..., Any], teacher: str, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = tinybert("export", teacher, "--to", "onnx", "--output", "out", "--validation-file", rows)
    assert done.exit_code == 0, done.output
    assert "accuracy:" in done.stdout
    assert done.stderr.splitlines()[:2] == [f"Opening {teacher}", "Writing it as onnx"]
    assert "It stands in out. Open it: from tinybert_hf import open_exported; open_exported('out')" in done.stdout
    metrics = [
        json.loads(tinybert("evaluate", folder, "--validation-file", rows, "--json").stdout)
        for folder in (teacher, "out")
    ]
    assert metrics[0] == metrics[1]

    from tinybert_hf.conversion.export import onnx_graph

    monkeypatch.setattr(onnx_graph, "LARGEST_WEIGHT", 1)
    lost = tinybert("export", teacher, "--to", "onnx-int8", "--output", "int8", "--validation-file", rows)
    assert lost.exit_code == 3
    assert "WARNING: accuracy fell by" in lost.stderr
    assert Path("int8/onnx/model_quantized.onnx").is_file()


def test_both_files_by_one_command(
    tinybert: Callable[..., Any], teacher: str, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tinybert_hf.conversion.export import onnx_graph

    shutil.copytree(teacher, "model")
    monkeypatch.setattr(onnx_graph, "LARGEST_WEIGHT", 1)  # so that int8 answers otherwise
    alone = tinybert("export", "model", "--to", "onnx-int8")
    assert alone.exit_code == 0, alone.output
    done = tinybert("export", "model", "--to", "onnx", "--to", "onnx-int8", "--validation-file", rows)
    assert done.exit_code == 3
    (warning,) = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert "WARNING: accuracy fell by" in warning
    assert "(onnx-int8)" in warning
    folder = "model-onnx-onnx-int8"
    opened = f"open_exported('{folder}'); onnx-int8: open_exported('{folder}', format='onnx-int8')"
    assert f"It stands in {folder}. Open it: from tinybert_hf import open_exported; {opened}" in done.stdout
    found = {}
    for name, words in {
        "model": ("model",), "first": (folder,), "onnx": (folder, "--format", "onnx"),
        "int8": (folder, "--format", "onnx-int8"), "alone": ("model-onnx-int8",),
    }.items():  # fmt: skip
        said = tinybert("evaluate", *words, "--validation-file", rows, "--json")
        assert said.exit_code == 0, said.output
        answers = f"{name}.jsonl"
        made = tinybert("classify", *words, "--input-file", rows, "--output-file", answers)
        assert made.exit_code == 0, made.output
        found[name] = json.loads(said.stdout), Path(answers).read_text()
        which = {"first": "this is onnx (", "onnx": "this is onnx (", "int8": "this is onnx-int8 ("}.get(name)
        for result in (said, made):
            assert (which or "this is") in result.stderr if which else "this is" not in result.stderr
    assert found["first"] == found["onnx"]
    assert found["first"][0] == found["model"][0]
    assert found["int8"] == found["alone"] != found["first"]
    for command in (
        ("evaluate", folder, "--format", "bert", "--validation-file", rows),
        ("classify", folder, "--format", "bert", "--input-file", rows, "--output-file", "x.jsonl"),
    ):
        absent = tinybert(*command)
        assert absent.exit_code == 2
        assert "does not hold the format 'bert'; it holds onnx, onnx-int8." in absent.stderr
        none = tinybert(command[0], "model", *command[2:])
        assert none.exit_code == 2
        assert "no export to another runtime" in none.stderr
    apart = tinybert("export", "./nowhere", "--to", "onnx", "--to", "tflite")
    assert apart.exit_code == 2
    assert "onnx and tflite cannot stand in one folder" in apart.stderr


def test_bad_input(tinybert: Callable[..., Any], teacher: str, work: Path) -> None:
    wrong = tinybert("export", teacher, "--to", "onx")
    assert wrong.exit_code == 2
    assert "Did you mean onnx?" in wrong.stderr
    no_rows = tinybert("export", teacher, "--to", "onnx", "--output", teacher, "--validation-file", "nosuch.jsonl")
    assert no_rows.exit_code == 2
    assert "nosuch.jsonl" in no_rows.stderr  # and not that the folder is full
    absent = tinybert("export", "./nowhere", "--to", "onnx")
    assert absent.exit_code == 2
    assert "does not exist" in absent.stderr


def test_an_export_is_measured_with_the_columns_and_the_length_of_its_model(
    tinybert: Callable[..., Any], teacher: str, rows: str
) -> None:
    shutil.copytree(teacher, "model")
    other = [
        {"review": row["text"], "verdict": row["label"]}
        for row in map(json.loads, Path(rows).read_text().splitlines())
    ]
    Path("other.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in other))
    known = {"text_column": "review", "label_column": "verdict", "max_length": 5, "train_file": "/home/me/train.jsonl"}
    Path("model/run.json").write_text(json.dumps({"recipe": {"data": known}}))
    for form in ("onnx", "bert"):
        made = tinybert("export", "model", "--to", form, "--validation-file", "other.jsonl")
        assert made.exit_code == 0, made.output
        metrics = [
            json.loads(tinybert("evaluate", *words, "--validation-file", "other.jsonl", "--json").stdout)
            for words in (("model",), (f"model-{form}",), (f"model-{form}", "--max-length", "60"))
        ]
        assert "/home/me" not in Path(f"model-{form}/export.json").read_text()
        assert metrics[0] == metrics[1]
        assert metrics[0]["accuracy"] != metrics[2]["accuracy"]  # five tokens say less


def test_every_format_says_its_size(tinybert: Callable[..., Any], teacher: str, work: Path) -> None:
    made = tinybert("export", teacher, "--to", "bert", "--output", "out", "--json")
    size = (work / "out" / "model.safetensors").stat().st_size
    assert json.loads(made.stdout)["megabytes_after"] == pytest.approx(size / 1e6)


def test_texts_for_the_ranges_of_int8(tinybert: Callable[..., Any], teacher: str, rows: str) -> None:
    words = ("export", teacher, "--to", "openvino-int8", "--output", "out", "--text-file")
    absent = tinybert(*words, "nosuch.txt")
    assert absent.exit_code == 2
    assert "nosuch.txt" in absent.stderr
    other = [{"review": json.loads(line)["text"]} for line in Path(rows).read_text().splitlines()]
    Path("other.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in other))
    unnamed = tinybert(*words, "other.jsonl")
    assert unnamed.exit_code == 2
    assert "--text-column" in unnamed.stderr
    named = (*words[:3], "onnx", *words[4:])
    done = tinybert(*named, "other.jsonl", "--text-column", "review", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["parity"]["texts"] == len(other) + 5
    pytest.importorskip("nncf")
    done = tinybert(*words, "other.jsonl", "--text-column", "review", "--overwrite")
    assert done.exit_code == 0, done.output
    assert f"Calibrated on {len(other)} of the texts that were given." in done.stdout
