"""The table of runtimes is written from whatever is installed, and bad input is told."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tinybert_hf.checkpoints import save_atomically
from tinybert_hf.data import train_wordpiece_tokenizer
from tinybert_hf.model import TinyBertForSequenceClassification, TinyBertModel

ROOT = Path(__file__).parent.parent
WORDS = "a fine film that moves and a dull one that does not"
pytestmark = pytest.mark.slow


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script with its results in `folder`; a tiny model stands in folder/model."""
    command = [sys.executable, str(ROOT / "benchmarks/runtimes.py"), "--output", str(folder / "results")]
    command += ["--work", str(folder / "work"), "--model", str(folder / "model"), *arguments]
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=settings, capture_output=True, text=True, check=False)


def save(folder: Path, tiny_config: Any, kind: Any = TinyBertForSequenceClassification, **changes: Any) -> None:
    tokenizer = train_wordpiece_tokenizer([WORDS] * 20, vocab_size=80, max_length=32)
    config = tiny_config(vocab_size=len(tokenizer), max_position_embeddings=32, **changes)
    save_atomically(kind(config), tokenizer, folder / "model")


def test_each_runtime_has_a_line_and_answers_as_pytorch_does(tmp_path: Path, tiny_config: Any) -> None:
    save(tmp_path, tiny_config, initializer_range=0.3)
    asked = ("onnx", "stock-onnx", "stock-onnx-int8", "ctranslate2-int8", "torch")
    done = run(tmp_path, "--rounds", "2", "--sizes", "1x8", "3x16", "--formats", *asked)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results/runtimes.json").read_text())
    assert found["left_out"] == {}
    assert list(found["sizes"]) == ["1 x 8", "3 x 16"]
    for figures in found["sizes"].values():
        assert set(figures) == {"onnx-int8", *asked}
        assert figures["onnx-int8"]["times"] == 1
        assert all(figures[name]["difference"] < 1e-4 for name in ("onnx", "stock-onnx", "torch"))
        assert all(1e-6 < one["difference"] < 1 for name, one in figures.items() if "int8" in name)
    page = (tmp_path / "results/runtimes.md").read_text()
    assert "--rounds 2 --sizes 1x8 3x16 --formats onnx " in page.replace("\n", " ")
    assert page.count("\n| ours: `onnx` |") == 2


def test_exports_of_another_model_are_not_taken(tmp_path: Path, tiny_config: Any) -> None:
    save(tmp_path, tiny_config)
    (tmp_path / "work").mkdir()
    (tmp_path / "work/model.sha256").write_text("another")
    done = run(tmp_path, "--sizes", "1x8")
    assert done.returncode == 2
    assert "holds exports of another model" in done.stderr


def test_what_cannot_be_measured_is_told(tmp_path: Path, tiny_config: Any) -> None:
    done = run(tmp_path, "--sizes", "1x8")
    assert done.returncode == 2
    assert "holds no model.safetensors" in done.stderr
    save(tmp_path, tiny_config, TinyBertModel)
    assert "holds no text classifier" in run(tmp_path, "--sizes", "1x8").stderr
    assert "'8' is no size" in run(tmp_path, "--sizes", "8").stderr


def test_a_text_longer_than_the_model_reads_is_refused(tmp_path: Path, tiny_config: Any) -> None:
    save(tmp_path, tiny_config)
    assert "reads 32 tokens at most" in run(tmp_path, "--sizes", "1x64").stderr
