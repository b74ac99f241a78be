"""Queries, keys, hidden states and logits of any transformers model, taken from one ordinary forward.

The model keeps its own attention (sdpa, flash, eager): for the time of one forward, its attention implementation is a
registered function that notes the queries and keys and then calls the model's own.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from tinybert_hf.checkpoints.input_limits import without_unread_segments
from tinybert_hf.distillation.architecture import (
    can_end_early,
    decoder_shape,
    encoder_shape,
    first_layers,
    is_translator,
)
from tinybert_hf.errors import CaptureError

_PREFIX = "tinybert_recording_"
_STILL_WORKS = (
    "The hidden-state, embedding and prediction losses still work for it: set the attention loss weight to 0."
)

NO_TARGET = (
    "The batch has no target: a translation batch needs labels (or decoder_input_ids and decoder_attention_mask)."
)


@dataclass(frozen=True)
class AttentionRecord:
    """Queries and keys of one attention layer; the scores are `scaling * query @ key.T`.

    Attributes:
        query: (B, A, L, D).
        key: (B, A, K, D); K = L in self-attention, the source's length in cross-attention.
        scaling: the factor of the scores, usually D ** -0.5.
        value: (B, A, K, D) where it was asked for; else None.
    """

    query: Tensor
    key: Tensor
    scaling: float
    value: Tensor | None = None

    def widened(self) -> AttentionRecord:
        """The same in fp32."""
        value = None if self.value is None else self.value.float()
        return replace(self, query=self.query.float(), key=self.key.float(), value=value)


@dataclass(frozen=True)
class Wanted:
    """What is to be kept of one forward.

    Attributes:
        attention: layers (from 1) whose queries and keys are kept; of the encoder where the model has two halves.
        hidden_states: layers (0 is the embedding output) whose hidden states are kept; likewise.
        decoder_attention: layers of the decoder whose own queries and keys are kept.
        cross_attention: layers of the decoder whose queries, and the source's keys, are kept.
        decoder_hidden_states: layers of the decoder whose hidden states are kept.
        values: whether the values are kept beside the queries and keys.
        answer: whether logits and output are kept. Without them an encoder that learns nothing ends after the last of
            the layers above.
    """

    attention: Collection[int] = ()
    hidden_states: Collection[int] = ()
    decoder_attention: Collection[int] = ()
    cross_attention: Collection[int] = ()
    decoder_hidden_states: Collection[int] = ()
    values: bool = False
    answer: bool = True

    @property
    def any_attention(self) -> bool:
        """Whether the attention has to be recorded."""
        return bool(self.attention or self.decoder_attention or self.cross_attention)


@dataclass(frozen=True)
class Capture:
    """What one forward left behind.

    Attributes:
        attention: layer number (from 1) -> queries and keys; of the encoder where the model has two halves.
        hidden_states: layer number (0 is the embedding output) -> (B, L, H); likewise.
        decoder_attention: decoder layer -> queries and keys of the target.
        cross_attention: decoder layer -> queries of the target, keys of the source.
        decoder_hidden_states: decoder layer -> (B, T, H).
        logits: (B, C) or (B, L, C); (B, L, 2) of start and end where questions are answered; None for a model without
            a head.
        output: the model's own output.
    """

    attention: dict[int, AttentionRecord] = field(default_factory=dict)
    hidden_states: dict[int, Tensor] = field(default_factory=dict)
    decoder_attention: dict[int, AttentionRecord] = field(default_factory=dict)
    cross_attention: dict[int, AttentionRecord] = field(default_factory=dict)
    decoder_hidden_states: dict[int, Tensor] = field(default_factory=dict)
    logits: Tensor | None = None
    output: Any = None

    def widened(self) -> Capture:
        """The same in fp32, but for the model's own output."""
        return replace(
            self,
            attention={layer: record.widened() for layer, record in self.attention.items()},
            hidden_states={layer: states.float() for layer, states in self.hidden_states.items()},
            decoder_attention={layer: record.widened() for layer, record in self.decoder_attention.items()},
            cross_attention={layer: record.widened() for layer, record in self.cross_attention.items()},
            decoder_hidden_states={layer: states.float() for layer, states in self.decoder_hidden_states.items()},
            logits=None if self.logits is None else self.logits.float(),
        )


def capture(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    *,
    attention_layers: Collection[int] = (),
    hidden_state_layers: Collection[int] = (),
    wanted: Wanted | None = None,
) -> Capture:
    """Run `model` once and keep what the losses need of it.

    Args:
        model: an encoder or an encoder-decoder of transformers, with or without a head.
        inputs: what its forward takes; use `model_inputs` to choose them from a batch.
        attention_layers: layers (from 1) whose queries and keys are kept; short for `wanted`.
        hidden_state_layers: layers (0 is the embedding output) whose hidden states are kept; short for `wanted`.
        wanted: all that is to be kept.

    Returns:
        The kept tensors, in the autograd graph of the forward where gradients are on.

    Raises:
        CaptureError: the model does not show what was asked for; the message says why and what still works.
    """
    if wanted is None:
        wanted = Wanted(attention_layers, hidden_state_layers)
    two_halves = is_translator(model)
    if two_halves and not {"labels", "decoder_input_ids", "decoder_inputs_embeds"} & set(inputs):
        raise CaptureError(NO_TARGET)
    kwargs: dict[str, Any] = {"use_cache": False} if two_halves else {}
    if wanted.hidden_states or wanted.decoder_hidden_states:
        # An encoder keeps only the layers that it is asked for; of two halves each has numbers of its own.
        kwargs["output_hidden_states"] = True if two_halves else sorted(wanted.hidden_states)
    depth = _layers_to_run(model, wanted)
    with first_layers(model, depth) if depth else nullcontext():
        if wanted.any_attention:
            with _recording(model, values=wanted.values) as calls:
                output = model(**inputs, **kwargs)
        else:
            calls, output = [], model(**inputs, **kwargs)
    prefix = "encoder_" if two_halves else ""
    return Capture(
        **_select_attention(model, calls, wanted, depth),
        hidden_states=_select_hidden_states(model, output, f"{prefix}hidden_states", sorted(wanted.hidden_states)),
        decoder_hidden_states=_select_hidden_states(
            model, output, "decoder_hidden_states", sorted(wanted.decoder_hidden_states)
        ),
        logits=logits_of(output) if wanted.answer else None,
        output=output if wanted.answer else None,
    )


def _layers_to_run(model: nn.Module, wanted: Wanted) -> int | None:
    """How many layers of an encoder have to run; None: all."""
    if wanted.answer or torch.is_grad_enabled() or is_translator(model) or not can_end_early(model):
        return None
    last = max([*wanted.attention, *wanted.hidden_states], default=0)
    return last if 0 < last < encoder_shape(model.config).layers else None


def logits_of(output: Any) -> Tensor | None:
    """The answer of a model: its logits, or those of start and end as (B, L, 2); None without a head."""
    if getattr(output, "start_logits", None) is not None:
        return torch.stack([output.start_logits, output.end_logits], dim=-1)
    logits: Tensor | None = getattr(output, "logits", None)
    return logits


def model_inputs(model: nn.Module, batch: Mapping[str, Any], *, labels: bool = False) -> dict[str, Any]:
    """The entries of a batch that the model's forward takes; no segments where it has one.

    Args:
        model: the model that will be called.
        batch: a batch as a collator makes it.
        labels: keep the labels too, so that the model computes its own loss.

    Returns:
        The chosen entries, unchanged.
    """
    names = set(inspect.signature(model.forward).parameters)
    chosen = {
        name: value
        for name, value in without_unread_segments(model, batch).items()
        if name in names and (labels or name not in ("labels", "start_positions", "end_positions"))
    }
    # Each translator has a first token of its own, so each makes what its decoder reads from the labels.
    if is_translator(model) and batch.get("labels") is not None and not labels:
        chosen["decoder_input_ids"] = _decoder_inputs(model, batch["labels"])
    return chosen


def _decoder_inputs(model: nn.Module, labels: Tensor) -> Tensor:
    """The labels one place to the right, behind the start token of the model's family."""
    own: Any = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    start: Any = getattr(model.config, "decoder_start_token_id", None)
    padding: Any = getattr(model.config, "pad_token_id", None)
    try:
        if own is not None:
            shifted: Tensor = own(labels=labels)
            return shifted
        # M2M100 and NLLB do this within their forward, and only where they compute a loss.
        shifted = labels.roll(1, dims=-1)
        shifted[:, 0] = start
        return shifted.masked_fill(shifted == -100, padding)
    except (TypeError, ValueError) as error:
        raise CaptureError(
            f"{type(model).__name__} cannot make its decoder's input from labels: its configuration has "
            f"decoder_start_token_id {start} and pad_token_id {padding}. Set both to those that it was trained with."
        ) from error


Call = tuple[nn.Module, Tensor, Tensor, float, Tensor | None]
# One forward runs at a time in a process, so the calls of the running one stand in a plain list.
_active: list[Call] | None = None
_keeps_values = False


@contextmanager
def _recording(model: nn.Module, *, values: bool) -> Iterator[list[Call]]:
    global _active, _keeps_values
    if not isinstance(model, PreTrainedModel) or not _routes_attention(model):
        raise CaptureError(
            f"{type(model).__name__} does not route its attention through transformers' attention interface, so its "
            f"queries and keys cannot be taken. {_STILL_WORKS}"
        )
    own = model.config._attn_implementation or "eager"
    model.set_attn_implementation(_registered(own))
    before = _active, _keeps_values
    _active, _keeps_values = [], values
    try:
        yield _active
    finally:
        _active, _keeps_values = before
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
            scaling = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
            _active.append((module, query, key, scaling, value if _keeps_values else None))
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
    if reason is not None:
        raise CaptureError(f"{type(module).__name__} {reason}; its scores are not comparable. {_STILL_WORKS}")


def _select_attention(
    model: nn.Module, calls: list[Call], wanted: Wanted, depth: int | None
) -> dict[str, dict[int, AttentionRecord]]:
    if not wanted.any_attention:
        return {}
    if not is_translator(model):
        ran = depth or encoder_shape(model.config).layers
        return {"attention": _records(model, calls, ran, wanted.attention, causal=False)}
    encoder, decoder = set(model.get_encoder().modules()), set(model.get_decoder().modules())  # type: ignore[operator]
    read = [call for call in calls if call[0] in encoder]
    written = [call for call in calls if call[0] in decoder and call[0] not in encoder]
    # Each layer of a decoder looks at the target first and at the source then.
    layers = decoder_shape(model.config).layers
    return {
        "attention": _records(model, read, encoder_shape(model.config).layers, wanted.attention, causal=False),
        "decoder_attention": _records(model, written[0::2], layers, wanted.decoder_attention, causal=True),
        "cross_attention": _records(model, written[1::2], layers, wanted.cross_attention, causal=False),
    }


def _records(
    model: nn.Module, calls: list[Call], layers: int, wanted: Collection[int], *, causal: bool
) -> dict[int, AttentionRecord]:
    if not wanted:
        return {}
    if len(calls) != layers:
        raise CaptureError(
            f"{type(model).__name__} has {layers} layers, but its forward called the attention interface {len(calls)} "
            f"times, so the layers cannot be told apart. {_STILL_WORKS}"
        )
    records = {}
    for layer in sorted(wanted):
        module, query, key, scaling, value = calls[layer - 1]
        if bool(getattr(module, "is_causal", False)) != causal:
            reason = (
                "sees later positions, and the decoder's attention loss leaves them out"
                if causal
                else "is causal, and this attention loss compares layers that see every position"
            )
            raise CaptureError(f"{type(module).__name__} {reason}; its scores are not comparable. {_STILL_WORKS}")
        if torch.is_grad_enabled() and not query.requires_grad and any(p.requires_grad for p in module.parameters()):
            raise CaptureError(
                f"The queries of {type(model).__name__} carry no gradient: reentrant activation checkpointing "
                'cuts it. Use gradient_checkpointing_kwargs={"use_reentrant": False}.'
            )
        if key.shape[1] != query.shape[1]:  # grouped-query attention: one key head serves several query heads
            if value is not None:
                value = value.repeat_interleave(query.shape[1] // value.shape[1], dim=1)
            key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
        records[layer] = AttentionRecord(query, key, scaling, value)
    return records


def _select_hidden_states(model: nn.Module, output: Any, name: str, layers: list[int]) -> dict[int, Tensor]:
    states = getattr(output, name, None) if layers else None
    if layers and (states is None or len(states) <= max(layers) or any(states[layer] is None for layer in layers)):
        raise CaptureError(
            f"{type(model).__name__} gave {name.replace('_', ' ')} for {0 if states is None else len(states)} layers "
            f"(the embedding output included), but layers {layers} are needed. The prediction loss still works for "
            "it: set the other loss weights to 0."
        )
    return {layer: states[layer] for layer in layers} if states is not None else {}
