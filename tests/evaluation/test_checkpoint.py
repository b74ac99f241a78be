"""Measuring a model: batches and padding change nothing, and a folder that does not fit says why."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer, EvalPrediction

from tinybert_hf import TinyBertForMaskedLM, TinyBertForSequenceClassification
from tinybert_hf.data import TASKS, DataSettings
from tinybert_hf.errors import DataError, TinyBertError
from tinybert_hf.evaluation import evaluate_checkpoint, evaluate_model, metrics_for, predicted_logits

SINGLE = "single_label_classification"
WORDS = ["the film", "a very dull plot , but", "is not good", "bad", "and the plot was very very bright .", "dull ."]


@pytest.fixture
def rows():
    return [{"text": " ".join(WORDS[i % 6 :: i % 4 + 1]), "label": ["neg", "pos"][(i * 7) % 3 % 2]} for i in range(50)]


@pytest.fixture
def settings(tmp_path, rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return DataSettings(validation_file=str(path))


@pytest.fixture
def model(tiny_config):
    config = tiny_config(num_labels=2, id2label={0: "NEG", 1: "POS"}, label2id={"NEG": 0, "POS": 1})
    return TinyBertForSequenceClassification(config)


@pytest.fixture
def checkpoint(tmp_path, model, tiny_tokenizer):
    model.save_pretrained(tmp_path / "model")
    tiny_tokenizer.save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


def _expected(model, tokenizer, rows):
    """One row at a time, without padding, in the order of the file."""
    model.eval()
    with torch.no_grad():
        logits = [model(**tokenizer(row["text"], return_tensors="pt")).logits for row in rows]
    labels = torch.tensor([["neg", "pos"].index(row["label"]) for row in rows])
    return metrics_for(SINGLE, 2)(EvalPrediction(torch.cat(logits).numpy(), labels.numpy()))


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batches_and_padding_change_nothing(model, tiny_tokenizer, settings, rows, batch_size):
    data = TASKS["text-classification"].load(settings, need_train=False, label_names=("neg", "pos"))
    dataset = TASKS["text-classification"].tokenize(data.validation, tiny_tokenizer, settings)
    model.train()
    scores = evaluate_model(model, dataset, tiny_tokenizer, SINGLE, batch_size)
    assert model.training
    expected = _expected(model, tiny_tokenizer, rows)
    assert 0 < expected["accuracy"] < 1
    assert scores == pytest.approx(expected)


def test_mode_is_restored_after_a_fault(model, tiny_tokenizer, settings):
    data = TASKS["text-classification"].load(settings, need_train=False, label_names=("neg", "pos"))
    dataset = TASKS["text-classification"].tokenize(data.validation, tiny_tokenizer, settings)
    model.train()
    with pytest.raises(DataError, match=r"embeds 64 tokens.*the rows hold 1 without an embedding: 10000\."):
        evaluate_model(model, dataset.map(lambda row: {"input_ids": [10_000] * row["length"]}), tiny_tokenizer, SINGLE)
    assert model.training


def test_checkpoint(checkpoint, settings, model, tiny_tokenizer, rows):
    assert evaluate_checkpoint(checkpoint, settings, batch_size=8) == pytest.approx(
        _expected(model, tiny_tokenizer, rows)
    )


def test_texts_beyond_the_positions_of_the_model(checkpoint, tmp_path):
    path = tmp_path / "long.jsonl"
    path.write_text("\n".join(json.dumps({"text": "the film " * 500, "label": label}) for label in ("neg", "pos")))
    assert evaluate_checkpoint(checkpoint, DataSettings(validation_file=str(path), max_length=512))["accuracy"] == 0.5


def test_regression_is_known_from_the_model(tmp_path, tiny_config, tiny_tokenizer):
    TinyBertForSequenceClassification(tiny_config(num_labels=1)).save_pretrained(tmp_path / "model")
    tiny_tokenizer.save_pretrained(tmp_path / "model")
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nthe film,1\ngood,2\nbad,4\n")
    scores = evaluate_checkpoint(str(tmp_path / "model"), DataSettings(validation_file=str(path)))
    assert set(scores) == {"pearson", "spearman", "mse"}


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_batch_size_changes_no_answer_whatever_side_the_tokenizer_pads(model, tiny_tokenizer, rows, side):
    tokenizer = BertTokenizer(vocab=tiny_tokenizer.get_vocab(), padding_side=side, model_max_length=64)
    ids = tokenizer([row["text"] for row in rows])
    expected = torch.cat([model.eval()(torch.tensor([one])).logits for one in ids["input_ids"]]).detach().numpy()
    for size in (1, 7, 64):
        found = predicted_logits(model, Dataset.from_dict(dict(ids)), tokenizer, size)
        assert np.abs(found - expected).max() < 1e-5


def test_a_model_of_one_segment_answers_as_if_there_were_none(tiny_config, tiny_tokenizer):
    one = TinyBertForSequenceClassification(tiny_config(type_vocab_size=1)).eval()
    ids = tiny_tokenizer(["the film", "a plot"], ["was good", "is dull"])
    plain = {name: values for name, values in ids.items() if name != "token_type_ids"}
    given, expected = (predicted_logits(one, Dataset.from_dict(dict(each)), tiny_tokenizer) for each in (ids, plain))
    assert np.array_equal(given, expected)


class TestRefused:
    def test_labels_of_another_task(self, checkpoint, tmp_path):
        path = tmp_path / "other.jsonl"
        path.write_text('{"text": "a", "label": "sports"}\n{"text": "b", "label": "world"}\n')
        with pytest.raises(DataError, match=r"Labels of the data: sports, world. Expected: NEG, POS"):
            evaluate_checkpoint(checkpoint, DataSettings(validation_file=str(path)))

    def test_places_without_a_checkpoint(self, checkpoint, settings, tmp_path):
        (tmp_path / "empty").mkdir()
        cases = {
            str(tmp_path / "nowhere"): "does not exist",
            str(tmp_path / "empty"): "no config.json. It holds: nothing",
            str(tmp_path): r"no config.json.*Did you mean .*model\?",
            settings.validation_file: "is a file",
            "out": "does not exist",
        }
        for path, message in cases.items():
            with pytest.raises(TinyBertError, match=message):
                evaluate_checkpoint(path, settings)

    def test_head_that_was_never_trained(self, tmp_path, tiny_config, tiny_tokenizer, settings):
        TinyBertForMaskedLM(tiny_config()).save_pretrained(tmp_path / "pretrained")
        tiny_tokenizer.save_pretrained(tmp_path / "pretrained")
        with pytest.raises(TinyBertError, match=r"not trained as a text classifier.*classifier\.weight"):
            evaluate_checkpoint(str(tmp_path / "pretrained"), settings)

    def test_no_tokenizer(self, checkpoint, settings):
        # transformers makes an empty one, which reads every word as unknown.
        for file in Path(checkpoint).glob("token*"):
            file.unlink()
        with pytest.raises(TinyBertError, match="comes without a tokenizer"):
            evaluate_checkpoint(checkpoint, settings)

    def test_empty_tokenizer(self, tmp_path, settings):
        config = BertConfig(vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
        BertForSequenceClassification(config).save_pretrained(tmp_path / "bert")
        with pytest.raises(TinyBertError, match="comes without a tokenizer: only 5 special tokens"):
            evaluate_checkpoint(str(tmp_path / "bert"), settings)

    def test_broken_weights(self, checkpoint, settings):
        weights = Path(checkpoint) / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:100])
        with pytest.raises(TinyBertError, match=r"model\.safetensors cannot be read"):
            evaluate_checkpoint(checkpoint, settings)

    def test_task_and_problem(self, checkpoint, settings, tiny_config, tmp_path):
        with pytest.raises(TinyBertError, match="'parsing' is unknown; known are text-classification"):
            evaluate_checkpoint(checkpoint, settings, task="parsing")
        path = tmp_path / "regression"
        TinyBertForSequenceClassification(tiny_config(num_labels=1)).save_pretrained(path)
        (path / "tokenizer.json").write_bytes(Path(checkpoint, "tokenizer.json").read_bytes())
        with pytest.raises(TinyBertError, match="trained for regression, but problem_type is single_label"):
            evaluate_checkpoint(str(path), replace(settings, problem_type=SINGLE))
