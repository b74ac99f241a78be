"""Every layout of the published checkpoints, and what is built like BERT: the same answers after the conversion."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conversion.conftest import PUBLISHED, SHAPE, WORDS, body, classifier, projections, untrained_heads
from conversion.published import published_logits, published_pooled
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)

from tinybert_hf.checkpoints import PROJECTIONS_FILE
from tinybert_hf.conversion import convert_checkpoint, read_checkpoint
from tinybert_hf.errors import OutputFolderError, TinyBertError

IDS = torch.tensor([[2, 5, 6, 7, 8, 3], [2, 9, 3, 0, 0, 0]])
MASK = (IDS != 0).long()
Write = Callable[..., Path]


def logits_of(folder: Path) -> Tensor:
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(input_ids=IDS, attention_mask=MASK).logits


LAYOUTS = {
    "v1": {},
    "without the prefix": {"prefix": ""},
    "gamma and beta": {"old_norms": True},
    "saved from several GPUs": {"prefix": "module.bert."},
    "compiled": {"prefix": "_orig_mod.bert."},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_published_classifier_answers_as_published(checkpoint: Write, tmp_path: Path, layout: str) -> None:
    weights = {**body(**LAYOUTS[layout]), **classifier(3), **projections(("fit_dense",)), **untrained_heads()}
    if layout == "saved from several GPUs":
        weights = {name if name.startswith("module.") else f"module.{name}": t for name, t in weights.items()}
    folder = checkpoint(weights)
    converted = convert_checkpoint(folder, tmp_path / "out", label_names=["no", "yes", "perhaps"])
    expected = published_logits({**body(), **classifier(3)}, IDS, MASK, heads=4)
    torch.testing.assert_close(logits_of(tmp_path / "out"), expected, rtol=0, atol=1e-5)
    assert converted.model.config.classifier_activation == "relu"
    assert converted.model.config.id2label == {0: "no", 1: "yes", 2: "perhaps"}
    assert "cls.predictions.bias" in converted.left_out
    assert converted.random == []


def test_the_activation_matters(checkpoint: Write) -> None:
    """Without the rectifier the same weights give other answers: what a stock BERT would make of them."""
    folder = checkpoint({**body(), **classifier()})
    model = read_checkpoint(folder).model
    model.classifier_input = torch.nn.Identity()
    with torch.no_grad():
        plain = model(input_ids=IDS, attention_mask=MASK).logits
    assert (plain - published_logits({**body(), **classifier()}, IDS, MASK, heads=4)).abs().max() > 0.1


@pytest.mark.parametrize(
    ("names", "mode"), [(("fit_dense",), "shared"), (("fit_denses.0", "fit_denses.1", "fit_denses.2"), "per_layer")]
)
def test_a_general_checkpoint_brings_its_projections(
    checkpoint: Write, tmp_path: Path, names: tuple[str, ...], mode: str
) -> None:
    folder = checkpoint({**body(), **projections(names), **untrained_heads()})
    converted = convert_checkpoint(folder, tmp_path / "out")
    assert converted.head == "encoder"
    assert converted.projections is not None
    assert converted.projections.mode == mode
    kept = load_file(tmp_path / "out" / PROJECTIONS_FILE)
    for index, name in enumerate(names):
        ours = f"maps.{index if mode == 'per_layer' else 'shared'}"
        given = projections(names)
        assert torch.equal(kept[f"{ours}.weight"], given[f"{name}.weight"])
        assert torch.equal(kept[f"{ours}.bias"], given[f"{name}.bias"])
    model = AutoModel.from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        pooled = model(input_ids=IDS, attention_mask=MASK).pooler_output
    torch.testing.assert_close(pooled, published_pooled(body(), IDS, MASK, heads=4), rtol=0, atol=1e-5)
    noted = json.loads((tmp_path / "out" / "manifest.json").read_text())["files"]
    assert {"model.safetensors", "config.json", "tokenizer.json", PROJECTIONS_FILE} <= noted.keys()


def test_the_vocabulary_comes_along(checkpoint: Write, tmp_path: Path) -> None:
    convert_checkpoint(checkpoint(body()), tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.get_vocab() == {word: index for index, word in enumerate(WORDS)}
    assert tokenizer.tokenize("The café was badly GOOD.") == ["the", "cafe", "was", "bad", "##ly", "good", "."]
    assert tokenizer.model_max_length == 16
    assert len(tokenizer("the " * 40, truncation=True).input_ids) == 16


@pytest.mark.parametrize("how", ["its words", "its settings", "the argument"])
def test_a_cased_vocabulary_keeps_its_capitals(checkpoint: Write, how: str) -> None:
    folder = checkpoint(body())
    words = [*WORDS[:5], "The", "the", "Film"]
    (folder / "vocab.txt").write_text("\n".join(words if how == "its words" else [*WORDS, "The"]))
    if how == "its settings":
        (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    if how != "its words":
        assert "The" in (folder / "vocab.txt").read_text()
    converted = read_checkpoint(folder, lower_case=False if how == "the argument" else None)
    assert converted.tokenizer.tokenize("The the")[0] == "The"
    assert bool(converted.notes) == (how == "its words")


@pytest.mark.parametrize("file", ["folder", "the .bin itself", "safetensors", "shards"])
def test_where_the_weights_may_stand(checkpoint: Write, file: str) -> None:
    weights = {**body(), **classifier()}
    folder = checkpoint(weights)
    source = folder
    if file == "the .bin itself":
        source = folder / "pytorch_model.bin"
    elif file == "safetensors":
        save_file(weights, folder / "model.safetensors")
        (folder / "pytorch_model.bin").unlink()
    elif file == "shards":
        parts = {"a.bin": dict(list(weights.items())[:9]), "b.bin": dict(list(weights.items())[9:])}
        for name, part in parts.items():
            torch.save(part, folder / name)
        index = {"weight_map": {key: name for name, part in parts.items() for key in part}}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        (folder / "pytorch_model.bin").unlink()
    model = read_checkpoint(source).model
    with torch.no_grad():
        logits = model(input_ids=IDS, attention_mask=MASK).logits
    torch.testing.assert_close(logits, published_logits(weights, IDS, MASK, heads=4), rtol=0, atol=1e-5)


STOCK: dict[str, Any] = {
    "encoder": BertModel,
    "sequence-classification": BertForSequenceClassification,
    "token-classification": BertForTokenClassification,
    "question-answering": BertForQuestionAnswering,
    "masked-lm": BertForMaskedLM,
}


@pytest.mark.parametrize("head", STOCK)
def test_what_is_built_like_bert_answers_as_before(head: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    names = {"id2label": {0: "no", 1: "yes", 2: "perhaps"}, "label2id": {"no": 0, "yes": 1, "perhaps": 2}}
    labels = names if head.endswith("classification") else {}
    stock = STOCK[head](BertConfig(**SHAPE, initializer_range=0.4, layer_norm_eps=1e-7, **labels)).eval()
    stock.save_pretrained(tmp_path / "bert")
    (tmp_path / "bert" / "vocab.txt").write_text("\n".join(WORDS))
    converted = read_checkpoint(tmp_path / "bert")
    assert converted.head == head
    assert converted.random == []
    assert not converted.is_published
    assert converted.model.config.classifier_activation is None
    with torch.no_grad():
        expected = stock(input_ids=IDS, attention_mask=MASK)
        found = converted.model.eval()(input_ids=IDS, attention_mask=MASK)
    for name in ("logits", "start_logits", "end_logits", "last_hidden_state", "pooler_output"):
        if getattr(expected, name, None) is not None:
            torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=0, atol=1e-5)
    if labels:
        assert converted.model.config.id2label == names["id2label"]


def test_a_head_can_be_chosen(checkpoint: Write) -> None:
    folder = checkpoint({**body(), **untrained_heads(), **projections(("fit_dense",))})
    assert type(read_checkpoint(folder, head="masked-lm").model).__name__ == "TinyBertForMaskedLM"
    with pytest.raises(TinyBertError, match=r"lacks 2 parameters .*classifier\.bias, classifier\.weight"):
        read_checkpoint(folder, head="sequence-classification")
    drawn = [read_checkpoint(folder, head="sequence-classification", allow_missing=True) for _ in range(2)]
    assert drawn[0].random == ["classifier.bias", "classifier.weight"]
    assert "2 parameters are random" in drawn[0].notes[0]
    assert torch.equal(drawn[0].model.classifier.weight, drawn[1].model.classifier.weight)


def changed(config: dict[str, Any], **fields: Any) -> dict[str, Any]:
    merged = {**config, **fields}
    return {name: value for name, value in merged.items() if value is not None}


@pytest.mark.parametrize(
    ("weights", "config", "options", "message"),
    [
        ({"bert.adapter.weight": torch.ones(2)}, {}, {}, r"1 tensors .*bert\.adapter\.weight.*--allow-unexpected"),
        ({"bert.pooler.dense.weight": None}, {}, {}, r"lacks 1 parameters .*pooler\.dense\.weight.*--allow-missing"),
        ({}, {"intermediate_size": 33}, {}, r"does not fit .*intermediate\.dense\.weight \(32, 24\), but \(33, 24\)"),
        ({}, {"num_hidden_layers": 3}, {}, r"describes 3 layers, but .* has 2"),
        ({}, {"vocab_size": 10}, {}, r"does not fit .*word_embeddings"),
        ({}, {"hidden_size": None}, {}, r"config\.json lacks hidden_size"),
        ({}, {"model_type": "roberta"}, {}, "describes a 'roberta'; only what is built like BERT"),
        ({}, {"position_embedding_type": "relative_key"}, {}, "absolute positions only"),
        ({}, {"hidden_act": "glue"}, {}, r"config\.json cannot be used: .*glue"),
        ({}, {}, {"head": "classifier"}, "no head 'classifier'; choose one of encoder"),
        ({}, {}, {"label_names": ["a", "b"]}, "head is encoder, which has no labels"),
        (classifier(), {}, {"label_names": ["a", "b", "c"]}, "3 label names .* 2 outputs"),
        ({"embeddings.word_embeddings.weight": torch.ones(20, 24)}, {}, {}, "word_embeddings.weight twice"),
        ({"fit_denses.0.weight": torch.ones(40, 24), "fit_denses.0.bias": torch.ones(40)}, {}, {}, "projections"),
        ({"fit_dense.weight": torch.ones(40, 23), "fit_dense.bias": torch.ones(40)}, {}, {}, "from width 24"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    checkpoint: Write, weights: dict[str, Any], config: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    merged = {name: tensor for name, tensor in {**body(), **weights}.items() if tensor is not None}
    folder = checkpoint(merged, changed(PUBLISHED, **config))
    with pytest.raises(TinyBertError, match=message):
        read_checkpoint(folder, **options)


def test_unexpected_tensors_are_left_out_where_that_is_allowed(checkpoint: Write) -> None:
    folder = checkpoint({**body(), "bert.adapter.weight": torch.ones(2)})
    assert read_checkpoint(folder, allow_unexpected=True).left_out["bert.adapter.weight"] == "unexpected"


def test_a_vocabulary_larger_than_the_embeddings(checkpoint: Write) -> None:
    folder = checkpoint(body())
    (folder / "vocab.txt").write_text("\n".join([*WORDS, *(f"word{index}" for index in range(20))]))
    with pytest.raises(TinyBertError, match=r"embeds 20 tokens.*14 without an embedding: 'word6' \(20\)"):
        read_checkpoint(folder)


@pytest.mark.parametrize("missing", ["vocab.txt", "config.json", "pytorch_model.bin"])
def test_a_file_that_is_missing_is_named(checkpoint: Write, missing: str) -> None:
    folder = checkpoint(body())
    (folder / missing).unlink()
    with pytest.raises(TinyBertError, match=missing.replace(".", r"\.")):
        read_checkpoint(folder)


def test_what_is_nowhere(tmp_path: Path) -> None:
    with pytest.raises(TinyBertError, match="there is no such folder or file"):
        read_checkpoint(tmp_path / "nowhere" / "at" / "all")


def test_damaged_weights_and_pickles(checkpoint: Write, tmp_path: Path) -> None:
    folder = checkpoint(body())
    whole = (folder / "pytorch_model.bin").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(whole[:-500])
    with pytest.raises(TinyBertError, match=r"pytorch_model\.bin cannot be read"):
        read_checkpoint(folder)
    torch.save({"weight": Path("x")}, folder / "pytorch_model.bin")
    with pytest.raises(TinyBertError, match="holds more than tensors"):
        read_checkpoint(folder)
    torch.save([torch.ones(1)], folder / "pytorch_model.bin")
    with pytest.raises(TinyBertError, match="does not hold named tensors"):
        read_checkpoint(folder)


def test_a_folder_that_holds_something_is_kept(checkpoint: Write, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputFolderError, match="not empty"):
        convert_checkpoint(checkpoint(body()), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_what_follows_the_encoder_of_sentence_transformers_is_carried(checkpoint: Write, tmp_path: Path) -> None:
    folder = checkpoint(body(), {**SHAPE, "architectures": ["BertModel"], "model_type": "bert"})
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Dense": "Dense", "3_Normalize": "Normalize"}
    parts = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds.items()]
    parts.append({"path": "../outside", "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(parts))
    for path in list(kinds)[1:3]:
        (folder / path).mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "cls"}))
    (folder / "2_Dense" / "model.safetensors").write_bytes(b"weights")
    converted = convert_checkpoint(folder, tmp_path / "out")
    assert any("cls pooling, Dense, Normalize" in note and "carried over" in note for note in converted.notes)
    assert (tmp_path / "out" / "2_Dense" / "model.safetensors").read_bytes() == b"weights"
    assert (tmp_path / "out" / "3_Normalize").is_dir()
    assert not (tmp_path / "outside").exists()
    head = read_checkpoint(folder, head="sequence-classification", allow_missing=True)
    assert any("left out" in note for note in head.notes)
