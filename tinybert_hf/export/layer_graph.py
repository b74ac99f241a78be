"""The layers of an encoder or a decoder, as nodes of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinybert_hf.distillation.bert_parts import LayerParts
from tinybert_hf.errors import TinyBertError
from tinybert_hf.export.graph import GraphBuilder

if TYPE_CHECKING:
    from torch import nn

_GELU = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "gelu_fast": "tanh"}
ACTIVATIONS = (*_GELU, "relu", "silu", "swish")
MASKED = -1e9  # a score of a token that is not seen


@dataclass(frozen=True)
class Stack:
    """What the layers of an encoder or a decoder have in common."""

    heads: int
    width: int
    activation: str


def mask_bias(graph: GraphBuilder, mask: str) -> str:
    """0 for tokens that are seen and a large negative number for the others, (B, 1, 1, L)."""
    import numpy as np
    from onnx import TensorProto

    hidden = graph.node("Sub", graph.constant(np.float32(1)), graph.node("Cast", mask, to=TensorProto.FLOAT))
    bias = graph.node("Mul", hidden, graph.constant(np.float32(MASKED)))
    return str(graph.node("Unsqueeze", bias, graph.numbers(1, 2)))


def length_of(graph: GraphBuilder, value: str, axis: int) -> str:
    """The size of a dimension, as a number."""
    return str(graph.node("Squeeze", graph.node("Shape", value, start=axis, end=axis + 1), graph.numbers(0)))


def places(graph: GraphBuilder, ids: str, before: str | None = None) -> str:
    """The place of each token, (L,).

    Args:
        graph: to add to.
        ids: name of the tokens (B, L).
        before: number of tokens that stand before them; None: none.
    """
    import numpy as np

    start, count = graph.constant(np.int64(0)), length_of(graph, ids, 1)
    if before is not None:
        start, count = before, graph.node("Add", before, count)
    return str(graph.node("Range", start, count, graph.constant(np.int64(1))))


def encoder_layer(
    graph: GraphBuilder, states: str, layer: LayerParts, stack: Stack, bias: str, *, only_first: bool = False
) -> str:
    """One layer of an encoder.

    Args:
        graph: to add to.
        states: name of its input (B, L, H).
        layer: its weights.
        stack: of all layers.
        bias: of the scores.
        only_first: give the state of the first token alone, (B, 1, H).
    """
    if only_first:
        asking = first_token(graph, states)
        (query,) = several(graph, asking, [layer.query], stack)
        key, value = several(graph, states, [layer.key, layer.value])
    else:
        asking = states
        query, key, value = several(graph, states, [layer.query, layer.key, layer.value], stack)
    seen = attend(graph, query, parted(graph, key, stack), parted(graph, value, stack), stack, bias)
    states = added(graph, seen, layer.attention_output, asking, layer.attention_norm)
    return feed_forward(graph, states, layer, stack)


def first_token(graph: GraphBuilder, states: str) -> str:
    """(B, 1, H) of (B, L, H)."""
    return str(graph.node("Slice", states, *(graph.numbers(place) for place in (0, 1, 1))))


def several(graph: GraphBuilder, states: str, maps: Sequence[nn.Linear], asks: Stack | None = None) -> list[str]:
    """What several maps make of one input, as one product.

    Args:
        graph: to add to.
        states: name of the input.
        maps: of the same width.
        asks: the first map gives queries of this stack, and takes the scale of the scores into its weights.
    """
    import torch

    scale = 1.0 if asks is None else (asks.width // asks.heads) ** -0.5
    factors = [scale] + [1.0] * (len(maps) - 1)
    weight = torch.cat([one.weight * factor for one, factor in zip(maps, factors, strict=True)])
    bias = torch.cat([one.bias * factor for one, factor in zip(maps, factors, strict=True)])
    product = graph.linear(states, weight, bias)
    if len(maps) == 1:
        return [product]
    return list(graph.node("Split", product, outputs=len(maps), axis=-1, num_outputs=len(maps)))


def parted(graph: GraphBuilder, states: str, stack: Stack) -> str:
    """(B, L, H) as (B, A, L, D): each head its own."""
    heads = graph.node("Reshape", states, graph.numbers(0, 0, stack.heads, stack.width // stack.heads))
    return str(graph.node("Transpose", heads, perm=[0, 2, 1, 3]))


def attend(graph: GraphBuilder, query: str, key: str, value: str, stack: Stack, bias: str) -> str:
    """What each query sees, (B, T, H).

    Args:
        graph: to add to.
        query: name of (B, T, H), scaled.
        key: name of (B, A, L, D).
        value: the same.
        stack: of the layer.
        bias: of the scores, (B or 1, 1, T or 1, L).
    """
    turned = graph.node("Transpose", key, perm=[0, 1, 3, 2])
    scores = graph.node("Add", graph.node("MatMul", parted(graph, query, stack), turned), bias)
    seen = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), value)
    seen = graph.node("Transpose", seen, perm=[0, 2, 1, 3])
    return str(graph.node("Reshape", seen, graph.numbers(0, 0, stack.width)))


def added(graph: GraphBuilder, states: str, last: nn.Linear, before: str, norm: nn.LayerNorm) -> str:
    """The end of a block: its last map, what came in, and their norm."""
    return graph.norm(graph.node("Add", graph.linear(states, last.weight, last.bias), before), norm)


def feed_forward(graph: GraphBuilder, states: str, layer: LayerParts, stack: Stack) -> str:
    """The feed-forward block of a layer."""
    inner = graph.linear(states, layer.intermediate.weight, layer.intermediate.bias)
    return added(graph, activated(graph, inner, stack.activation), layer.output, states, layer.output_norm)


def activated(graph: GraphBuilder, states: str, activation: str) -> str:
    """The activation of a feed-forward part."""
    if activation in _GELU:
        return str(graph.node("Gelu", states, approximate=_GELU[activation]))
    if activation == "relu":
        return str(graph.node("Relu", states))
    if activation in ("silu", "swish"):
        return str(graph.node("Mul", states, graph.node("Sigmoid", states)))
    raise TinyBertError(f"The activation {activation!r} cannot be exported.")
