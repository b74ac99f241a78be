"""Size and speed of models, measured side by side."""

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

WARM_UP_ROUNDS = 3
# What BERT-like families call the parts of the base model that are not layers.
NOT_LAYERS = ("embeddings", "embeddings_project", "pooler")


@dataclass(frozen=True)
class ModelCost:
    """What a model costs.

    Attributes:
        parameters: all of them.
        encoder_parameters: those of the layers, without embeddings, pooler and head.
        megabytes: all parameters in their own dtype, 10^6 bytes.
        latency_ms: median of one forward, in milliseconds.
        encoder_flops_per_token: 2 x the weights of the layers' linear maps.
    """

    parameters: int
    encoder_parameters: int
    megabytes: float
    latency_ms: float
    encoder_flops_per_token: int


def measure_costs(
    models: "Mapping[str, PreTrainedModel]", *, batch_size: int = 1, length: int = 32, rounds: int = 20
) -> dict[str, ModelCost]:
    """Measures models against each other.

    Every round runs each model once, so that a change in the machine's load hits all of them; the median of the rounds
    counts. The FLOPs are computed, not measured: a linear map with W weights takes one multiplication and one addition
    per weight and token, so FLOPs per token = 2 x the sum of W over the linear maps of the encoder's layers (queries,
    keys, values, attention output, both of the feed-forward part). The attention products themselves, which grow with
    the length, biases, norms, embeddings and the head are left out.

    Args:
        models: name -> model, each on its own device; modes are left as they were.
        batch_size: rows of one forward.
        length: tokens of each row.
        rounds: timed forwards of each model, after some that are not timed.

    Returns:
        name -> cost, in the order of `models`.
    """
    import torch

    times: dict[str, list[float]] = {name: [] for name in models}
    with _eval_mode(models), torch.inference_mode():
        inputs = {name: _inputs(model, batch_size, length) for name, model in models.items()}
        for round_number in range(WARM_UP_ROUNDS + rounds):
            for name, model in models.items():
                seconds = _time_forward(model, inputs[name])
                if round_number >= WARM_UP_ROUNDS:
                    times[name].append(seconds)
    return {name: _cost(model, 1000 * statistics.median(times[name])) for name, model in models.items()}


@contextmanager
def _eval_mode(models: "Mapping[str, PreTrainedModel]") -> Iterator[None]:
    modes = {name: model.training for name, model in models.items()}
    try:
        for model in models.values():
            model.eval()
        yield
    finally:
        for name, model in models.items():
            model.train(modes[name])


def _inputs(model: "PreTrainedModel", batch_size: int, length: int) -> "dict[str, Tensor]":
    import torch

    # A generator of its own leaves the random state of the caller alone.
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, model.config.vocab_size, (batch_size, length), generator=generator).to(model.device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _time_forward(model: "PreTrainedModel", inputs: "dict[str, Tensor]") -> float:
    import torch

    on_gpu = model.device.type == "cuda"
    if on_gpu:
        torch.cuda.synchronize(model.device)
    start = time.perf_counter()
    model(**inputs)
    if on_gpu:
        torch.cuda.synchronize(model.device)
    return time.perf_counter() - start


def _layers(model: "PreTrainedModel") -> "list[nn.Module]":
    return [part for name, part in model.base_model.named_children() if name not in NOT_LAYERS]


def _cost(model: "PreTrainedModel", latency_ms: float) -> ModelCost:
    from torch import nn

    parameters = list(model.parameters())
    layers = _layers(model)
    linear = [part for layer in layers for part in layer.modules() if isinstance(part, nn.Linear)]
    return ModelCost(
        parameters=sum(p.numel() for p in parameters),
        encoder_parameters=sum(p.numel() for layer in layers for p in layer.parameters()),
        megabytes=sum(p.numel() * p.element_size() for p in parameters) / 1e6,
        latency_ms=latency_ms,
        encoder_flops_per_token=2 * sum(part.weight.numel() for part in linear),
    )
