"""A checkpoint as a value: what its configuration says of it, and that opening it changes nothing of that."""

import json
from pathlib import Path

import pytest
import torch
from tiny_models import bert
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig

from tinybert_hf.checkpoints import Checkpoint
from tinybert_hf.errors import TinyBertError


@pytest.mark.parametrize(
    ("architecture", "is_encoder_decoder", "task"),
    [
        ("BertForSequenceClassification", False, "text-classification"),
        ("BertForTokenClassification", False, "token-classification"),
        ("TinyBertForQuestionAnswering", False, "question-answering"),
        (None, False, "text-classification"),
        ("MarianMTModel", True, None),
        ("TinyBertForSeq2Seq", True, None),
        ("BartForSequenceClassification", True, "text-classification"),
    ],
)
def test_the_task_of_a_configuration(architecture: str | None, is_encoder_decoder: bool, task: str | None) -> None:
    names = None if architecture is None else [architecture]
    config = PreTrainedConfig(architectures=names, is_encoder_decoder=is_encoder_decoder)
    checkpoint = Checkpoint("x", config)
    assert checkpoint.task == task
    assert checkpoint.is_translator == (task is None)


def test_it_is_handed_on_as_it_is(tmp_path: Path) -> None:
    bert().half().save_pretrained(tmp_path / "model")
    config = AutoConfig.from_pretrained(tmp_path / "model")
    checkpoint = Checkpoint.read(tmp_path / "model")
    assert checkpoint.config.to_dict() == config.to_dict()
    assert Checkpoint.of(checkpoint, "a translator") is checkpoint
    assert Checkpoint.of(str(tmp_path / "model")).path == checkpoint.path
    # The file is not read again: what is opened is what was read.
    content = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps({**content, "num_hidden_layers": 1}))
    with pytest.raises(TinyBertError, match="comes without a tokenizer"):
        checkpoint.open("AutoModelForSequenceClassification", "a text classifier", "float32")
    assert checkpoint.config.to_dict() == config.to_dict()
    assert config.num_hidden_layers > 1


def test_the_weights_are_those_of_from_pretrained(tmp_path: Path, tiny_tokenizer: object) -> None:
    bert().half().save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)  # type: ignore[attr-defined]
    for dtype in (None, "float32"):
        model, _ = Checkpoint.read(tmp_path).open("AutoModelForSequenceClassification", "a text classifier", dtype)
        plain = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=dtype or "auto")
        assert model.dtype == plain.dtype == (torch.float16 if dtype is None else torch.float32)
        assert all(torch.equal(one, plain.state_dict()[name]) for name, one in model.state_dict().items())


def test_a_place_without_a_checkpoint_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TinyBertError, match=r"nowhere does not exist.* on the Hub it cannot be opened as a cat"):
        Checkpoint.read("nowhere", "a cat")
    (tmp_path / "config.json").write_text('{"model_type": "bert", "num_hidden_layers": "four"}')
    with pytest.raises(TinyBertError, match=r"config\.json cannot be opened as a cat"):
        Checkpoint.read(tmp_path, "a cat")
