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
from tinybert_hf.data import train_translation_tokenizer
from tinybert_hf.model import AUTO_CLASSES, TinyBertForSeq2Seq

SCRIPT = Path(__file__).with_name("open_without_package.py")
FOLDER = Path(family.__file__).parent
CODE = [FOLDER / "configuration_tinybert.py", *sorted(FOLDER.glob("modeling_*.py")), FOLDER / "manifest_tinybert.py"]
WRITES = "AutoModelForSeq2SeqLM"
OPEN_AN_ENCODER = {name: reference for name, reference in AUTO_CLASSES.items() if name != WRITES}
AUTO_MODELS = [name for name in OPEN_AN_ENCODER if name != "AutoConfig"]


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
    folders["Seq2SeqLM"], opened["Seq2SeqLM"] = root / "saved" / "Seq2SeqLM", [WRITES, "AutoModel"]
    expected["Seq2SeqLM"], ids = _save_translator(tiny_config, folders["Seq2SeqLM"])
    first = _run(root / "first", {**opened, "SequenceClassification": AUTO_MODELS}, folders)
    shutil.rmtree(root / "saved")
    saved_there = {name: first["again"] / name / auto_classes[0] for name, auto_classes in opened.items()}
    second = _run(root / "second", opened, saved_there)
    return {"expected": expected, "ids": ids, "first": first, "second": second}


def _save_translator(tiny_config, folder: Path) -> tuple[dict[str, torch.Tensor], list[list[int]]]:
    """Save a translator with a vocabulary for each side; give what it computes and writes, and what its tokens are."""
    tokenizer = train_translation_tokenizer(["a good film"] * 2, ["ein guter Film"] * 2, target_vocab_size=8000)
    torch.manual_seed(0)
    halves = {"is_encoder_decoder": True, "num_decoder_layers": 1, "decoder_hidden_size": 24, "eos_token_id": 1}
    sizes = {"vocab_size": len(tokenizer), "decoder_vocab_size": tokenizer.target_vocab_size}
    model = TinyBertForSeq2Seq(tiny_config(**halves, **sizes)).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    source = {"input_ids": torch.randint(4, 40, (3, 6)), "attention_mask": torch.ones(3, 6, dtype=torch.long)}
    source["attention_mask"][1, 4:] = 0
    inputs = {**source, "labels": torch.randint(4, 40, (3, 5))}
    torch.save(inputs, folder / "inputs.pt")
    with torch.no_grad():
        outputs = {key: value for key, value in model(**inputs).items() if isinstance(value, torch.Tensor)}
        outputs["written"] = model.generate(**source, max_length=8, no_repeat_ngram_size=1)
    return outputs, [tokenizer("a good film").input_ids, tokenizer(text_target="a good film").input_ids]


@pytest.mark.parametrize("turn", ["first", "second"])
def test_each_head_computes_the_same(turn, runs, head):
    outputs = runs[turn]["outputs"][f"{head.name}/AutoModelFor{head.name}"]
    assert runs["expected"][head.name]
    for key, value in runs["expected"][head.name].items():
        torch.testing.assert_close(outputs[key], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("turn", ["first", "second"])
def test_a_translator_computes_and_writes_the_same(turn, runs):
    outputs, expected = runs[turn]["outputs"][f"Seq2SeqLM/{WRITES}"], runs["expected"]["Seq2SeqLM"]
    assert torch.equal(outputs["written"], expected["written"])
    assert {"loss", "logits", "encoder_last_hidden_state"} < set(expected)
    for key, value in expected.items():
        torch.testing.assert_close(outputs[key], value, rtol=0, atol=1e-5)


def test_auto_model_opens_the_encoder_of_a_translator(runs):
    outputs, expected = runs["first"]["outputs"]["Seq2SeqLM/AutoModel"], runs["expected"]["Seq2SeqLM"]
    torch.testing.assert_close(outputs["last_hidden_state"], expected["encoder_last_hidden_state"], rtol=0, atol=1e-5)


def test_auto_model_opens_a_classifier(runs):
    outputs = runs["first"]["outputs"]["SequenceClassification/AutoModel"]
    for key, value in runs["expected"]["AutoModel"].items():
        torch.testing.assert_close(outputs[key], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("auto_class", AUTO_MODELS)
def test_every_auto_class_opens_a_classifier(auto_class, runs):
    assert runs["first"]["report"]["classes"][f"SequenceClassification/{auto_class}"] == AUTO_CLASSES[auto_class]


@pytest.mark.parametrize(
    ("name", "auto_class", "auto_map"),
    [
        *(("SequenceClassification", auto_class, OPEN_AN_ENCODER) for auto_class in OPEN_AN_ENCODER),
        *(("Seq2SeqLM", auto_class, AUTO_CLASSES) for auto_class in ("AutoConfig", WRITES)),
    ],
)
def test_saves_made_there_carry_the_code(name, auto_class, auto_map, runs):
    folder = runs["first"]["again"] / name / auto_class
    assert json.loads((folder / "config.json").read_text())["auto_map"] == auto_map
    for path in CODE:
        assert (folder / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("turn", ["first", "second"])
def test_tokenizer_opens_there(turn, runs, tiny_tokenizer, heads):
    report = runs[turn]["report"]
    assert report["tokenizers"].pop("Seq2SeqLM") == "TinyBertSeq2SeqTokenizer"
    assert report["ids"].pop("Seq2SeqLM") == runs["ids"]
    assert set(report["tokenizers"].values()) == {"BertTokenizer"}
    ids = tiny_tokenizer("a good film").input_ids
    assert list(report["ids"].values()) == [[ids, ids]] * len(heads)


def test_pipeline_runs_there(runs):
    assert runs["first"]["report"]["pipeline"][0]["label"].startswith("LABEL_")


def test_package_was_out_of_reach(runs):
    assert runs["first"]["report"]["package"] == runs["second"]["report"]["package"] == "cannot be imported"


def test_every_file_names_every_file_that_it_needs():
    """transformers before 5.9, opening a folder, copies what the opened file itself names, and no more."""
    from transformers.dynamic_module_utils import get_relative_import_files, get_relative_imports

    for entry in dict.fromkeys(reference.partition(".")[0] for reference in AUTO_CLASSES.values()):
        file = FOLDER / f"{entry}.py"
        copied = {f"{name}.py" for name in get_relative_imports(file)} | {file.name}
        assert {Path(needed).name for needed in get_relative_import_files(file)} <= copied
        assert copied == {path.name for path in CODE}


def test_an_older_transformers_is_told_which_is_the_oldest(monkeypatch):
    import importlib.util

    import transformers

    class OldConfig:
        pass

    monkeypatch.setattr(transformers, "BertConfig", OldConfig)
    monkeypatch.setattr(transformers, "__version__", "4.57.6")
    spec = importlib.util.spec_from_file_location("old_place.configuration_tinybert", CODE[0])
    with pytest.raises(ImportError, match=r"transformers 5\.4 and later; this is 4\.57\.6.*--to bert"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
