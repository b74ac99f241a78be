"""The graph of an encoder that is built like BERT, with any of its heads.

Written by hand and not traced: it takes a second instead of a minute, and it leaves out what no answer depends on. A
text classifier looks at the first token alone, so its last layer asks, and computes, for that token only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybert_hf.distillation.bert_parts import EncoderParts, encoder_parts
from tinybert_hf.errors import TeacherError
from tinybert_hf.export.graph import GraphBuilder
from tinybert_hf.export.layer_graph import ACTIVATIONS, Stack, activated, encoder_layer, first_token, mask_bias, places
from tinybert_hf.export.source import ENCODER
from tinybert_hf.opening import QUESTION_ANSWERING, TEXT_CLASSIFICATION

if TYPE_CHECKING:
    from transformers import PreTrainedModel

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
        said = graph.exact_linear(states, model.qa_outputs.weight, model.qa_outputs.bias)
        ends = graph.node("Split", said, outputs=2, axis=-1, num_outputs=2)
        return {
            name: (graph.node("Squeeze", one, graph.numbers(2)), "FLOAT", everywhere)
            for name, one in zip(("start_logits", "end_logits"), ends, strict=True)
        }
    said = graph.exact_linear(states, model.classifier.weight, model.classifier.bias)
    return {"logits": (said, "FLOAT", [*everywhere, model.config.num_labels])}


def _classified(graph: GraphBuilder, first: str, model: Any) -> str:
    """Logits from the state of the first token: (B, H) to (B, labels)."""
    family, last = model.config.model_type, model.classifier
    if family in ("roberta", "xlm-roberta", "camembert", "electra"):
        dense, last, activation = last.dense, last.out_proj, "gelu" if family == "electra" else "tanh"
    elif family == "distilbert":
        dense, activation = model.pre_classifier, "relu"
    else:
        dense, activation = model.base_model.pooler.dense, "tanh"
    inner = graph.linear(first, dense.weight, dense.bias)
    inner = graph.node("Tanh", inner) if activation == "tanh" else activated(graph, inner, activation)
    if getattr(model.config, "classifier_activation", None) == "relu":
        inner = graph.node("Relu", inner)
    return graph.exact_linear(inner, last.weight, last.bias)
