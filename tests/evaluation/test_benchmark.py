"""Sizes against counts by hand; the clock against a model that is told to be slow."""

import time

import pytest
import torch

from tinybert_hf import TinyBertForSequenceClassification
from tinybert_hf.evaluation import measure_costs


@pytest.fixture
def model(tiny_config):
    return TinyBertForSequenceClassification(tiny_config(num_labels=3))


def test_sizes(model):
    cost = measure_costs({"tiny": model}, length=8, rounds=1)["tiny"]
    width, inner, layers = 32, 48, 2
    linear = 4 * width * width + 2 * width * inner
    biases_and_norms = 4 * width + inner + width + 4 * width
    assert cost.encoder_flops_per_token == 2 * layers * linear
    assert cost.encoder_parameters == layers * (linear + biases_and_norms)
    embeddings = (64 + 64 + 2) * width + 2 * width
    head = width * width + width + 3 * width + 3
    assert cost.parameters == cost.encoder_parameters + embeddings + head
    assert cost.megabytes == pytest.approx(4 * cost.parameters / 1e6)
    assert measure_costs({"half": model.to(torch.bfloat16)}, rounds=1)["half"].megabytes == cost.megabytes / 2


@pytest.mark.parametrize("family", ["Bert", "DistilBert", "Electra", "Roberta"])
def test_other_families_have_layers_too(family):
    import transformers

    names = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    if family == "DistilBert":
        names = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
    config = getattr(transformers, f"{family}Config")(vocab_size=64, max_position_embeddings=64, **names)
    model = getattr(transformers, f"{family}ForSequenceClassification")(config)
    cost = measure_costs({family: model}, length=8, rounds=1)[family]
    assert cost.encoder_flops_per_token == 2 * 2 * (4 * 32 * 32 + 2 * 32 * 48)


def test_median_time_and_what_is_left_as_it_was(model, tiny_config):
    slow = TinyBertForSequenceClassification(tiny_config())
    seconds = iter([0.0] * 3 + [0.03, 0.03, 5.0, 0.03, 0.0])
    calls = []

    def wait(module, inputs):
        calls.append(module.training)
        time.sleep(min(next(seconds), 0.3))

    slow.register_forward_pre_hook(wait)
    slow.train()
    model.eval()
    state = torch.get_rng_state()
    costs = measure_costs({"fast": model, "slow": slow}, batch_size=2, length=5, rounds=5)
    assert list(costs) == ["fast", "slow"]
    assert calls == [False] * 8
    assert slow.training
    assert not model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert 30 <= costs["slow"].latency_ms < 300
    assert costs["fast"].latency_ms < costs["slow"].latency_ms
