"""The parts of a translator by what they do: of a TinyBertForSeq2Seq, or of a Marian model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinybert_hf.distillation.bert_parts import LayerParts
from tinybert_hf.errors import TinyBertError
from tinybert_hf.export.layer_graph import Stack

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class CrossParts:
    """The attention of a decoder's layer to the source."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    output: nn.Linear
    norm: nn.LayerNorm


@dataclass(frozen=True)
class HalfParts:
    """An encoder or a decoder with its embeddings; a decoder has as many `crosses` as layers."""

    words: Tensor
    positions: Tensor
    scale: float
    norm: nn.LayerNorm | None
    stack: Stack
    layers: tuple[LayerParts, ...]
    crosses: tuple[CrossParts, ...] = ()


@dataclass(frozen=True)
class TranslatorParts:
    """Both halves, what stands between them, and the output layer."""

    encoder: HalfParts
    decoder: HalfParts
    bridge: nn.Linear | None
    output: Tensor
    output_bias: Tensor | None


def translator_parts(model: Any) -> TranslatorParts:
    """Find the parts of a translator.

    Raises:
        TinyBertError: it is neither a TinyBERT nor a Marian model.
    """
    family = model.config.model_type
    if family == "tinybert":
        return _tinybert(model)
    if family == "marian":
        return _marian(model)
    raise TinyBertError(
        f"A translator of the family {family!r} ({type(model).__name__}) is not exported; TinyBertForSeq2Seq and "
        "MarianMTModel are. Distil it into a TinyBERT first: tinybert distill translation."
    )


def _tinybert(model: Any) -> TranslatorParts:
    from torch import nn

    bridge = None if isinstance(model.bridge, nn.Identity) else model.bridge
    return TranslatorParts(_bert_half(model.tinybert), _bert_half(model.decoder), bridge, model.lm_head.weight, None)


def _bert_half(half: Any) -> HalfParts:
    embeddings, layers = half.embeddings, half.encoder.layer
    crosses = [layer.crossattention for layer in layers if hasattr(layer, "crossattention")]
    return HalfParts(
        words=embeddings.word_embeddings.weight,
        # The halves read one segment: its vector is the same at all places.
        positions=embeddings.position_embeddings.weight + embeddings.token_type_embeddings.weight[0],
        scale=1.0,
        norm=embeddings.LayerNorm,
        stack=Stack(half.config.num_attention_heads, half.config.hidden_size, half.config.hidden_act),
        layers=tuple(
            LayerParts(
                query=layer.attention.self.query,
                key=layer.attention.self.key,
                value=layer.attention.self.value,
                attention_output=layer.attention.output.dense,
                attention_norm=layer.attention.output.LayerNorm,
                intermediate=layer.intermediate.dense,
                output=layer.output.dense,
                output_norm=layer.output.LayerNorm,
            )
            for layer in layers
        ),
        crosses=tuple(
            CrossParts(one.self.query, one.self.key, one.self.value, one.output.dense, one.output.LayerNorm)
            for one in crosses
        ),
    )


def _marian(model: Any) -> TranslatorParts:
    config, bias = model.config, model.final_logits_bias
    return TranslatorParts(
        _marian_half(model.model.encoder, config, config.encoder_attention_heads),
        _marian_half(model.model.decoder, config, config.decoder_attention_heads),
        None,
        model.lm_head.weight,
        bias[0] if bool(bias.any()) else None,
    )


def _marian_half(half: Any, config: Any, heads: int) -> HalfParts:
    return HalfParts(
        words=half.embed_tokens.weight,
        positions=half.embed_positions.weight,
        scale=math.sqrt(config.d_model) if config.scale_embedding else 1.0,
        norm=None,
        stack=Stack(heads, config.d_model, config.activation_function),
        layers=tuple(
            LayerParts(
                query=layer.self_attn.q_proj,
                key=layer.self_attn.k_proj,
                value=layer.self_attn.v_proj,
                attention_output=layer.self_attn.out_proj,
                attention_norm=layer.self_attn_layer_norm,
                intermediate=layer.fc1,
                output=layer.fc2,
                output_norm=layer.final_layer_norm,
            )
            for layer in half.layers
        ),
        crosses=tuple(
            CrossParts(one.q_proj, one.k_proj, one.v_proj, one.out_proj, layer.encoder_attn_layer_norm)
            for layer in half.layers
            if (one := getattr(layer, "encoder_attn", None)) is not None
        ),
    )
