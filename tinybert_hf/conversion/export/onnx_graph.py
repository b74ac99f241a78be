"""Writes the ONNX graph of an encoder node by node: standard operators, weights in fp32 or int8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints import require
from tinybert_hf.conversion.export.source import ENCODER
from tinybert_hf.distillation.architecture import EncoderParts, LayerParts, encoder_parts, head_of
from tinybert_hf.errors import TeacherError, TinyBertError
from tinybert_hf.tasks import QUESTION_ANSWERING, TEXT_CLASSIFICATION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    Array = NDArray[np.generic]


# Writes an ONNX graph node by node: standard operators, weights in fp32 or int8.

OPSET, IR_VERSION = 20, 9  # the first opset with Gelu; onnxruntime loads it since 1.17
MICROSOFT = "com.microsoft"
_SMALL = 64  # numbers
# One bit less than int8 has: without VNNI, a processor adds two products of 8 bits in 16, which would overflow.
LARGEST_WEIGHT = 63
LARGEST_IN_TABLE = 127  # tables are read, not multiplied


class GraphBuilder:
    """Nodes and weights of a graph that is being written.

    Attributes:
        int8: whether linear maps and tables are kept in int8.
    """

    def __init__(self, *, int8: bool = False) -> None:
        """Begin an empty graph."""
        require("onnx", "onnx")
        self.int8 = int8
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._known: dict[tuple[Any, ...], str] = {}
        self._tables: dict[tuple[Any, ...], tuple[str, str]] = {}
        self._count = 0

    def node(self, operator: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """Add a node.

        Returns:
            The name of its output; a list of names where there are several.
        """
        from onnx import helper

        names = [self._name(operator) for _ in range(outputs)]
        # onnxruntime's own messages name the node.
        self._nodes.append(helper.make_node(operator, inputs, names, name=names[0], domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, values: Any) -> str:
        """Add numbers; small ones that are there already are not written twice."""
        import numpy as np
        from onnx import numpy_helper

        array = np.ascontiguousarray(values).reshape(np.shape(values))  # a number stays a number
        key = (array.tobytes(), array.shape, array.dtype.str) if array.size <= _SMALL else (object(),)
        if key not in self._known:
            name = self._known[key] = self._name("constant")
            self._weights.append(numpy_helper.from_array(array, name))
        return self._known[key]

    def numbers(self, *values: int) -> str:
        """Add a list of whole numbers: axes, shapes, places."""
        import numpy as np

        return self.constant(np.array(values, np.int64))

    def weight(self, tensor: Tensor) -> str:
        """Add a weight as it is, in fp32."""
        return self.constant(array_of(tensor))

    def linear(self, states: str, weight: Tensor, bias: Tensor | None) -> str:
        """x Wᵀ + b; in int8 where the graph is.

        Args:
            states: name of x.
            weight: W (Q, P).
            bias: b (Q,).
        """
        if not self.int8:
            return self.exact_linear(states, weight, bias)
        rounded, scales = rounded_rows(weight, LARGEST_WEIGHT)
        return self._int8_product(states, self.constant(rounded.T), self.constant(scales), bias)

    def exact_linear(self, states: str, weight: Tensor, bias: Tensor | None) -> str:
        """x Wᵀ + b in fp32, whatever the graph is."""
        product = self.node("MatMul", states, self.weight(weight.T))
        return product if bias is None else self.node("Add", product, self.weight(bias))

    def linear_of_table(self, states: str, table: Tensor, bias: Tensor | None) -> str:
        """x Wᵀ + b with a table whose rows are read too, so that it is kept once; arguments as for `linear`."""
        # onnxruntime turns it when it opens the file.
        turned = self.node("Transpose", self._table(table, LARGEST_WEIGHT)[0], perm=[1, 0])
        if self.int8:
            return self._int8_product(states, turned, self._table(table, LARGEST_WEIGHT)[1], bias)
        product = self.node("MatMul", states, turned)
        return product if bias is None else self.node("Add", product, self.weight(bias))

    def _int8_product(self, states: str, rounded: str, scales: str, bias: Tensor | None) -> str:
        further = () if bias is None else ("", self.weight(bias))
        return str(self.node("DynamicQuantizeMatMul", states, rounded, scales, *further, domain=MICROSOFT))

    def rows(self, table: Tensor, places: str, *, multiplied: bool = False) -> str:
        """Rows of a table; kept in int8 with a scale for each row where the graph is in int8.

        Args:
            table: (V, H).
            places: name of the ids.
            multiplied: the table also stands in a `linear_of_table`.
        """
        from onnx import TensorProto

        values, scales = self._table(table, LARGEST_WEIGHT if multiplied else LARGEST_IN_TABLE)
        found = self.node("Gather", values, places)
        if not self.int8:
            return str(found)
        scale = self.node("Unsqueeze", self.node("Gather", scales, places), self.numbers(-1))
        return str(self.node("Mul", self.node("Cast", found, to=TensorProto.FLOAT), scale))

    def _table(self, table: Tensor, largest: int) -> tuple[str, str]:
        """Names of a table's values and, in int8, of its scales; written once."""
        key = (table.data_ptr(), tuple(table.shape), largest if self.int8 else 0)
        if key not in self._tables:
            if self.int8:
                rounded, scales = rounded_rows(table, largest)
                self._tables[key] = self.constant(rounded), self.constant(scales)
            else:
                self._tables[key] = self.weight(table), ""
        return self._tables[key]

    def norm(self, states: str, norm: nn.LayerNorm) -> str:
        """Layer normalisation of the last dimension."""
        names = (self.weight(norm.weight), self.weight(norm.bias))
        return str(self.node("LayerNormalization", states, *names, axis=-1, epsilon=float(norm.eps)))

    def finish(self, inputs: dict[str, tuple[str, list[Any]]], outputs: dict[str, tuple[str, str, list[Any]]]) -> Any:
        """The model.

        Args:
            inputs: name -> type and shape; a name in the shape is a dimension of any size.
            outputs: name -> name of the value, type and shape.

        Returns:
            An `onnx.ModelProto`.
        """
        from onnx import TensorProto, helper

        for name, (value, *_) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [value], [name], name=f"give_{name}"))
        graph = helper.make_graph(
            self._nodes,
            "tinybert_hf",
            [helper.make_tensor_value_info(name, TensorProto.DataType.Value(kind), shape)
             for name, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.DataType.Value(kind), shape)
             for name, (_, kind, shape) in outputs.items()],
            self._weights,
        )  # fmt: skip
        sets = [helper.make_opsetid("", OPSET)]
        if any(node.domain == MICROSOFT for node in self._nodes):
            sets.append(helper.make_opsetid(MICROSOFT, 1))
        return helper.make_model(graph, opset_imports=sets, ir_version=IR_VERSION, producer_name="tinybert_hf")

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"


def array_of(tensor: Tensor) -> NDArray[np.float32]:
    """A tensor as fp32 numbers in main memory."""
    return tensor.detach().float().cpu().numpy()


def rounded_rows(weight: Tensor, largest: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Each row as whole numbers from -largest to largest, and the scale that gives it back.

    Args:
        weight: (Q, P).
        largest: at most 127.

    Returns:
        Whole numbers (Q, P) and scales (Q,).
    """
    import numpy as np

    values = array_of(weight)
    scales = np.maximum(np.abs(values).max(axis=1) / np.float32(largest), np.finfo(np.float32).tiny)
    return np.rint(values / scales[:, np.newaxis]).astype(np.int8), scales.astype(np.float32)


# The layers of an encoder or a decoder, as nodes of a graph.

_GELU = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "gelu_fast": "tanh"}
ACTIVATIONS = (*_GELU, "relu", "silu", "swish")
MASKED = -1e4  # added to the score of a token that is not seen; float16 holds it, and the sum


@dataclass(frozen=True)
class Stack:
    """What the layers of an encoder or a decoder have in common."""

    heads: int
    width: int
    activation: str


def mask_bias(graph: GraphBuilder, mask: str) -> str:
    """0 for tokens that are seen and a large negative number for the others, (B, 1, 1, L).

    Converters to float16 leave a cast from whole numbers to fp32 as it is, and the sum behind it has two types then;
    a choice between two constants they convert. The numbers are finite: a row of padding alone must not become NaN.
    """
    import numpy as np
    from onnx import TensorProto

    seen = graph.node("Unsqueeze", graph.node("Cast", mask, to=TensorProto.BOOL), graph.numbers(1, 2))
    return str(graph.node("Where", seen, graph.constant(np.float32(0)), graph.constant(np.float32(MASKED))))


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


# The graph of an encoder that is built like BERT, with any of its heads.
#
# Written by hand and not traced: it takes a second instead of a minute, and it leaves out what no answer depends on. A
# text classifier looks at the first token alone, so its last layer asks, and computes, for that token only.

_FAMILIES = ("tinybert", "bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra")


def can_write(model: PreTrainedModel) -> str | None:
    """Why an encoder cannot be written by hand; None where it can."""
    config = model.config
    if config.model_type not in _FAMILIES:
        return f"a {config.model_type} is not built like BERT"
    if getattr(config, "is_decoder", False):
        return "it is a decoder"
    if activation_of(config) not in ACTIVATIONS:
        return f"its activation is {activation_of(config)!r}"
    try:
        encoder_parts(model)
    except TeacherError as error:
        return str(error)
    return None


def encoder_model(model: PreTrainedModel, task: str, *, int8: bool) -> Any:
    """An encoder and its head as an ONNX model.

    Args:
        model: that `can_write` lets pass.
        task: a name in `HEADS`, or `ENCODER`.
        int8: keep linear maps and embeddings in int8.

    Returns:
        An `onnx.ModelProto`. Inputs (batch, length): input_ids, attention_mask and, where the model tells segments
        apart, token_type_ids. Outputs: those of the model.
    """
    graph, parts = GraphBuilder(int8=int8), encoder_parts(model)
    stack = Stack(parts.heads, parts.layers[0].query.in_features, activation_of(model.config))
    states = _embeddings(graph, parts)
    widened = getattr(model.base_model, "embeddings_project", None)  # of an ELECTRA
    if widened is not None:
        states = graph.linear(states, widened.weight, widened.bias)
    bias = mask_bias(graph, "attention_mask")
    first_only = task == TEXT_CLASSIFICATION
    for number, layer in enumerate(parts.layers, 1):
        only_first = first_only and number == len(parts.layers)
        states = encoder_layer(graph, states, layer, stack, bias, only_first=only_first)
    rows: list[Any] = ["batch", "length"]
    inputs = dict.fromkeys(("input_ids", "attention_mask"), ("INT64", rows))
    if _tells_segments(parts):
        inputs["token_type_ids"] = ("INT64", rows)
    return graph.finish(inputs, _head(graph, states, model, task, stack.width))


def activation_of(config: Any) -> str:
    """What stands between the two maps of a feed-forward part."""
    return str(getattr(config, "hidden_act", None) or getattr(config, "activation", "gelu"))


def _tells_segments(parts: EncoderParts) -> bool:
    return parts.types is not None and len(parts.types.weight) > 1


def _embeddings(graph: GraphBuilder, parts: EncoderParts) -> str:
    words = graph.rows(parts.words.weight, "input_ids")
    if parts.position_offset:
        positions = graph.rows(parts.positions.weight, _places_of_words(graph, parts.position_offset - 1))
    else:
        positions = graph.rows(parts.positions.weight, places(graph, "input_ids"))
    states = graph.node("Add", words, positions)
    if parts.types is not None and _tells_segments(parts):
        states = graph.node("Add", states, graph.node("Gather", graph.weight(parts.types.weight), "token_type_ids"))
    elif parts.types is not None:
        states = graph.node("Add", states, graph.weight(parts.types.weight[0]))
    return graph.norm(states, parts.embedding_norm)


def _places_of_words(graph: GraphBuilder, padding: int) -> str:
    """RoBERTa counts tokens that are no padding, from the place behind the padding token's."""
    import numpy as np
    from onnx import TensorProto

    token = graph.constant(np.int64(padding))
    real = graph.node("Cast", graph.node("Not", graph.node("Equal", "input_ids", token)), to=TensorProto.INT64)
    counted = graph.node("CumSum", real, graph.constant(np.int64(1)))
    return str(graph.node("Add", graph.node("Mul", counted, real), token))


def _head(
    graph: GraphBuilder, states: str, model: Any, task: str, width: int
) -> dict[str, tuple[str, str, list[Any]]]:
    """The outputs, as `GraphBuilder.finish` takes them."""
    everywhere: list[Any] = ["batch", "length"]
    if task == TEXT_CLASSIFICATION:
        first = graph.node("Squeeze", states, graph.numbers(1))
        return {"logits": (_classified(graph, first, model), "FLOAT", ["batch", model.config.num_labels])}
    if task == ENCODER:
        outputs = {"last_hidden_state": (states, "FLOAT", [*everywhere, width])}
        pooler = getattr(model, "pooler", None)
        if pooler is not None and hasattr(pooler, "dense"):
            first = graph.node("Squeeze", first_token(graph, states), graph.numbers(1))
            pooled = graph.node("Tanh", graph.linear(first, pooler.dense.weight, pooler.dense.bias))
            outputs["pooler_output"] = (pooled, "FLOAT", ["batch", width])
        return outputs
    if task == QUESTION_ANSWERING:
        logits = graph.exact_linear(states, model.qa_outputs.weight, model.qa_outputs.bias)
        ends = graph.node("Split", logits, outputs=2, axis=-1, num_outputs=2)
        return {
            name: (graph.node("Squeeze", one, graph.numbers(2)), "FLOAT", everywhere)
            for name, one in zip(("start_logits", "end_logits"), ends, strict=True)
        }
    logits = graph.exact_linear(states, model.classifier.weight, model.classifier.bias)
    return {"logits": (logits, "FLOAT", [*everywhere, model.config.num_labels])}


def _classified(graph: GraphBuilder, first: str, model: Any) -> str:
    """Logits from the state of the first token: (B, H) to (B, labels)."""
    head = head_of(model)
    assert head is not None
    assert head.dense is not None
    inner = graph.linear(first, head.dense.weight, head.dense.bias)
    inner = graph.node("Tanh", inner) if head.activation == "tanh" else activated(graph, inner, head.activation)
    if head.rectified:
        inner = graph.node("Relu", inner)
    return graph.exact_linear(inner, head.last.weight, head.last.bias)
