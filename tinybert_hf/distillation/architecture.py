"""Depth, width, heads and parts of a model, under the names of any family."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN

from tinybert_hf.checkpoints.input_limits import first_position
from tinybert_hf.errors import CaptureError, TeacherError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


# Depth, width and heads of a model, and of its two halves where it has them, under the names of any family.


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


# The parts of a BERT-shaped encoder by what they do, so that a start can be copied from one family to another.


@dataclass(frozen=True)
class LayerParts:
    """One transformer layer with LayerNorm after each residual sum."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_output: nn.Linear
    attention_norm: nn.LayerNorm
    intermediate: nn.Linear
    output: nn.Linear
    output_norm: nn.LayerNorm


@dataclass(frozen=True)
class Head:
    """What makes logits of the last hidden states: (dense layer, activation,) last layer.

    Attributes:
        dense: None where the last layer reads the states themselves.
        activation: after the dense layer; "" without one.
        rectified: the last layer reads relu of that (`classifier_activation` of published TinyBERTs).
        last: gives the logits.
        reads_every_token: of words or answers; else it reads the first token alone.
    """

    dense: nn.Linear | None
    activation: str
    rectified: bool
    last: nn.Linear
    reads_every_token: bool

    def __call__(self, states: Tensor) -> Tensor:
        """Hidden states (..., H) -> logits (..., labels), without dropout; in the number format of the states."""
        return _applied(self.last, self.entering_last(states))

    @property
    def layers(self) -> tuple[nn.Linear, ...]:
        """Its linear layers."""
        return (self.last,) if self.dense is None else (self.dense, self.last)

    def entering_last(self, states: Tensor) -> Tensor:
        """Hidden states (..., H) -> what the last layer reads."""
        if self.dense is None:
            return states
        states = ACT2FN[self.activation](_applied(self.dense, states))
        return states.relu() if self.rectified else states


def _applied(linear: nn.Linear, values: Tensor) -> Tensor:
    return functional.linear(values, linear.weight.to(values), linear.bias.to(values))


def head_of(model: nn.Module) -> Head | None:
    """The head of a classifier of texts or words, or of a model that answers questions; None of any other."""
    last, family = getattr(model, "classifier", None), str(getattr(model.config, "model_type", ""))
    if hasattr(model, "qa_outputs"):
        found = Head(None, "", False, model.qa_outputs, True)
    elif type(model).__name__.endswith("ForTokenClassification"):
        found = Head(None, "", False, last, True)
    elif family in _OWN_HEADS:
        found = Head(getattr(last, "dense", None), _OWN_HEADS[family], False, getattr(last, "out_proj", None), False)
    elif family == "distilbert":
        found = Head(getattr(model, "pre_classifier", None), "relu", False, last, False)
    else:
        dense = getattr(getattr(getattr(model, "base_model", model), "pooler", None), "dense", None)
        found = Head(dense, "tanh", getattr(model.config, "classifier_activation", None) == "relu", last, False)
    layers = found.layers if found.reads_every_token else (found.dense, found.last)
    return found if all(map(_is_plain, layers)) else None


def _is_plain(layer: Any) -> bool:
    """Whether a layer is a linear map with numbers that can be read: no packed weights."""
    if not isinstance(layer, nn.Linear) or layer.bias is None:
        return False
    weight = layer.weight
    return weight.is_floating_point() and tuple(weight.shape) == (layer.out_features, layer.in_features)


# Families whose classifier of texts is dense layer, activation, last layer, behind the encoder.
_OWN_HEADS = {"roberta": "tanh", "xlm-roberta": "tanh", "camembert": "tanh", "electra": "gelu"}


@dataclass(frozen=True)
class EncoderParts:
    """Embeddings and layers. `position_offset` is the index of the first position (2 for RoBERTa)."""

    words: nn.Embedding
    positions: nn.Embedding
    types: nn.Embedding | None
    position_offset: int
    embedding_norm: nn.LayerNorm
    layers: tuple[LayerParts, ...]
    heads: int


def encoder_parts(model: nn.Module) -> EncoderParts:
    """Find the parts of BERT, RoBERTa, XLM-RoBERTa, ELECTRA (of equal widths), MiniLM, TinyBERT and their like, or
    DistilBERT.

    Raises:
        TeacherError: the model is built otherwise.
    """
    base = getattr(model, getattr(model, "base_model_prefix", ""), model)
    try:
        if hasattr(base, "transformer"):
            return _distilbert(model, base)
        return _bert(model, base)
    except AttributeError as error:
        raise TeacherError(
            f"{type(model).__name__} is not built like BERT ({error}), so a student's start cannot be taken from its "
            'layers. Use the start "random", or begin with a TinyBERT that exists (student.model).'
        ) from error


def _bert(model: nn.Module, base: nn.Module) -> EncoderParts:
    embeddings = base.embeddings
    return EncoderParts(
        words=embeddings.word_embeddings,
        positions=embeddings.position_embeddings,
        types=getattr(embeddings, "token_type_embeddings", None),
        position_offset=first_position(embeddings.position_embeddings),
        embedding_norm=embeddings.LayerNorm,
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
            for layer in base.encoder.layer
        ),
        heads=model.config.num_attention_heads,
    )


def _distilbert(model: nn.Module, base: nn.Module) -> EncoderParts:
    embeddings = base.embeddings
    return EncoderParts(
        words=embeddings.word_embeddings,
        positions=embeddings.position_embeddings,
        types=None,
        position_offset=0,
        embedding_norm=embeddings.LayerNorm,
        layers=tuple(
            LayerParts(
                query=layer.attention.q_lin,
                key=layer.attention.k_lin,
                value=layer.attention.v_lin,
                attention_output=layer.attention.out_lin,
                attention_norm=layer.sa_layer_norm,
                intermediate=layer.ffn.lin1,
                output=layer.ffn.lin2,
                output_norm=layer.output_layer_norm,
            )
            for layer in base.transformer.layer
        ),
        heads=model.config.num_attention_heads,
    )


# Runs the first layers of an encoder alone, where nobody looks at what comes after them.


def can_end_early(model: nn.Module) -> bool:
    """Whether a layer's output is its hidden state wherever the model ends.

    True of models that are built like BERT: they have no last norm that would be applied to an earlier layer. A
    compiled model is left whole: it would be compiled anew.
    """
    if model._compiled_call_impl is not None:
        return False
    try:
        encoder_parts(model)
    except TeacherError:
        return False
    return True


@contextmanager
def first_layers(model: nn.Module, count: int) -> Iterator[None]:
    """For the time of a forward the model has its first layers only; its head's answer then means nothing.

    Args:
        model: for which `can_end_early` is true.
        count: layers that run.
    """
    base: Any = getattr(model, str(getattr(model, "base_model_prefix", "")), model)
    encoder = base.transformer if hasattr(base, "transformer") else base.encoder
    whole = encoder.layer
    encoder.layer = nn.ModuleList(list(whole)[:count])
    try:
        yield
    finally:
        encoder.layer = whole
