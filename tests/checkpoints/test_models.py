"""What did not load is refused: the body is whole, only a head may be new, and nothing that counts is left over."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_models import COMMON, FAMILIES, SIZES, bert
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BertForMaskedLM,
    BertForPreTraining,
    PreTrainedModel,
)

from tinybert_hf.checkpoints import open_model
from tinybert_hf.distillation.teachers import load_teacher
from tinybert_hf.errors import OpeningWarning, TinyBertError

Weights = dict[str, torch.Tensor]


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A saved BERT classifier whose weights, or fields of config.json, were changed."""

    def make(change: Callable[[Weights], Weights] = dict, model: Any = None, **fields: Any) -> Path:
        folder = tmp_path / "changed"
        shutil.rmtree(folder, ignore_errors=True)
        (model or bert()).save_pretrained(folder)
        weights = load_file(folder / "model.safetensors")
        save_file(change(weights), folder / "model.safetensors", metadata={"format": "pt"})
        content = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**content, **fields}))
        return folder

    return make


def refused(folder: Path, *classes: Any) -> str:
    """The message, which is one whatever the model is opened for."""
    messages = set()
    for auto, new_head in classes or (
        (AutoModelForSequenceClassification, False),
        (AutoModelForSequenceClassification, True),
    ):
        with pytest.raises(TinyBertError) as caught:
            open_model(folder, auto, new_head=new_head)
        messages.add(str(caught.value))
    (message,) = messages
    return message


@pytest.mark.parametrize(
    ("prefix", "why"),
    [
        ("_orig_mod.", "torch.compile puts that there; save model._orig_mod with"),
        ("module.", "DataParallel puts that there; save model.module with"),
        ("model.", "where a module holds the model"),
        ("encoder.", "where a module holds the model"),
        ("_orig_mod.module.", "torch.compile and DataParallel put that there; save model._orig_mod.module with"),
        ("_orig_mod.model.", "torch.compile puts that there; save model._orig_mod.model with"),
        ("base_model.model.", "PEFT puts that there; save model.base_model.model with"),
        ("model.model.", "where a module holds the model"),
    ],
)
def test_a_wrapper_s_prefix_is_named(changed: Callable[..., Path], prefix: str, why: str) -> None:
    folder = changed(lambda weights: {prefix + name: tensor for name, tensor in weights.items()})
    message = refused(folder)
    assert f"begin with {prefix!r}: {why}" in message
    assert "bert.embeddings.LayerNorm.bias" in message
    assert f"begin with {prefix!r}" in refused(folder, (AutoModel, False))
    with pytest.raises(TinyBertError, match="tensors are not in the weights"):
        load_teacher(str(folder), new_head=True)
    with pytest.raises(TinyBertError, match="tensors are not in the weights"):
        load_teacher(str(folder), task="general")


def test_another_family_s_names(changed: Callable[..., Path]) -> None:
    folder = changed(lambda weights: {name.replace("bert.", "roberta.", 1): one for name, one in weights.items()})
    assert "begin with 'roberta.'" in refused(folder)


LOST = "bert.encoder.layer.1.attention.self.query.weight"


@pytest.mark.parametrize("lost", [LOST, "bert.embeddings.word_embeddings.weight", "bert.embeddings.LayerNorm.bias"])
def test_one_lost_tensor_of_the_body(changed: Callable[..., Path], lost: str) -> None:
    folder = changed(lambda weights: {name: tensor for name, tensor in weights.items() if name != lost})
    assert (
        f"1 tensor is not in the weights, and would be random in a BertForSequenceClassification: {lost}"
        in refused(folder)
    )
    refused(folder, (AutoModel, False))


@pytest.mark.parametrize("lost", ["classifier.bias", "bert.pooler.dense.bias", "bert.pooler.dense.weight"])
def test_half_a_head_is_no_new_one(changed: Callable[..., Path], lost: str) -> None:
    folder = changed(lambda weights: {name: tensor for name, tensor in weights.items() if name != lost})
    assert f"lack {lost}, while the rest of that layer is there" in refused(folder)


def test_a_whole_head_may_be_new_where_that_is_asked_for(changed: Callable[..., Path]) -> None:
    folder = changed(
        lambda weights: {
            name: one for name, one in weights.items() if not name.startswith(("classifier", "bert.pooler"))
        }
    )
    open_model(folder, AutoModelForSequenceClassification, new_head=True)
    with pytest.raises(TinyBertError, match=r"^No head: bert\.pooler\.dense\.bias.*classifier\.weight\.$"):
        open_model(folder, AutoModelForSequenceClassification, headless="No head: {missing}.")
    assert open_model(folder, AutoModel).pooler is None  # and not a random one


def test_other_labels_are_a_new_head(changed: Callable[..., Path]) -> None:
    folder = changed()
    assert open_model(folder, AutoModelForSequenceClassification, new_head=True, num_labels=5).num_labels == 5
    with pytest.raises(TinyBertError, match=r"classifier\.weight \(3, 24\), \(5, 24\) by config\.json"):
        open_model(folder, AutoModelForSequenceClassification, num_labels=5)


def test_more_and_fewer_layers_than_config_says(changed: Callable[..., Path]) -> None:
    assert "bert.encoder.layer.2." in refused(changed(num_hidden_layers=3))
    message = refused(changed(num_hidden_layers=1))
    assert "has no place for" in message
    assert "bert.encoder.layer.1." in message
    bare = lambda weights: {name.removeprefix("bert."): tensor for name, tensor in weights.items()}  # noqa: E731
    refused(changed(bare, num_hidden_layers=1), (AutoModel, False))


def test_another_width_and_another_vocabulary(changed: Callable[..., Path]) -> None:
    message = refused(changed(intermediate_size=40))
    assert "of another shape" in message
    assert re.search(r"layer\.0\.intermediate\.dense\.bias \(\d+,\), \(40,\) by config\.json; ", message)
    assert "bert.embeddings.word_embeddings.weight" in refused(changed(vocab_size=70))


def test_relative_positions_of_transformers_4(changed: Callable[..., Path]) -> None:
    name = "bert.encoder.layer.{}.attention.self.distance_embedding.weight"
    folder = changed(
        lambda weights: {**weights, **{name.format(layer): torch.randn(127, 6) for layer in range(2)}},
        position_embedding_type="relative_key",
    )
    message = refused(folder)
    assert "distance_embedding" in message
    assert "position_embedding_type" in message
    refused(folder, (AutoModel, False))


@pytest.mark.parametrize("name", ["pre_classifier.weight", "crf.transitions", "dense.bias", "classifier.norm.weight"])
def test_a_part_of_a_head_that_the_class_has_not(changed: Callable[..., Path], name: str) -> None:
    folder = changed(lambda weights: {**weights, name: torch.zeros(24)})
    with pytest.raises(TinyBertError, match=f"of a head that a BertForSequenceClassification does not have: {name}"):
        open_model(folder, AutoModelForSequenceClassification)
    with pytest.raises(TinyBertError, match=name):
        load_teacher(str(folder))
    if not name.startswith("classifier"):
        with pytest.warns(OpeningWarning, match=name):
            open_model(folder, AutoModelForSequenceClassification, new_head=True)


def test_what_counts_for_nothing_passes(changed: Callable[..., Path]) -> None:
    harmless = {
        "bert.embeddings.position_ids": torch.arange(64)[None],
        "fit_dense.weight": torch.zeros(4, 4),
        "fit_denses.2.bias": torch.zeros(4),
        "cls.predictions.bias": torch.zeros(60),
        "cls.seq_relationship.weight": torch.zeros(2, 24),
        "qa_outputs.bias": torch.zeros(2),
        "loss_fct.weight": torch.ones(3),
        "loss.class_weights": torch.ones(3),
    }
    folder = changed(lambda weights: {**weights, **harmless})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for auto in (AutoModelForSequenceClassification, AutoModel):
            open_model(folder, auto)


def test_an_unmerged_adapter_inside_the_model(changed: Callable[..., Path]) -> None:
    def wrapped(weights: Weights) -> Weights:
        own = {name.replace("query.weight", "query.base_layer.weight"): tensor for name, tensor in weights.items()}
        return {**own, "bert.encoder.layer.0.attention.self.query.lora_A.default.weight": torch.zeros(2, 24)}

    assert "merge_and_unload" in refused(changed(wrapped))


def test_bert_as_it_was_published(tmp_path: Path) -> None:
    """With the head of next sentences beside the one of words, whose names begin alike."""
    config = AutoConfig.for_model("bert", **COMMON, **SIZES, num_hidden_layers=2)
    BertForPreTraining(config).save_pretrained(tmp_path)
    assert isinstance(open_model(tmp_path, AutoModelForMaskedLM), BertForMaskedLM)


_HEADS = ["SequenceClassification", "TokenClassification", "QuestionAnswering"]


@pytest.mark.parametrize("family", [*FAMILIES, "mpnet", "deberta-v2"])
def test_every_family_and_head_opens_as_transformers_opens_it(family: str, tmp_path: Path) -> None:
    make = FAMILIES.get(family, lambda: AutoConfig.for_model(family, **COMMON, **SIZES, num_hidden_layers=2))
    saved = {}
    for head in (*_HEADS, "MaskedLM", ""):
        saved[head] = tmp_path / (head or "encoder")
        auto = getattr(transformers, f"AutoModelFor{head}" if head else "AutoModel")
        config = make()
        config.num_labels = 2  # start and end, too
        auto.from_config(config).save_pretrained(saved[head])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OpeningWarning)
        for head, folder in saved.items():
            body = open_model(folder, AutoModel)
            expected = load_file(folder / "model.safetensors")
            found = body.state_dict()
            prefix = "" if not head else f"{body.base_model_prefix}."
            assert all(
                torch.equal(found[name], expected[prefix + name]) for name in found if prefix + name in expected
            )
            for wanted in {_HEADS[len(head) % 3], head if head in _HEADS else _HEADS[0]}:
                model = open_model(folder, getattr(transformers, f"AutoModelFor{wanted}"), new_head=head != wanted)
                theirs = model.base_model.state_dict()
                assert all(torch.equal(one, found[name]) for name, one in theirs.items() if "pooler" not in name)


def test_a_classifier_is_no_tagger_of_the_same_width(changed: Callable[..., Path]) -> None:
    """DistilBERT's classifier has a layer more; the rest of its names and shapes are a tagger's."""
    folder = changed(model=transformers.AutoModelForSequenceClassification.from_config(FAMILIES["distilbert"]()))
    with pytest.raises(TinyBertError, match="pre_classifier"):
        open_model(folder, AutoModelForTokenClassification)


@pytest.mark.parametrize("file", ["safetensors", "bin"])
def test_a_translator_s_bias_is_there_where_it_was_trained(changed: Callable[..., Path], file: str) -> None:
    without = lambda weights: {name: one for name, one in weights.items() if name != "final_logits_bias"}  # noqa: E731
    small = {**COMMON, "d_model": 16, "pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 1}
    for side in ("encoder", "decoder"):
        small |= {f"{side}_layers": 1, f"{side}_attention_heads": 2, f"{side}_ffn_dim": 16}
    for family in ("marian", "bart", "mbart"):
        translator = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(family, **small))
        folder = changed(without, translator)
        if file == "bin":
            torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
            (folder / "model.safetensors").unlink()
        if family == "marian":
            assert "final_logits_bias, which is added" in refused(folder, (AutoModelForSeq2SeqLM, False))
            open_model(changed(model=translator), AutoModelForSeq2SeqLM)
        else:
            open_model(folder, AutoModelForSeq2SeqLM)


def test_a_trained_head_on_a_new_pooler_is_said(changed: Callable[..., Path]) -> None:
    folder = changed(lambda weights: {name: one for name, one in weights.items() if "pooler" not in name})
    with pytest.warns(OpeningWarning, match=r"have the head .* but lack bert\.pooler\.dense\.bias, .* drawn anew"):
        open_model(folder, AutoModelForSequenceClassification, new_head=True)


@pytest.mark.parametrize("name", ["classifier.bias", "bert.encoder.layer.1.output.LayerNorm.weight"])
def test_weights_that_are_no_numbers(changed: Callable[..., Path], name: str) -> None:
    folder = changed(lambda weights: {**weights, name: torch.full_like(weights[name], float("nan"))})
    assert f"holds 1 tensor with NaN, which is no number: {name}" in refused(folder)


def pickled(folder: Path, content: Any = None) -> Path:
    """The weights of a folder as torch saves them."""
    file = folder / "pytorch_model.bin"
    torch.save(content or load_file(folder / "model.safetensors"), file)
    (folder / "model.safetensors").unlink()
    return file


def test_a_pickled_file_opens_whole_and_not_cut_off(changed: Callable[..., Path]) -> None:
    file = pickled(changed())
    open_model(file.parent, AutoModelForSequenceClassification)
    file.write_bytes(file.read_bytes()[:-2000])
    assert "pytorch_model.bin is damaged or cut off" in refused(file.parent)


def test_a_training_checkpoint_is_no_file_of_weights(changed: Callable[..., Path]) -> None:
    file = pickled(changed(), {"epoch": 3, "state_dict": bert().state_dict(), "optimizer_states": [{}]})
    message = refused(file.parent)
    assert "training checkpoint, with epoch, state_dict, optimizer_states" in message
    assert "under 'state_dict'" in message


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_pointer_of_git_lfs(changed: Callable[..., Path], name: str) -> None:
    folder = changed()
    (folder / "model.safetensors").unlink()
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 123\n")
    assert "git lfs pull" in refused(folder)


def test_models_that_are_opened_in_threads_leave_weights_tied(
    changed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tie = PreTrainedModel.tie_weights
    monkeypatch.setattr(PreTrainedModel, "tie_weights", tie)  # else a failure would be one of every later test
    folder = changed(model=BertForMaskedLM(bert().config))
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: open_model(folder, BertForMaskedLM), range(24)))
    assert PreTrainedModel.tie_weights is tie, "no model of this process would be tied any more"
    for one in opened:
        assert one.cls.predictions.decoder.weight is one.bert.embeddings.word_embeddings.weight


class Touch:
    """Would run something when it is unpickled."""

    def __reduce__(self) -> Any:
        return (print, ("ran",))


@pytest.mark.parametrize("legacy", [False, True])
def test_torch_s_advice_on_pickles_is_not_passed_on(changed: Callable[..., Path], legacy: bool) -> None:
    folder = changed()
    (folder / "model.safetensors").unlink()
    torch.save({"a": Touch()}, folder / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
    message = refused(folder)
    assert "weights_only" not in message
    assert "trusted" not in message
    assert "safetensors" in message
