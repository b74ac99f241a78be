"""Checkpoints opened where the package does not exist: through every Auto class, saved again, and opened once more."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tinybert_hf import model as family
from tinybert_hf.model import AUTO_CLASSES

SCRIPT = Path(__file__).with_name("open_without_package.py")
CODE = sorted(Path(family.__file__).parent.glob("*_tinybert*.py"))
AUTO_MODELS = [name for name in AUTO_CLASSES if name != "AutoConfig"]


def _run(place: Path, opened: dict[str, list[str]], folders: dict[str, Path]) -> dict:
    """Run the script in a process that starts elsewhere with empty caches; give its report, outputs and saves."""
    again = place / "again"
    again.mkdir(parents=True)
    job = {"again": str(again), "opened": opened, "folders": {name: str(folder) for name, folder in folders.items()}}
    (place / "job.json").write_text(json.dumps(job))
    caches = {"HF_HOME": str(place / "home"), "HF_MODULES_CACHE": str(place / "modules"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(place / "job.json")],
        cwd=place,
        env={**os.environ, **caches},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    report = json.loads((again / "report.json").read_text())
    return {"report": report, "outputs": torch.load(again / "outputs.pt"), "again": again}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_config, tiny_tokenizer, heads):
    """Save every head and open it elsewhere; delete the original, and open in a new process what was saved there."""
    root = tmp_path_factory.mktemp("remote")
    expected, folders, opened = {}, {}, {}
    for head in heads:
        torch.manual_seed(0)
        model = head.tinybert(tiny_config(num_labels=4)).eval()
        folders[head.name] = root / "saved" / head.name
        model.save_pretrained(folders[head.name])
        tiny_tokenizer.save_pretrained(folders[head.name])
        inputs = head.inputs()
        torch.save(inputs, folders[head.name] / "inputs.pt")
        with torch.no_grad():
            expected[head.name] = {key: value for key, value in model(**inputs).items() if key.endswith("logits")}
            if head.name == "SequenceClassification":
                expected["AutoModel"] = dict(model.tinybert(**inputs).items())
        opened[head.name] = [f"AutoModelFor{head.name}"]
    first = _run(root / "first", {**opened, "SequenceClassification": AUTO_MODELS}, folders)
    shutil.rmtree(root / "saved")
    saved_there = {name: first["again"] / name / auto_classes[0] for name, auto_classes in opened.items()}
    second = _run(root / "second", opened, saved_there)
    return {"expected": expected, "first": first, "second": second}


@pytest.mark.parametrize("turn", ["first", "second"])
def test_each_head_computes_the_same(turn, runs, head):
    outputs = runs[turn]["outputs"][f"{head.name}/AutoModelFor{head.name}"]
    assert runs["expected"][head.name]
    for key, value in runs["expected"][head.name].items():
        torch.testing.assert_close(outputs[key], value, rtol=0, atol=1e-6)


def test_auto_model_opens_a_classifier(runs):
    outputs = runs["first"]["outputs"]["SequenceClassification/AutoModel"]
    for key, value in runs["expected"]["AutoModel"].items():
        torch.testing.assert_close(outputs[key], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("auto_class", AUTO_MODELS)
def test_every_auto_class_opens_a_classifier(auto_class, runs):
    assert runs["first"]["report"]["classes"][f"SequenceClassification/{auto_class}"] == AUTO_CLASSES[auto_class]


@pytest.mark.parametrize("auto_class", list(AUTO_CLASSES))
def test_saves_made_there_carry_the_code(auto_class, runs):
    folder = runs["first"]["again"] / "SequenceClassification" / auto_class
    assert json.loads((folder / "config.json").read_text())["auto_map"] == AUTO_CLASSES
    for path in CODE:
        assert (folder / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("turn", ["first", "second"])
def test_tokenizer_opens_there(turn, runs, tiny_tokenizer):
    report = runs[turn]["report"]
    assert set(report["tokenizers"].values()) == {"BertTokenizer"}
    assert report["ids"] == tiny_tokenizer("a good film").input_ids


def test_pipeline_runs_there(runs):
    assert runs["first"]["report"]["pipeline"][0]["label"].startswith("LABEL_")


def test_package_was_out_of_reach(runs):
    assert runs["first"]["report"]["package"] == runs["second"]["report"]["package"] == "cannot be imported"
