"""Writes the two ONNX graphs of a translator: one that reads the source, once, and one that writes the next tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.conversion.export.onnx_graph import (
    ACTIVATIONS,
    MASKED,
    GraphBuilder,
    Stack,
    added,
    attend,
    encoder_layer,
    feed_forward,
    length_of,
    mask_bias,
    parted,
    places,
    several,
)
from tinybert_hf.distillation.architecture import LayerParts
from tinybert_hf.errors import TinyBertError

if TYPE_CHECKING:
    from torch import Tensor, nn


# Several ONNX models whose weights stand in one file beside them, the same ones once.

WEIGHTS_FILE = "model.onnx.data"
_LEAST = 1024  # bytes; a smaller weight stays in its model
_ALIGNED = 64


def write_with_shared_weights(models: dict[str, Any], folder: Path) -> dict[str, str]:
    """Write models and their weights.

    Args:
        models: part -> `onnx.ModelProto`; its weights are moved out.
        folder: that gets PART.onnx and the file of the weights.

    Returns:
        Part -> name of its file.
    """
    places: dict[bytes, int] = {}
    with (folder / WEIGHTS_FILE).open("wb") as handle:
        for model in models.values():
            for tensor in model.graph.initializer:
                if len(tensor.raw_data) < _LEAST:
                    continue
                digest, size = sha256(tensor.raw_data).digest(), len(tensor.raw_data)
                if digest not in places:
                    handle.write(bytes(-handle.tell() % _ALIGNED))
                    places[digest] = handle.tell()
                    handle.write(tensor.raw_data)
                _move_out(tensor, places[digest], size)
    for part, model in models.items():
        (folder / f"{part}.onnx").write_bytes(model.SerializeToString())
    return {part: f"{part}.onnx" for part in models}


def _move_out(tensor: Any, offset: int, size: int) -> None:
    from onnx import TensorProto

    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", WEIGHTS_FILE), ("offset", str(offset)), ("length", str(size))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


# The parts of a translator by what they do: of a TinyBertForSeq2Seq, or of a Marian model.


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


# The two graphs of a translator: one that reads the source, once, and one that writes the next tokens.
#
# What the decoder's layers see of the source, their keys and values, is computed while the source is read. The decoder
# takes the keys and values of the target so far, and gives those of the new tokens; whoever runs it keeps them.


def can_write_translator(model: Any) -> str | None:
    """Why a translator cannot be exported; None where it can.

    Raises:
        TinyBertError: its family is not known.
    """
    parts = translator_parts(model)
    for half in (parts.encoder, parts.decoder):
        if half.stack.activation not in ACTIVATIONS:
            return f"its activation is {half.stack.activation!r}"
    return None


def translator_models(model: Any, *, int8: bool) -> dict[str, Any]:
    """Both graphs.

    Args:
        model: a TinyBertForSeq2Seq or a Marian model.
        int8: keep linear maps and embeddings in int8.

    Returns:
        Part -> `onnx.ModelProto`. "encoder": input_ids and attention_mask (batch, source) to memory, the keys and
        values of all cross-attentions side by side (batch, source, 2 x layers x width). "decoder": decoder_input_ids
        (batch, target), attention_mask, memory, past_key_N and past_value_N (batch, heads, past, width of a head) to
        logits (batch, target, vocabulary), key_N and value_N of the new tokens.
    """
    parts = translator_parts(model)
    return {"encoder": _encoder(parts, int8), "decoder": _decoder(parts, int8)}


def _encoder(parts: TranslatorParts, int8: bool) -> Any:
    graph, half = GraphBuilder(int8=int8), parts.encoder
    states = _embedded(graph, half, "input_ids", places(graph, "input_ids"), _is_output(half, parts))
    bias = mask_bias(graph, "attention_mask")
    for layer in half.layers:
        states = encoder_layer(graph, states, layer, half.stack, bias)
    if parts.bridge is not None:
        states = graph.linear(states, parts.bridge.weight, parts.bridge.bias)
    maps = [one for cross in parts.decoder.crosses for one in (cross.key, cross.value)]
    memory = several_joined(graph, states, maps)
    width = len(maps) * parts.decoder.stack.width
    rows = ["batch", "source"]
    inputs = dict.fromkeys(("input_ids", "attention_mask"), ("INT64", rows))
    return graph.finish(inputs, {"memory": (memory, "FLOAT", [*rows, width])})


def several_joined(graph: GraphBuilder, states: str, maps: list[Any]) -> str:
    """What several maps make of one input, side by side."""
    import torch

    return graph.linear(states, torch.cat([one.weight for one in maps]), torch.cat([one.bias for one in maps]))


def _decoder(parts: TranslatorParts, int8: bool) -> Any:
    graph, half = GraphBuilder(int8=int8), parts.decoder
    stack, depth = half.stack, len(half.layers)
    before = length_of(graph, "past_key_0", 2)
    own = places(graph, "decoder_input_ids", before)
    states = _embedded(graph, half, "decoder_input_ids", own, _is_output(half, parts))
    later, source = _later_bias(graph, own), mask_bias(graph, "attention_mask")
    memory = graph.node("Split", "memory", outputs=2 * depth, axis=-1, num_outputs=2 * depth)
    found: dict[str, str] = {}
    for number, (layer, cross) in enumerate(zip(half.layers, half.crosses, strict=True)):
        query, key, value = several(graph, states, [layer.query, layer.key, layer.value], stack)
        key, value = found[f"key_{number}"], found[f"value_{number}"] = (
            parted(graph, key, stack), parted(graph, value, stack)
        )  # fmt: skip
        key = graph.node("Concat", f"past_key_{number}", key, axis=2)
        value = graph.node("Concat", f"past_value_{number}", value, axis=2)
        seen = attend(graph, query, key, value, stack, later)
        states = added(graph, seen, layer.attention_output, states, layer.attention_norm)
        (query,) = several(graph, states, [cross.query], stack)
        key, value = (parted(graph, memory[2 * number + place], stack) for place in (0, 1))
        seen = attend(graph, query, key, value, stack, source)
        states = added(graph, seen, cross.output, states, cross.norm)
        states = feed_forward(graph, states, layer, stack)
    if _is_output(half, parts):
        logits = graph.linear_of_table(states, parts.output, parts.output_bias)
    else:
        logits = graph.linear(states, parts.output, parts.output_bias)
    return graph.finish(_decoder_inputs(half), _decoder_outputs(half, found, logits, len(parts.output)))


def _is_output(half: HalfParts, parts: TranslatorParts) -> bool:
    """Whether the words' table is the output layer too, so that both files can keep the same numbers."""
    return half.words.data_ptr() == parts.output.data_ptr()


def _embedded(graph: GraphBuilder, half: HalfParts, ids: str, own: str, multiplied: bool) -> str:
    import numpy as np

    words = graph.rows(half.words, ids, multiplied=multiplied)
    if half.scale != 1:
        words = graph.node("Mul", words, graph.constant(np.float32(half.scale)))
    states = graph.node("Add", words, graph.rows(half.positions, own))
    return states if half.norm is None else graph.norm(states, half.norm)


def _later_bias(graph: GraphBuilder, own: str) -> str:
    """A large negative number for tokens behind each one, (T, past + T)."""
    import numpy as np

    last = graph.node("ReduceMax", own, keepdims=0)
    end = graph.node("Add", last, graph.constant(np.int64(1)))
    every = graph.node("Range", graph.constant(np.int64(0)), end, graph.constant(np.int64(1)))
    seen = graph.node("LessOrEqual", every, graph.node("Unsqueeze", own, graph.numbers(1)))
    return str(graph.node("Where", seen, graph.constant(np.float32(0)), graph.constant(np.float32(MASKED))))


def _decoder_inputs(half: HalfParts) -> dict[str, tuple[str, list[Any]]]:
    width = 2 * len(half.layers) * half.stack.width
    inputs: dict[str, tuple[str, list[Any]]] = {
        "decoder_input_ids": ("INT64", ["batch", "target"]),
        "attention_mask": ("INT64", ["batch", "source"]),
        "memory": ("FLOAT", ["batch", "source", width]),
    }
    past = ["batch", half.stack.heads, "past", half.stack.width // half.stack.heads]
    for number in range(len(half.layers)):
        inputs |= {f"past_{kind}_{number}": ("FLOAT", past) for kind in ("key", "value")}
    return inputs


def _decoder_outputs(
    half: HalfParts, found: dict[str, str], logits: str, vocabulary: int
) -> dict[str, tuple[str, str, list[Any]]]:
    new = ["batch", half.stack.heads, "target", half.stack.width // half.stack.heads]
    outputs: dict[str, tuple[str, str, list[Any]]] = {"logits": (logits, "FLOAT", ["batch", "target", vocabulary])}
    return outputs | {name: (value, "FLOAT", new) for name, value in found.items()}
