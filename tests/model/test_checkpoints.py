"""Checkpoints opened by the package itself: every bit comes back, and the code lies beside the weights."""

import json
import os
from importlib import import_module, reload
from pathlib import Path

import pytest
import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from transformers.dynamic_module_utils import get_imports, get_relative_import_files

import tinybert_hf.model as family
from tinybert_hf.model import (
    AUTO_CLASSES,
    TinyBertConfig,
    TinyBertForSeq2Seq,
    TinyBertForSequenceClassification,
    TinyBertModel,
)

FOLDER = Path(family.__file__).parent
MODELS = ["configuration_tinybert.py", *sorted(path.name for path in FOLDER.glob("modeling_*.py"))]
CODE = [*MODELS, "manifest_tinybert.py"]
WRITES = "AutoModelForSeq2SeqLM"
OPEN_AN_ENCODER = {name: reference for name, reference in AUTO_CLASSES.items() if name != WRITES}


def _carries_its_code(folder: Path, classes: dict[str, str]) -> bool:
    auto_map = json.loads((folder / "config.json").read_text())["auto_map"]
    return auto_map == classes and all((folder / name).read_bytes() == (FOLDER / name).read_bytes() for name in CODE)


def test_every_bit_comes_back(head, tiny_config, tmp_path):
    model = head.tinybert(tiny_config(num_labels=4)).eval()
    model.save_pretrained(tmp_path)
    loaded, info = head.tinybert.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, weight in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight), name
    batch = head.batch()
    assert torch.equal(loaded(**batch).loss, model(**batch).loss)
    assert (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("auto_class", [name for name in OPEN_AN_ENCODER if name != "AutoConfig"])
def test_every_auto_class_opens_a_classifier(auto_class, tiny_config, tmp_path):
    model = TinyBertForSequenceClassification(tiny_config(num_labels=4))
    model.save_pretrained(tmp_path)
    opened = getattr(transformers, auto_class).from_pretrained(tmp_path)
    assert type(opened) is getattr(family, AUTO_CLASSES[auto_class].partition(".")[2])
    assert torch.equal(opened.base_model.embeddings.word_embeddings.weight, model.get_input_embeddings().weight)
    made = getattr(transformers, auto_class).from_config(tiny_config())
    assert type(made) is type(opened)


def test_a_classifier_is_not_opened_as_a_translator(tiny_config, tmp_path):
    TinyBertForSequenceClassification(tiny_config()).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has no decoder"):
        AutoModelForSeq2SeqLM.from_pretrained(tmp_path)


def test_saves_carry_the_code_and_the_map_of_what_opens_them(head, tiny_config, tmp_path):
    head.tinybert(tiny_config()).save_pretrained(tmp_path / "first")
    assert _carries_its_code(tmp_path / "first", OPEN_AN_ENCODER)
    AutoModel.from_pretrained(tmp_path / "first").save_pretrained(tmp_path / "second")
    assert _carries_its_code(tmp_path / "second", OPEN_AN_ENCODER)
    AutoConfig.from_pretrained(tmp_path / "first").save_pretrained(tmp_path / "third")
    assert _carries_its_code(tmp_path / "third", OPEN_AN_ENCODER)


def test_saves_of_a_translator_name_the_class_that_writes(tiny_config, tmp_path):
    config = tiny_config(is_encoder_decoder=True, num_decoder_layers=1)
    TinyBertForSeq2Seq(config).save_pretrained(tmp_path / "first")
    assert _carries_its_code(tmp_path / "first", AUTO_CLASSES)
    AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "first").save_pretrained(tmp_path / "second")
    assert _carries_its_code(tmp_path / "second", AUTO_CLASSES)


@pytest.mark.parametrize("kind", ["model", "config", "pushed model"])
def test_uploads_carry_the_code(kind, tiny_config, tmp_path, monkeypatch):
    uploaded = []

    class _Hub:
        def create_repo(self, repo_id, **_):
            return type("Repository", (), {"repo_id": repo_id})

    def upload(self, working_dir, repo_id, files_timestamps, **_):
        uploaded.extend(name for name in os.listdir(working_dir) if name not in files_timestamps)

    for module in ("modeling_utils", "configuration_utils", "utils.hub"):
        monkeypatch.setattr(f"transformers.{module}.hf_api", _Hub)
    monkeypatch.setattr("transformers.utils.hub.PushToHubMixin._upload_modified_files", upload)
    monkeypatch.setattr(
        "transformers.utils.hub.create_and_tag_model_card",
        lambda *_, **__: type("Card", (), {"save": lambda *_: None})(),
    )
    model = TinyBertModel(tiny_config())
    if kind == "pushed model":
        model.push_to_hub("someone/small")
    else:
        (model if kind == "model" else model.config).save_pretrained(tmp_path / "small", push_to_hub=True)
    assert set(CODE) < set(uploaded)


def test_the_code_can_travel():
    """Each modeling file is named in the configuration file, and none needs more than transformers does."""
    carried = {Path(name).name for name in get_relative_import_files(FOLDER / "configuration_tinybert.py")}
    assert carried | {"configuration_tinybert.py"} == set(CODE)
    assert {f"{reference.partition('.')[0]}.py" for reference in AUTO_CLASSES.values()} == set(MODELS)
    alone = "tokenization_tinybert_seq2seq.py"  # travels with a tokenizer, and with no other file
    assert not get_relative_import_files(FOLDER / alone)
    needed = {name for file in (*CODE, alone) for name in get_imports(FOLDER / file)}
    assert needed & {"torch", "transformers", "huggingface_hub", "tinybert_hf", "tokenizers"} == {
        "torch",
        "transformers",
        "huggingface_hub",
    }
    assert "from __future__" not in "".join((FOLDER / file).read_text() for file in CODE)


def test_tokenizer_comes_with_the_checkpoint(tiny_config, tiny_tokenizer, tmp_path):
    TinyBertModel(tiny_config()).save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert type(loaded) is transformers.BertTokenizer
    assert loaded.is_fast
    assert loaded("a good film").input_ids == tiny_tokenizer("a good film").input_ids
    assert transformers.models.auto.tokenization_auto.TOKENIZER_MAPPING[TinyBertConfig] is transformers.BertTokenizer


def test_registration_can_be_repeated():
    before = import_module("tinybert_hf.model").TinyBertModel
    assert reload(family).TinyBertModel is before


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # of PEFT's own
def test_an_adapter_of_peft_learns_and_is_merged(tmp_path, tiny_config):
    """As docs/python.md says: its defaults know no TinyBERT, and BERT's names fit."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    model = family.TinyBertForSequenceClassification(tiny_config(num_labels=2))
    adapted = peft.get_peft_model(model, peft.LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"]))
    batch = {"input_ids": torch.randint(5, 40, (4, 7)), "labels": torch.tensor([0, 1, 0, 1])}
    optimizer = torch.optim.Adam([one for one in adapted.parameters() if one.requires_grad], lr=1e-2)
    losses = []
    for _ in range(20):
        losses.append(adapted(**batch).loss)
        losses[-1].backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.5 * losses[0]
    with torch.no_grad():
        expected = adapted.eval()(**batch).logits
        adapted.merge_and_unload().save_pretrained(tmp_path)
        found = AutoModelForSequenceClassification.from_pretrained(tmp_path)(**batch).logits
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
