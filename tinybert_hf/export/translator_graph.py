"""The two graphs of a translator: one that reads the source, once, and one that writes the next tokens.

What the decoder's layers see of the source, their keys and values, is computed while the source is read. The decoder
takes the keys and values of the target so far, and gives those of the new tokens; whoever runs it keeps them.
"""

from __future__ import annotations

from typing import Any

from tinybert_hf.export.graph import GraphBuilder
from tinybert_hf.export.layer_graph import (
    ACTIVATIONS,
    MASKED,
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
from tinybert_hf.export.translator_parts import HalfParts, TranslatorParts, translator_parts


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
