"""Damaged and poisoned files: each opens to the same, or gives one of our errors with its name; nothing runs."""

from __future__ import annotations

import json
import os
import pickle
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hostile.cases import kinds, make_classifier, run_kind
from hostile.sandbox import FAILED

from tinybert_hf.checkpoints.loading import Checkpoint
from tinybert_hf.errors import ChangedFilesWarning, OutputFolderError, TinyBertError
from tinybert_hf.model.manifest_tinybert import write_manifest
from tinybert_hf.training.checkpoints import checked_checkpoint

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="cases run in forked processes")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder, before = tmp_path_factory.mktemp("hostile"), Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def files(place: Path) -> dict[str, Any]:
    return kinds(place)


NAMES = (
    "config.json, classifier", "config.json, translator", "model.safetensors, classifier",
    "model.safetensors, translator", "tokenizer.json", "tokenizer_config.json", "target_tokenizer.json", "recipe YAML",
    "JSON lines, labels", "JSON lines, pairs", "CSV, labels", "trainer_state.json", "optimizer.pt",
    "a checkpoint's manifest.json",
)  # fmt: skip


def nothing_fails(kind: Any, seeds: range, place: Path) -> None:
    outcomes = run_kind(kind, seeds)
    assert outcomes.failures == []
    assert outcomes.counts[FAILED] == 0
    assert not list(place.rglob("executed"))


def test_every_kind_is_tried(files: dict[str, Any]) -> None:
    assert set(files) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_few_of_each(files: dict[str, Any], place: Path, name: str) -> None:
    nothing_fails(files[name], range(8), place)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_of_each(files: dict[str, Any], place: Path, name: str) -> None:
    nothing_fails(files[name], range(100, 200), place)


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


def opened(folder: Path) -> Any:
    return Checkpoint.read(folder, "a text classifier").open_head("text-classification")


def test_pickled_weights_run_nothing(tmp_path: Path) -> None:
    folder, executed = make_classifier(tmp_path / "model"), tmp_path / "executed"
    (folder / "model.safetensors").unlink()
    (folder / "manifest.json").unlink()
    for content in (pickle.dumps(Touch(executed)), None):
        if content is None:
            torch.save({"weight": Touch(executed)}, folder / "pytorch_model.bin")
        else:
            (folder / "pytorch_model.bin").write_bytes(content)
        with pytest.raises(TinyBertError):
            opened(folder)
        assert not executed.exists()


def test_code_in_the_folder_does_not_run(tmp_path: Path) -> None:
    folder, executed = make_classifier(tmp_path / "model"), tmp_path / "executed"
    (folder / "evil.py").write_text(f"import os; os.mkdir({str(executed)!r})")
    for name in ("config.json", "tokenizer_config.json"):
        content = json.loads((folder / name).read_text())
        classes = ("AutoConfig", "AutoModelForSequenceClassification", "AutoTokenizer")
        (folder / name).write_text(json.dumps({**content, "auto_map": dict.fromkeys(classes, "evil.Evil")}))
    with warnings.catch_warnings(), suppress(TinyBertError):
        warnings.simplefilter("ignore", ChangedFilesWarning)
        opened(folder)
    assert not executed.exists()


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"])
def test_a_poisoned_checkpoint_is_refused_before_it_is_read(tmp_path: Path, name: str) -> None:
    checkpoint, executed = tmp_path / "checkpoint-2", tmp_path / "executed"
    checkpoint.mkdir()
    torch.save({"state": torch.zeros(3)}, checkpoint / name)
    write_manifest(checkpoint, ("**/*",))
    assert checked_checkpoint(checkpoint) == str(checkpoint)
    (checkpoint / name).write_bytes(pickle.dumps(Touch(executed)))
    with pytest.raises(OutputFolderError, match=name):
        checked_checkpoint(checkpoint)
    assert not executed.exists()


def test_shards_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "model")
    (folder / "manifest.json").unlink()
    (folder / "model.safetensors").rename(tmp_path / "outside.safetensors")
    index = {"metadata": {}, "weight_map": {"classifier.weight": "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(TinyBertError, match=r"names '\.\./outside\.safetensors'"):
        opened(folder)


def test_a_configuration_that_was_edited_opens_with_a_notice(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened(folder)
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, "note": "mine"}))
    with pytest.warns(ChangedFilesWarning, match=r"config\.json has"):
        opened(folder)
    (folder / "manifest.json").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened(folder)
