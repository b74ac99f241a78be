"""Depth, width and heads of a model, and of its two halves where it has them, under the names of any family."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinybert_hf.errors import CaptureError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig


@dataclass(frozen=True)
class Shape:
    """Depth M or N, width H and heads A of an encoder or a decoder."""

    layers: int
    width: int
    heads: int


def is_translator(model: nn.Module) -> bool:
    """Whether a model reads with one half and writes with the other.

    A classifier on top of an encoder-decoder writes nothing: it counts as an encoder.
    """
    writes = getattr(model, "can_generate", None)
    return bool(getattr(model.config, "is_encoder_decoder", False) and writes is not None and writes())


def answers_with_spans(model: nn.Module) -> bool:
    """Whether a model answers with a first and a last token: it can learn from such positions."""
    return "start_positions" in inspect.signature(model.forward).parameters


def encoder_shape(config: PreTrainedConfig) -> Shape:
    """The shape of an encoder, or of the half that reads."""
    return Shape(
        layers=_first(config, "encoder_layers", "num_hidden_layers"),
        width=_first(config, "hidden_size"),
        heads=_first(config, "encoder_attention_heads", "num_attention_heads"),
    )


def decoder_shape(config: PreTrainedConfig) -> Shape:
    """The shape of the half that writes.

    Raises:
        CaptureError: the model has none, or does not say how deep it is.
    """
    return Shape(
        layers=_first(config, "decoder_layers", "num_decoder_layers"),
        width=_first(config, "decoder_hidden_size", "hidden_size"),
        heads=_first(config, "decoder_num_attention_heads", "decoder_attention_heads", "num_attention_heads"),
    )


def _first(config: PreTrainedConfig, *names: str) -> int:
    for name in names:
        value: Any = getattr(config, name, None)
        if value is not None:
            return int(value)
    raise CaptureError(
        f"The configuration of a {config.model_type} model has none of {', '.join(names)}, so its layers cannot be "
        "mapped."
    )
