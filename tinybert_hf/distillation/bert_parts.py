"""The parts of a BERT-shaped encoder by what they do, so that a start can be copied from one family to another."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from tinybert_hf.errors import TeacherError
from tinybert_hf.opening.input_limits import first_position


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
class EncoderParts:
    """Embeddings, layers and head. `position_offset` is the index of the first position (2 for RoBERTa)."""

    words: nn.Embedding
    positions: nn.Embedding
    types: nn.Embedding | None
    position_offset: int
    embedding_norm: nn.LayerNorm
    layers: tuple[LayerParts, ...]
    pooler: nn.Linear | None
    classifier: nn.Linear | None
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
    pooler, classifier = _head(model, base)
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
        pooler=pooler,
        classifier=classifier,
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
        pooler=None,  # its pre_classifier is followed by relu, not tanh
        classifier=None,
        heads=model.config.num_attention_heads,
    )


def _head(model: nn.Module, base: nn.Module) -> tuple[nn.Linear | None, nn.Linear | None]:
    """The dense layer before tanh, and the layer that gives the logits."""
    classifier = getattr(model, "classifier", None)
    if isinstance(classifier, nn.Linear):
        pooler = getattr(base, "pooler", None)
        return (None, None) if pooler is None else (pooler.dense, classifier)
    # RoBERTa's head is a dense layer, tanh and a last layer: the same as BERT's pooler and classifier.
    if model.config.model_type in ("roberta", "xlm-roberta", "camembert") and hasattr(classifier, "out_proj"):
        return classifier.dense, classifier.out_proj
    return None, None
