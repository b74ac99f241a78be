"""Size and speed of models, measured side by side."""

import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
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
        length: tokens of each row; fewer where a model has fewer positions.
        rounds: timed forwards of each model, after some that are not timed.

    Returns:
        name -> cost, in the order of `models`.
    """
    import torch

    from tinybert_hf.opening import limits_of

    times: dict[str, list[float]] = {name: [] for name in models}
    length = min([length, *(one for one in (limits_of(model).positions for model in models.values()) if one)])
    with eval_mode(models.values()), torch.inference_mode():
        inputs = {
            name: random_inputs(model.config, batch_size, length, model.device) for name, model in models.items()
        }
        for round_number in range(WARM_UP_ROUNDS + rounds):
            for name, model in models.items():
                seconds = _time_forward(model, inputs[name])
                if round_number >= WARM_UP_ROUNDS:
                    times[name].append(seconds)
    return {name: _cost(model, 1000 * statistics.median(times[name])) for name, model in models.items()}


@contextmanager
def eval_mode(models: "Iterable[nn.Module]") -> Iterator[None]:
    """For the time of the block the models drop nothing out; then they are in the modes that they were in."""
    modes = [(model, model.training) for model in models]
    try:
        for model, _ in modes:
            model.eval()
        yield
    finally:
        for model, mode in modes:
            model.train(mode)


def random_inputs(config: Any, batch_size: int, length: int, device: "torch.device | str") -> "dict[str, Tensor]":
    """Rows of tokens without padding, the same for every vocabulary of one size; the caller's random state is kept.

    Args:
        config: of the model. Its special tokens are not drawn: some families count the places of the others only.
        batch_size: B.
        length: L.
        device: where the tensors go.

    Returns:
        input_ids and attention_mask, (B, L).
    """
    import torch

    special = {getattr(config, f"{name}_token_id", None) for name in ("pad", "bos", "eos", "cls", "sep", "mask")}
    ordinary = torch.tensor([token for token in range(config.vocab_size) if token not in special])
    chosen = torch.randint(0, len(ordinary), (batch_size, length), generator=torch.Generator().manual_seed(0))
    ids = ordinary[chosen].to(device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def wait_for(device: "torch.device") -> None:
    """Until the device has done what it was given: a GPU works on after the call."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _time_forward(model: "PreTrainedModel", inputs: "dict[str, Tensor]") -> float:
    wait_for(model.device)
    start = time.perf_counter()
    model(**inputs)
    wait_for(model.device)
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
