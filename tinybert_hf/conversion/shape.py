"""What a checkpoint is: whose, with which head, of which shape and labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.conversion.names import Sorted
from tinybert_hf.conversion.source import Source
from tinybert_hf.errors import TinyBertError
from tinybert_hf.model import TinyBertConfig
from tinybert_hf.opening import refusing

if TYPE_CHECKING:
    from collections.abc import Sequence

_OF_ARCHITECTURE = {
    "Model": "encoder",
    "ForSequenceClassification": "sequence-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "masked-lm",
    "ForPreTraining": "masked-lm",
}
# The fields of the published config.json that transformers' BERT does not have.
_PUBLISHED_FIELDS = {"cell", "emb_size", "structure", "pre_trained"}
_FIELDS = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
    "hidden_dropout_prob", "attention_probs_dropout_prob", "max_position_embeddings", "type_vocab_size",
    "initializer_range", "layer_norm_eps", "pad_token_id", "classifier_dropout", "problem_type", "id2label",
    "label2id",
)  # fmt: skip
_NEEDED = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")


def is_published(source: Source, weights: Sorted) -> bool:
    """Whether a checkpoint is one of the published TinyBERTs, whose classifier is another than BERT's."""
    return bool(weights.projections) or (
        "model_type" not in source.config and bool(_PUBLISHED_FIELDS & source.config.keys())
    )


def head_of(source: Source, weights: Sorted, published: bool) -> str:
    """The head that a checkpoint says it has, else the one whose weights are there."""
    if published:
        # Its masked-LM head stands in the general checkpoints too, and was never trained.
        return "sequence-classification" if _has(weights, "classifier.") else "encoder"
    named = source.config.get("architectures")
    if isinstance(named, list) and named and isinstance(named[0], str):
        for ending, head in _OF_ARCHITECTURE.items():
            if named[0] == f"Bert{ending}":
                return head
    if _has(weights, "classifier."):
        has_pooler = any(name.startswith("pooler.") for name in weights.body)
        return "sequence-classification" if has_pooler else "token-classification"
    if _has(weights, "qa_outputs."):
        return "question-answering"
    return "encoder"


def _has(weights: Sorted, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in weights.head)


def config_of(
    source: Source, weights: Sorted, head: str, label_names: Sequence[str] | None, published: bool
) -> TinyBertConfig:
    """The configuration, as config.json gives it.

    Args:
        source: the files.
        weights: of the checkpoint, which know how many labels there are.
        head: that the model will have.
        label_names: that were given, in order.
        published: whether the classifier is the published one.

    Raises:
        TinyBertError: it is no BERT, a field is missing or cannot be, or the labels do not fit the classifier.
    """
    file, given = source.folder / "config.json", source.config
    family = given.get("model_type", "bert")
    if family != "bert":
        hint = " It is a TinyBERT already." if family == "tinybert" else ""
        raise TinyBertError(
            f"{file} describes a {family!r}; only what is built like BERT can be converted.{hint} A teacher may be of "
            "any family: it needs no conversion."
        )
    if given.get("position_embedding_type", "absolute") != "absolute":
        raise TinyBertError(
            f"{file}: position_embedding_type is {given['position_embedding_type']!r}; a TinyBERT has absolute "
            "positions only."
        )
    absent = [name for name in _NEEDED if name not in given]
    if absent:
        raise TinyBertError(f"{file} lacks {', '.join(absent)}: it does not describe a BERT.")
    fields = {name: given[name] for name in _FIELDS if given.get(name) is not None}
    if head in ("sequence-classification", "token-classification"):
        fields = _with_labels(fields, weights, label_names, file)
        if published:
            fields["classifier_activation"] = "relu"
    elif label_names is not None:
        raise TinyBertError(f"Label names were given, but the head is {head}, which has no labels.")
    with refusing(f"{file} cannot be used"):
        return TinyBertConfig(**fields)


def _with_labels(
    fields: dict[str, Any], weights: Sorted, label_names: Sequence[str] | None, file: Path
) -> dict[str, Any]:
    """The labels: those that were given, those of config.json, or as many LABEL_n as the classifier has outputs."""
    outputs = weights.head.get("classifier.weight")
    count = None if outputs is None else len(outputs)
    names: list[str] | None = None
    if label_names is not None:
        names = list(label_names)
    elif isinstance(fields.get("id2label"), dict):
        names = [str(name) for name in fields["id2label"].values()]
    if names is not None and count is not None and len(names) != count:
        raise TinyBertError(
            f"{len(names)} label names ({', '.join(names[:5])}), but the classifier has {count} outputs. "
            + ("Give one a label." if label_names is not None else f"{file} is not that of these weights.")
        )
    fields = {name: value for name, value in fields.items() if name not in ("id2label", "label2id")}
    if names is None:
        return {**fields, "num_labels": 2 if count is None else count}
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}
    return {**fields, **labels}
