"""TensorFlow Lite: what is refused, everywhere; and that it answers as the model, where its libraries are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models
import tiny_translator
import torch
from transformers import AutoModel, AutoModelForTokenClassification, AutoTokenizer, pipeline

from tinybert_hf.benchmark.models import find_model
from tinybert_hf.checkpoints import open_exported
from tinybert_hf.conversion.export import export_model
from tinybert_hf.conversion.export.files import inputs_of, lengths_up_to, write_tflite
from tinybert_hf.conversion.export.source import Source, open_source
from tinybert_hf.errors import TinyBertError
from tinybert_hf.tasks import HEADS

TEXTS = ["the film was not very good.", "a dull plot, but bright", "good", "bad and bad and not good"]


@pytest.mark.parametrize(
    ("longest", "lengths"),
    [(512, [32, 128, 512]), (514, [32, 128, 514]), (300, [32, 128, 300]), (130, [32, 130]), (64, [32, 64]),
     (63, [63]), (8, [8]), (2048, [32, 128, 512, 2048])],
)  # fmt: skip
def test_lengths(longest: int, lengths: list[int]) -> None:
    assert lengths_up_to(longest) == lengths


@pytest.mark.parametrize(("family", "count"), [("bert", 3), ("electra", 3), ("roberta", 2), ("distilbert", 2)])
def test_inputs_are_those_that_matter(family: str, count: int) -> None:
    config = tiny_models.FAMILIES[family]()
    if family == "roberta":
        config.type_vocab_size = 1  # as of the published ones
    names = inputs_of(tiny_models.make(config))
    assert names == ["input_ids", "attention_mask", "token_type_ids"][:count]


def test_a_translator_is_refused_before_anything_is_asked_for(
    work: Path, leftovers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    tiny_translator.make_model().save_pretrained("translator")
    with pytest.raises(TinyBertError, match=r"is a translator\..*fixed lengths only.* to onnx or onnx-int8"):
        export_model("translator", "out", "tflite")
    assert leftovers() == ["translator"]


@pytest.mark.parametrize("absent", ["litert_torch", "ai_edge_litert"])
def test_what_is_not_installed_is_named(
    absent: str, saved: Callable[..., str], work: Path, leftovers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("litert_torch", "ai_edge_litert"):
        monkeypatch.setitem(sys.modules, name, None if name == absent else SimpleNamespace())
    with pytest.raises(TinyBertError, match=rf'{absent} is not installed.*pip install "tinybert_hf\[tflite\]"'):
        export_model(saved("text-classification"), "out", "tflite")
    assert leftovers() == []


def test_what_is_not_built_like_bert_is_refused(tiny_tokenizer: Any, tmp_path: Path) -> None:
    model = tiny_models.make(tiny_models.UNFIT["deberta-v2"]())
    with pytest.raises(TinyBertError, match="cannot be exported to TensorFlow Lite: a deberta-v2 is not built like"):
        write_tflite(Source("it", model, tiny_tokenizer, "text-classification", 64, 1.0), tmp_path)


class FakeConverter:
    """Stands for litert_torch: it takes signatures, says something, and fails."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def signature(self, name: str, module: Any, *, sample_kwargs: dict[str, Any]) -> FakeConverter:
        assert name == f"length_{sample_kwargs['input_ids'].shape[1]}"
        with torch.inference_mode():
            assert list(module(**sample_kwargs)) == ["start_logits", "end_logits"]
        self.lengths.append(sample_kwargs["input_ids"].shape[1])
        return self

    def convert(self) -> Any:
        os.write(2, b"loc(fused): cannot lower this\n")
        raise RuntimeError("MLIR failed\nfor a reason")


def test_an_error_of_the_converter_says_what_to_do(
    saved: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    converter = FakeConverter()
    monkeypatch.setitem(sys.modules, "litert_torch", converter)
    source = open_source(saved("question-answering"))
    capfd.readouterr()
    with pytest.raises(TinyBertError) as caught:
        write_tflite(source, tmp_path)
    said = str(caught.value)
    assert "RuntimeError: MLIR failed for a reason. Export it to onnx: --to onnx." in said
    assert said.endswith("converter printed: loc(fused): cannot lower this")
    assert converter.lengths == [32, 64]
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def litert() -> None:
    pytest.importorskip("litert_torch")
    pytest.importorskip("ai_edge_litert")


@pytest.mark.usefixtures("litert")
@pytest.mark.parametrize("task", [pytest.param(one, marks=pytest.mark.slow) for one in HEADS] + ["encoder"])
def test_it_answers_as_the_model(
    task: str, saved: Callable[..., str], work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = saved(task)
    capfd.readouterr()
    report = export_model(source, "out", "tflite", texts=TEXTS)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "XNNPACK" not in printed.err
    assert report.parity.largest_difference < 1e-4
    assert report.parity.equal_answers == (None if task == "encoder" else 1.0)
    assert {"1 x 7", "3 x 60", "1 x 64"} <= set(report.parity.shapes)
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "config.json", "export.json", "manifest.json", "model.tflite", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    note = json.loads(Path("out/export.json").read_text())
    assert note["runtime"] == "litert"
    assert note["versions"]["litert-torch"]
    model = find_model("out")
    assert (model.exported, model.longest) == ("tflite", 64)
    model = (HEADS[task].opener if task in HEADS else AutoModel).from_pretrained(source).eval()
    tokenizer, other = AutoTokenizer.from_pretrained("out"), open_exported("out", threads=1)
    for texts in (TEXTS, [TEXTS[0], " ".join(TEXTS * 2)]):
        batch = tokenizer(texts, padding=True, return_tensors="pt")
        with torch.inference_mode():
            expected, found = model(**batch), other(**batch)
        assert list(found) == list(expected)
        real = batch["attention_mask"].bool()
        for name, ours in found.items():
            theirs = expected[name]
            assert ours.shape == theirs.shape
            ours, theirs = (one[real] if one.shape[:2] == real.shape else one for one in (ours, theirs))
            assert torch.allclose(ours, theirs, atol=1e-4), name
    with pytest.raises(TinyBertError, match="reads 64 at most"):
        other(torch.ones(1, 65, dtype=torch.long))


@pytest.mark.usefixtures("litert")
@pytest.mark.slow
@pytest.mark.parametrize("family", ["roberta", "electra", "distilbert"])
def test_other_families(family: str, work: Path, tiny_tokenizer: Any) -> None:
    torch.manual_seed(0)
    model = AutoModelForTokenClassification.from_config(tiny_models.FAMILIES[family]()).eval()
    model.save_pretrained("model")
    tiny_tokenizer.save_pretrained("model")
    assert export_model("model", "out", "tflite", texts=TEXTS).parity.largest_difference < 1e-4


@pytest.mark.usefixtures("litert")
@pytest.mark.slow
@pytest.mark.parametrize("shape", [{"num_labels": 1}, {"num_labels": 64, "classifier_activation": "relu"}])
def test_other_text_classifiers(shape: dict[str, Any], saved: Callable[..., str], work: Path) -> None:
    """As many labels as tokens, numbers for labels, the published head."""
    source = saved("text-classification", **shape)
    report = export_model(source, "out", "tflite", texts=TEXTS)
    assert report.parity.largest_difference < 1e-4
    tokenizer = AutoTokenizer.from_pretrained("out")
    ours = pipeline("text-classification", model=open_exported("out"), tokenizer=tokenizer)
    for one, other in zip(ours(TEXTS), pipeline("text-classification", source)(TEXTS), strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)


@pytest.mark.usefixtures("litert")
@pytest.mark.slow
def test_all_lengths_share_the_weights(saved: Callable[..., str], work: Path) -> None:
    source = saved("encoder", hidden_size=128, intermediate_size=512)
    report = export_model(source, "out", "tflite", texts=TEXTS)
    assert report.megabytes_after < 1.25 * report.megabytes_before


@pytest.mark.usefixtures("litert")
def test_the_command_prints_its_own_lines_only(saved: Callable[..., str], work: Path) -> None:
    words = ["export", saved("text-classification"), "--to", "tflite", "--output", "out", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", "from tinybert_hf_command import main; main()", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["format"] == "tflite"
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["Opening", "Writing", "Comparing"]
