"""FLOPs against a formula by hand, and against torch's counter on models that are really run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tiny_models
import torch
from torch.utils.flop_counter import FlopCounterMode

from tinybert_hf.benchmark.models import BenchmarkModel, find_model
from tinybert_hf.checkpoints import Checkpoint
from tinybert_hf.evaluation.cost import forward_flops


def skeleton_of(config: Any) -> Any:
    return BenchmarkModel("x", Checkpoint("", config), "AutoModelForSequenceClassification").skeleton


@pytest.mark.parametrize(("batch_size", "length"), [(1, 7), (3, 40)])
def test_by_hand(tiny_config: Callable[..., Any], batch_size: int, length: int) -> None:
    width, inner, layers, labels = 32, 48, 2, 3
    linear = 2 * length * layers * (4 * width * width + 2 * width * inner)
    attention = layers * 2 * (2 * length * length * width)
    head = 2 * width * width + 2 * width * labels
    found = forward_flops(skeleton_of(tiny_config(num_labels=labels)), batch_size, length)
    assert found == batch_size * (linear + attention + head)


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert", "albert"])
def test_as_torch_counts_a_model_that_is_run(family: str) -> None:
    config = tiny_models.FAMILIES[family]()
    model = tiny_models.make(config)
    model.set_attn_implementation("eager")  # torch does not count the fused attention of the CPU
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(**tiny_models.batch_of([9, 9]))
    assert forward_flops(skeleton_of(config), 2, 9) == counter.get_total_flops() > 0


def test_the_published_sizes() -> None:
    """BERT-base at 128 tokens: 22.3 GFLOP; the 4-layer student 17.9 times less."""
    base, student = (forward_flops(find_model(name).skeleton, 1, 128) for name in ("bert-base", "4l-312d"))
    assert base is not None
    assert student is not None
    assert base == 12 * (2 * 128 * (4 * 768**2 + 2 * 768 * 3072) + 4 * 128**2 * 768) + 2 * (768**2 + 2 * 768)
    assert base / student == pytest.approx(17.9, abs=0.05)


def test_a_model_that_needs_values_is_not_counted() -> None:
    class NeedsValues(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor) -> Any:
            return input_ids.sum().item()

    assert forward_flops(NeedsValues(), 1, 4) is None  # type: ignore[arg-type]
