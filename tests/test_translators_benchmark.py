"""The table of translators is written from whatever is installed, at forced lengths, and bad input is told."""

from __future__ import annotations

import gzip
import importlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
WAYS = ("teacher-torch-beams", "teacher-ctranslate2-beams", "student-onnx-int8", "own-ctranslate2")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("translators")


def write_data(folder: Path) -> None:
    """Made-up words that repeat, so that they give enough pieces."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnoprstuvwz", k=draw.randint(3, 9))) for _ in range(150)]
    signs = [chr(0x4E00 + 7 * number) for number in range(40)]
    for name in ("en_zh/train", "en_zh/validation", "multi30k/train"):
        rows = [
            {
                "en": " ".join(draw.choices(words, k=draw.randint(2, 6))),
                "de": " ".join(draw.choices(words, k=3)),
                "zh": "".join(draw.choices(signs, k=draw.randint(2, 9))),
            }
            for _ in range(120)
        ]
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script with its results in `folder`."""
    command = [sys.executable, str(ROOT / "benchmarks/translators.py"), "--output", str(folder / "results"), "--tiny"]
    command += ["--data", str(folder / "data"), "--work", str(folder / "work"), *arguments]
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=settings, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_each_way_has_a_line_and_writes_as_many_tokens(tmp_path: Path) -> None:
    for module in ("onnx", "onnxruntime", "ctranslate2"):
        pytest.importorskip(module)
    write_data(tmp_path / "data")
    done = run(tmp_path, "--rounds", "2", "--sentences", "5", "--ways", *WAYS)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results/translators.json").read_text())
    assert found["left_out"] == {}
    assert list(found["batches"]) == ["1", "32"]
    for figures in found["batches"].values():
        assert set(figures) == set(WAYS)
        assert figures["teacher-torch-beams"]["faster_than_teacher"] == figures["student-onnx-int8"]["times_ours"] == 1
        assert figures["teacher-torch-beams"]["tokens"] == figures["student-onnx-int8"]["tokens"] > 1
        assert all(one["rate"] > 0 for one in figures.values())
    sizes = found["megabytes"]
    weights = tmp_path / "work/teacher/model.safetensors"
    assert sizes["teacher-torch-beams"] == pytest.approx(weights.stat().st_size / 1e6)
    assert 0 < sizes["student-onnx-int8"] < sizes["teacher-torch-beams"]
    page = (tmp_path / "results/translators.md").read_text()
    assert "A trial of the script" in page
    assert "random, and the lengths are forced" in page
    assert page.count("\n| teacher in PyTorch, 5 beams |") == 2
    other = run(tmp_path, "--preset", "seq2seq-3-1-128d")
    assert other.returncode == 1
    assert "holds models of other settings" in other.stderr


@pytest.mark.slow
def test_what_cannot_be_measured_is_told(tmp_path: Path) -> None:
    assert "has no en_zh/train.jsonl.gz" in run(tmp_path).stderr
    write_data(tmp_path / "data")
    assert "--sentences: 1 or more" in run(tmp_path, "--sentences", "0").stderr
    assert "invalid choice: 'sled'" in run(tmp_path, "--ways", "sled").stderr


def test_another_number_of_tokens_ends_the_run(script: Any) -> None:
    batches = [script.Batch(["a dog"], 2)]
    script.translate_all(lambda _: [[5, 6]], batches, "way")
    script.translate_all(lambda _: [[5]], batches)  # the timed rounds do not look
    with pytest.raises(RuntimeError, match=r"way wrote \[1\] tokens where 2 were asked for"):
        script.translate_all(lambda _: [[5]], batches, "way")


def test_sentences_of_like_length_share_a_batch_and_a_length(script: Any) -> None:
    def tokens(texts: Any = None, text_target: Any = None) -> Any:
        return {"input_ids": [text.split() for text in texts or text_target]}

    pairs = [{"en": "a " * count, "zh": "b " * (2 * count)} for count in (1, 4, 2, 3, 5)]
    found = script.batches_of(pairs, 3, tokens)
    assert [len(batch.sources) for batch in found] == [3, 2]
    assert [len(text.split()) for batch in found for text in batch.sources] == [5, 4, 3, 2, 1]
    assert [batch.length for batch in found] == [8, 2]


def test_what_is_not_installed_is_left_out_by_name(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "find_spec", lambda module: None if module == "ctranslate2" else object())
    monkeypatch.setattr(script.Way, "open", lambda way, _: way.title)
    opened, left_out = script.open_all(None, ["student-torch", "student-ctranslate2"])
    assert list(opened) == ["student-torch"]
    assert left_out == {"student-ctranslate2": "no ctranslate2 is installed"}
