"""Queries, keys, hidden states and logits of any transformers model, taken from one ordinary forward.

The model keeps its own attention (sdpa, flash, eager): for the time of one forward, its attention implementation is a
registered function that notes the queries and keys and then calls the model's own.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from tinybert_hf.errors import CaptureError

_PREFIX = "tinybert_recording_"
_STILL_WORKS = (
    "The hidden-state, embedding and prediction losses still work for it: set the attention loss weight to 0."
)


@dataclass(frozen=True)
class AttentionRecord:
    """Queries and keys of one self-attention layer; the scores are `scaling * query @ key.T`.

    Attributes:
        query: (B, A, L, D).
        key: (B, A, L, D).
        scaling: the factor of the scores, usually D ** -0.5.
    """

    query: Tensor
    key: Tensor
    scaling: float


@dataclass(frozen=True)
class Capture:
    """What one forward left behind.

    Attributes:
        attention: layer number (from 1) -> queries and keys.
        hidden_states: layer number (0 is the embedding output) -> (B, L, H).
        logits: (B, C) or (B, L, C); None for a model without a head.
        output: the model's own output.
    """

    attention: dict[int, AttentionRecord] = field(default_factory=dict)
    hidden_states: dict[int, Tensor] = field(default_factory=dict)
    logits: Tensor | None = None
    output: Any = None


def capture(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    *,
    attention_layers: Collection[int] = (),
    hidden_state_layers: Collection[int] = (),
) -> Capture:
    """Run `model` once and keep what the losses need of it.

    Args:
        model: an encoder of transformers, with or without a head.
        inputs: what its forward takes; use `model_inputs` to choose them from a batch.
        attention_layers: layers (from 1) whose queries and keys are kept.
        hidden_state_layers: layers (0 is the embedding output) whose hidden states are kept.

    Returns:
        The kept tensors, in the autograd graph of the forward where gradients are on.

    Raises:
        CaptureError: the model does not show what was asked for; the message says why and what still works.
    """
    wanted = sorted(hidden_state_layers)
    kwargs: dict[str, Any] = {"output_hidden_states": wanted} if wanted else {}
    if attention_layers:
        with _recording(model) as calls:
            output = model(**inputs, **kwargs)
        attention = _select_attention(model, calls, sorted(attention_layers))
    else:
        output = model(**inputs, **kwargs)
        attention = {}
    return Capture(
        attention=attention,
        hidden_states=_select_hidden_states(model, output, wanted),
        logits=getattr(output, "logits", None),
        output=output,
    )


def model_inputs(model: nn.Module, batch: Mapping[str, Any], *, labels: bool = False) -> dict[str, Any]:
    """The entries of a batch that the model's forward takes.

    Args:
        model: the model that will be called.
        batch: a batch as a collator makes it.
        labels: keep the labels too, so that the model computes its own loss.

    Returns:
        The chosen entries, unchanged.
    """
    names = set(inspect.signature(model.forward).parameters)
    return {
        name: value
        for name, value in batch.items()
        if name in names and (labels or name not in ("labels", "start_positions", "end_positions"))
    }


# One forward runs at a time in a process, so the calls of the running one stand in a plain list.
_active: list[tuple[nn.Module, Tensor, Tensor, float]] | None = None


@contextmanager
def _recording(model: nn.Module) -> Iterator[list[tuple[nn.Module, Tensor, Tensor, float]]]:
    global _active
    if not isinstance(model, PreTrainedModel) or not _routes_attention(model):
        raise CaptureError(
            f"{type(model).__name__} does not route its attention through transformers' attention interface, so its "
            f"queries and keys cannot be taken. {_STILL_WORKS}"
        )
    own = model.config._attn_implementation or "eager"
    model.set_attn_implementation(_registered(own))
    before, _active = _active, []
    try:
        yield _active
    finally:
        _active = before
        model.set_attn_implementation(own)


def _routes_attention(model: PreTrainedModel) -> bool:
    return all(m._can_set_attn_implementation() for m in model.modules() if isinstance(m, PreTrainedModel))


def _registered(own: str) -> str:
    """The name of the recording form of the attention `own`, registered with its mask function on first use."""
    name = _PREFIX + own
    if name not in ALL_ATTENTION_FUNCTIONS:
        AttentionInterface.register(name, _recording_attention(own))
        # Without the matching mask function transformers would drop the padding mask silently.
        AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[own])
    return name


def _recording_attention(own: str) -> Callable[..., tuple[Tensor, Tensor | None]]:
    def attention(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
    ) -> tuple[Tensor, Tensor | None]:
        if _active is not None:
            _refuse_other_scores(module, query, kwargs)
            scaling = kwargs.get("scaling")
            _active.append((module, query, key, query.shape[-1] ** -0.5 if scaling is None else float(scaling)))
        if own == "eager":
            forward = sys.modules[type(module).__module__].eager_attention_forward
        else:
            forward = ALL_ATTENTION_FUNCTIONS[own]
        result: tuple[Tensor, Tensor | None] = forward(module, query, key, value, attention_mask, **kwargs)
        return result

    return attention


def _refuse_other_scores(module: nn.Module, query: Tensor, kwargs: Mapping[str, Any]) -> None:
    """Raise where the softmax does not see `scaling * query @ key.T` of all real pairs."""
    reason = None
    if kwargs.get("position_bias") is not None:
        reason = "adds a position bias to its attention scores"
    elif kwargs.get("softcap") is not None:
        reason = "caps its attention scores"
    elif kwargs.get("sliding_window") is not None and kwargs["sliding_window"] < query.shape[-2]:
        reason = "attends within a sliding window in this layer"
    elif getattr(module, "is_causal", False):
        reason = "is causal, and the attention loss compares encoders, which see every position"
    if reason is not None:
        raise CaptureError(f"{type(module).__name__} {reason}; its scores are not comparable. {_STILL_WORKS}")


def _select_attention(
    model: nn.Module, calls: list[tuple[nn.Module, Tensor, Tensor, float]], layers: list[int]
) -> dict[int, AttentionRecord]:
    depth = model.config.num_hidden_layers  # type: ignore[union-attr]
    if len(calls) != depth:
        raise CaptureError(
            f"{type(model).__name__} has {depth} layers, but its forward called the attention interface {len(calls)} "
            f"times, so the layers cannot be told apart. {_STILL_WORKS}"
        )
    records = {}
    for layer in layers:
        module, query, key, scaling = calls[layer - 1]
        if torch.is_grad_enabled() and not query.requires_grad and any(p.requires_grad for p in module.parameters()):
            raise CaptureError(
                f"The queries of {type(model).__name__} carry no gradient: reentrant activation checkpointing "
                "cuts it. "
                'Use gradient_checkpointing_kwargs={"use_reentrant": False}.'
            )
        if key.shape[1] != query.shape[1]:  # grouped-query attention: one key head serves several query heads
            key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
        records[layer] = AttentionRecord(query, key, scaling)
    return records


def _select_hidden_states(model: nn.Module, output: Any, layers: list[int]) -> dict[int, Tensor]:
    states = getattr(output, "hidden_states", None) if layers else None
    if layers and (states is None or len(states) <= max(layers) or any(states[layer] is None for layer in layers)):
        raise CaptureError(
            f"{type(model).__name__} gave hidden states for {0 if states is None else len(states)} layers (the "
            "embedding "
            f"output included), but layers {layers} are needed. The prediction loss still works for it: set the other "
            "loss weights to 0."
        )
    return {layer: states[layer] for layer in layers} if states is not None else {}
