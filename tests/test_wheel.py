"""The wheel holds the whole package, and it runs where the sources are not."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = """
import sys
import tinybert_hf
from transformers import AutoConfig, AutoModelForSequenceClassification
assert tinybert_hf.__file__.startswith(sys.argv[1]), tinybert_hf.__file__
assert tinybert_hf.__version__ == sys.argv[2]
for name in tinybert_hf.__all__:
    getattr(tinybert_hf, name)
from tinybert_hf.recipes.loader import load_recipe, recipe_text, shipped_recipes
load_recipe("demo")
for name in shipped_recipes():
    recipe_text(name)
config = tinybert_hf.TinyBertConfig(vocab_size=60, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                                    intermediate_size=16)
AutoModelForSequenceClassification.from_config(config).save_pretrained("model")
AutoModelForSequenceClassification.from_pretrained("model")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sources, without asking an index for anything."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "-q", "-w"]
    subprocess.run([*command, str(folder)], check=True, capture_output=True, timeout=280)
    (built,) = folder.glob("*.whl")
    return built


def test_it_holds_every_file_of_the_package(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = ROOT / "tinybert_hf"
    files = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == files | {"tinybert_hf_command.py"}
    assert "tinybert_hf/py.typed" in inside


def test_it_runs_outside_the_sources(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "-q", "--target", str(target)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True, timeout=280)
    environment = {**os.environ, "PYTHONPATH": str(target)}
    for call in (["-c", SCRIPT, str(target), wheel.name.split("-")[1]], ["-m", "tinybert_hf", "recipes"]):
        done = subprocess.run(
            [sys.executable, *call], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout
