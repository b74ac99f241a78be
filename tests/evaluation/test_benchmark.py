"""Sizes against counts by hand; the clock against a model that is told to be slow."""

import pytest
import torch

from tinybert_hf import TinyBertForSequenceClassification
from tinybert_hf.evaluation import measure_costs
from tinybert_hf.evaluation.cost import Clock, Times


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


class FakeTime:
    """Time that passes only while a model runs: so many seconds a forward, which the test says."""

    def __init__(self):
        self.now, self.calls, self.modes, self.threads = 0.0, [], [], set()

    def passes(self, model, name, seconds):
        """Every forward of the model takes the next of these seconds."""
        left = iter(seconds)

        def wait(module, inputs):
            self.calls.append(name)
            self.modes.append(module.training)
            self.threads.add(torch.get_num_threads())
            self.now += next(left)

        model.register_forward_pre_hook(wait)
        return model

    @property
    def clock(self):
        return Clock(lambda: self.now, lambda: self.now)


def test_models_take_turns_and_the_median_counts(model, tiny_config):
    time, other = FakeTime(), TinyBertForSequenceClassification(tiny_config())
    # Twice before, once to see that it is long, then five rounds; the machine is busy in the fourth.
    time.passes(model, "a", [9, 9, 3, 3, 4, 2, 70, 5])
    time.passes(other, "b", [9, 9, 1, 1, 1, 1, 40, 1])
    other.train()
    model.eval()
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    costs = measure_costs(
        {"a": model, "b": other}, batch_size=2, length=5, rounds=5, seconds=999, threads=2, clock=time.clock
    )
    assert "".join(time.calls) == "aabb" + "aabb" + "ba" + "ab" + "ba" + "ab"
    assert list(costs) == ["a", "b"]
    assert [cost.latency_ms for cost in costs.values()] == [4000, 1000]
    assert {(cost.batch_size, cost.length, cost.threads) for cost in costs.values()} == {(2, 5, 2)}
    assert time.threads == {2}
    assert torch.get_num_threads() == threads
    assert not any(time.modes)
    assert other.training
    assert not model.training
    assert torch.equal(torch.get_rng_state(), state)


def test_no_more_tokens_than_each_model_reads(model, tiny_config):
    short = TinyBertForSequenceClassification(tiny_config(max_position_embeddings=8))
    costs = measure_costs({"long": model, "short": short}, length=32, rounds=1)
    assert {cost.length for cost in costs.values()} == {8}


def test_the_table_of_a_run_and_the_benchmark_use_one_loop(model, tmp_path, monkeypatch):
    """Same inputs, same threads, same rounds: the medians are those of `tinybert benchmark`."""
    from tinybert_hf.benchmark import BenchmarkSettings, benchmark_models
    from tinybert_hf.benchmark import benchmark as measuring
    from tinybert_hf.evaluation import cost as benchmark

    model.save_pretrained(tmp_path)
    seen = []

    def loop(forwards, **settings):
        seen.append((list(forwards), torch.get_num_threads()))
        logits = [forward().logits for forward in forwards.values()]
        seen[-1] += (logits[0],)
        times = {name: Times([[3.0], [1.0, 1.0], [8.0]], [[1.0]] * 3) for name in forwards}
        return times, {}

    monkeypatch.setattr(benchmark, "timed_rounds", loop)
    monkeypatch.setattr(measuring, "timed_rounds", loop)
    cost = measure_costs({"it": model})["it"]
    settings = BenchmarkSettings(("eager",), (cost.batch_size,), (cost.length,), memory=False, device="cpu")
    (measured,) = benchmark_models([str(tmp_path)], settings).measurements
    assert measured.wall.p50_ms == cost.latency_ms == 2000
    (_, ours, logits), (_, theirs, same) = seen
    assert ours == theirs == cost.threads
    torch.testing.assert_close(logits, same)
