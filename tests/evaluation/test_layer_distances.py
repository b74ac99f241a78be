"""The distances between all layers of two models."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from tiny_models import bert
from tiny_seq2seq import END, PAD, decoder_inputs, student, teacher
from tokenizers import Tokenizer, models
from transformers import BertTokenizer, PreTrainedTokenizerFast

from tinybert_hf.evaluation import layer_distances, measure_layer_distances
from tinybert_hf.evaluation.layer_distances import linear_cka


def rows(count: int = 20) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, 12, (count,), generator=generator).tolist()
    ids = [torch.randint(5, 24, (n,), generator=generator).tolist() for n in lengths]
    return Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * n for n in lengths], "labels": [0] * count})


def states(model: Any, dataset: Dataset) -> list[torch.Tensor]:
    """Row by row, so that there is no padding."""
    each = []
    for ids in dataset["input_ids"]:
        with torch.no_grad():
            each.append([layer[0] for layer in model(torch.tensor([ids]), output_hidden_states=True).hidden_states])
    return [torch.cat(layers) for layers in zip(*each, strict=True)]


def test_they_are_those_of_the_real_tokens_alone(tiny_tokenizer: BertTokenizer) -> None:
    student, teacher, dataset = bert(vocab_size=64), bert(layers=3, hidden=32, vocab_size=64), rows()
    found = measure_layer_distances(student, teacher, dataset, tiny_tokenizer)
    ours, theirs = states(student, dataset), states(teacher, dataset)
    assert found["rows"] == 20
    assert found["tokens"] == len(ours[0])
    assert (len(found["encoder"]), len(found["encoder"][0])) == (3, 4)
    for mine, line in zip(ours, found["encoder"], strict=True):
        assert line == pytest.approx([1 - linear_cka(mine, other) for other in theirs], abs=2e-4)


def test_a_model_is_at_no_distance_from_itself(tiny_tokenizer: BertTokenizer) -> None:
    model = bert(vocab_size=64)
    found = measure_layer_distances(model, model, rows(), tiny_tokenizer)["encoder"]
    assert [found[index][index] for index in range(3)] == pytest.approx([0, 0, 0], abs=1e-3)
    assert found[0][2] > 0.01


def test_models_and_random_numbers_are_left_as_they_were(tiny_tokenizer: BertTokenizer) -> None:
    student = bert(vocab_size=64, hidden_dropout_prob=0.5).train()
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    first = measure_layer_distances(student, bert(layers=3, vocab_size=64), rows(), tiny_tokenizer)
    assert first == measure_layer_distances(student, bert(layers=3, vocab_size=64).train(), rows(), tiny_tokenizer)
    assert all(module.training for module in student.modules())
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]


def test_rows_are_drawn_from_all_and_capped(tiny_tokenizer: BertTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [3] * 50 + [11] * 50  # in an order, as the rows of many files are
    dataset = Dataset.from_dict(
        {"input_ids": [[7, 8, 9, *[6] * (n - 3)] for n in lengths], "attention_mask": [[1] * n for n in lengths]}
    )
    monkeypatch.setattr(layer_distances, "MOST_ROWS", 10)
    some = measure_layer_distances(bert(vocab_size=64), bert(vocab_size=64), dataset, tiny_tokenizer)
    assert some["rows"] == 10
    assert 30 < some["tokens"] < 110
    monkeypatch.setattr(layer_distances, "MOST_TOKENS", 20)
    few = measure_layer_distances(bert(vocab_size=64), bert(vocab_size=64), dataset, tiny_tokenizer)
    assert few["tokens"] == 20


@pytest.fixture
def translation_tokenizer() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordLevel({"<unk>": 0, "<pad>": PAD, "</s>": END}, unk_token="<unk>"))
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def test_of_translators_both_halves(translation_tokenizer: PreTrainedTokenizerFast) -> None:
    generator = torch.Generator().manual_seed(0)

    def texts(count: int) -> list[list[int]]:
        lengths = torch.randint(3, 9, (count,), generator=generator).tolist()
        return [[*torch.randint(6, 60, (n,), generator=generator).tolist(), END] for n in lengths]

    sources, targets = texts(10), texts(10)
    dataset = Dataset.from_dict(
        {"input_ids": sources, "attention_mask": [[1] * len(ids) for ids in sources], "labels": targets}
    )
    models_ = {"tinybert": student(), "marian": teacher("marian")}
    found = measure_layer_distances(models_["tinybert"], models_["marian"], dataset, translation_tokenizer)
    assert found["target_tokens"] == sum(map(len, targets))
    for half in ("encoder", "decoder"):
        layers: dict[str, list[torch.Tensor]] = {}
        for family, model in models_.items():
            each = []
            for source, target in zip(sources, targets, strict=True):
                inputs = {
                    "input_ids": torch.tensor([source]),
                    "decoder_input_ids": decoder_inputs(family, torch.tensor([target])),
                }
                with torch.no_grad():
                    output = model(**inputs, output_hidden_states=True)
                each.append([layer[0] for layer in getattr(output, f"{half}_hidden_states")])
            layers[family] = [torch.cat(one) for one in zip(*each, strict=True)]
        for mine, line in zip(layers["tinybert"], found[half], strict=True):
            assert line == pytest.approx([1 - linear_cka(mine, other) for other in layers["marian"]], abs=2e-4)
