"""Size and speed of models, measured side by side."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinybert_hf.evaluation.rounds import Clock, Forward, limited_threads, timed_rounds, usable_threads

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedModel

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
        batch_size: rows of the forward that was timed.
        length: tokens of each of its rows.
        threads: of the CPU that computed it; None on another device.
    """

    parameters: int
    encoder_parameters: int
    megabytes: float
    latency_ms: float
    encoder_flops_per_token: int
    batch_size: int
    length: int
    threads: int | None

    @classmethod
    def together(cls, costs: "Sequence[ModelCost]") -> "ModelCost":
        """What one answer of several models costs, which were measured side by side."""
        return cls(
            parameters=sum(cost.parameters for cost in costs),
            encoder_parameters=sum(cost.encoder_parameters for cost in costs),
            megabytes=sum(cost.megabytes for cost in costs),
            latency_ms=sum(cost.latency_ms for cost in costs),
            encoder_flops_per_token=sum(cost.encoder_flops_per_token for cost in costs),
            batch_size=costs[0].batch_size,
            length=costs[0].length,
            threads=costs[0].threads,
        )


def measure_costs(
    models: "Mapping[str, PreTrainedModel]",
    *,
    batch_size: int = 1,
    length: int = 32,
    rounds: int = 12,
    seconds: float = 5.0,
    threads: int | None = None,
    clock: Clock | None = None,
) -> dict[str, ModelCost]:
    """Measures models against each other, as `tinybert benchmark` does.

    Every model is run twice, and then in rounds in which each has its turn (see `timed_rounds`), so that a change in
    the machine's load hits all of them; the median of all timed forwards counts. The FLOPs are computed, not
    measured: a linear map with W weights takes one multiplication and one addition per weight and token, so FLOPs per
    token = 2 x the sum of W over the linear maps of the encoder's layers (queries, keys, values, attention output,
    both of the feed-forward part). The attention products themselves, which grow with the length, biases, norms,
    embeddings and the head are left out.

    Args:
        models: name -> model, each on its own device; modes are left as they were.
        batch_size: rows of one forward.
        length: tokens of each row; fewer where one of the models cannot read so many.
        rounds: turns of each model at most.
        seconds: for all rounds together, 3 rounds at least.
        threads: of the CPU; None: as many as PyTorch uses.
        clock: for tests.

    Returns:
        name -> cost, in the order of `models`.
    """
    import torch

    from tinybert_hf.opening import limits_of

    threads = threads or usable_threads()
    length = min([length, *(one for one in (limits_of(model).positions for model in models.values()) if one)])
    forwards = {
        name: timed_forward(model, random_inputs(model.config, batch_size, length, model.device), model.device)
        for name, model in models.items()
    }
    with eval_mode(models.values()), torch.inference_mode(), limited_threads(threads):
        for forward in forwards.values():
            warm_up(forward)
        times, failed = timed_rounds(forwards, seconds=seconds, most=rounds, clock=clock)
    for name, reason in failed.items():
        raise MemoryError(f"{name}, {batch_size} x {length} tokens: {reason}")
    said = (batch_size, length, threads)
    return {name: _cost(model, times[name].latency_ms, said) for name, model in models.items()}


def timed_forward(call: Callable[..., object], inputs: "Mapping[str, Tensor]", device: "torch.device") -> Forward:
    """A forward whose inputs are there before it is called, and after which the device is done."""

    def forward() -> object:
        output = call(**inputs)
        wait_for(device)
        return output

    return forward


def warm_up(forward: Forward) -> Forward:
    """Run a forward twice: what is compiled or reserved at the first calls is there afterwards."""
    forward()
    forward()
    return forward


def forward_flops(skeleton: "PreTrainedModel", batch_size: int, length: int) -> int | None:
    """How much a forward computes, by its shape: nothing is run.

    The floating-point operations of all matrix products, a multiplication and an addition each one: linear maps,
    queries times keys, attention times values, pooler and head. Norms, activations, biases, the softmax and the
    look-up of embeddings are no matrix products, are small beside them, and are left out. A translator reads and
    writes `length` tokens.

    Args:
        skeleton: the model on the device "meta", with plain attention, so that each product shows.
        batch_size: B.
        length: L.

    Returns:
        The number; None where the model needs values, and not shapes alone, to be run.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from tinybert_hf.distillation.shapes import is_translator

    ids = torch.zeros(1, length, dtype=torch.long, device="meta")
    inputs = {"input_ids": ids}
    if hasattr(skeleton, "config") and is_translator(skeleton):
        inputs["decoder_input_ids"] = ids
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            skeleton(**inputs)
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        return None
    return int(batch_size * counter.get_total_flops())


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


def _layers(model: "PreTrainedModel") -> "list[nn.Module]":
    return [part for name, part in model.base_model.named_children() if name not in NOT_LAYERS]


def _cost(model: "PreTrainedModel", latency_ms: float, forward: tuple[int, int, int]) -> ModelCost:
    from torch import nn

    parameters = list(model.parameters())
    batch_size, length, threads = forward
    layers = _layers(model)
    linear = [part for layer in layers for part in layer.modules() if isinstance(part, nn.Linear)]
    return ModelCost(
        parameters=sum(p.numel() for p in parameters),
        encoder_parameters=sum(p.numel() for layer in layers for p in layer.parameters()),
        megabytes=sum(p.numel() * p.element_size() for p in parameters) / 1e6,
        latency_ms=latency_ms,
        encoder_flops_per_token=2 * sum(part.weight.numel() for part in linear),
        batch_size=batch_size,
        length=length,
        threads=threads if model.device.type == "cpu" else None,
    )
