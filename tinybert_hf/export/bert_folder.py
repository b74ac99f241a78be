"""A TinyBERT as a stock BERT, for programs that know only that: same weights, the names and the configuration of BERT.

The layers of a TinyBERT are BERT's own, so nothing is converted. What BERT has not is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.errors import TinyBertError
from tinybert_hf.export.source import ENCODER, TRANSLATION, Source
from tinybert_hf.opening import QUESTION_ANSWERING, TEXT_CLASSIFICATION

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CLASSES = {
    TEXT_CLASSIFICATION: "BertForSequenceClassification",
    "token-classification": "BertForTokenClassification",
    QUESTION_ANSWERING: "BertForQuestionAnswering",
    ENCODER: "BertModel",
}
_FIELDS = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
    "hidden_dropout_prob", "attention_probs_dropout_prob", "max_position_embeddings", "type_vocab_size",
    "initializer_range", "layer_norm_eps", "pad_token_id", "classifier_dropout", "problem_type",
)  # fmt: skip


def write_bert(source: Source, folder: Path) -> dict[str, str]:
    """Write a stock BERT; there is no graph to name.

    Raises:
        TinyBertError: the model has no equal among the stock BERTs.
    """
    model = as_bert(source)
    model.save_pretrained(folder)  # its config.json takes the place of the model's
    for code in folder.glob("*.py"):
        code.unlink()  # of the TinyBERT
    return {}


def as_bert(source: Source) -> PreTrainedModel:
    """The stock BERT with the weights of a model.

    Raises:
        TinyBertError: there is none, with the reason.
    """
    import transformers

    reason = _misfit(source)
    if reason is not None:
        raise TinyBertError(f"{source.name} cannot become a stock BERT: {reason}.")
    if source.model.config.model_type == "bert":
        return source.model
    model_class = getattr(transformers, _CLASSES[source.task])
    weights = {
        f"bert.{name.removeprefix('tinybert.')}" if name.startswith("tinybert.") else name: tensor
        for name, tensor in source.model.state_dict().items()
    }
    pooled = any("pooler." in name for name in weights)
    options = {} if source.task != ENCODER else {"add_pooling_layer": pooled}
    model = model_class(_config(source), **options).eval()
    model.load_state_dict(weights)
    return model  # type: ignore[no-any-return]


def _misfit(source: Source) -> str | None:
    config, family = source.model.config, source.model.config.model_type
    if source.task == TRANSLATION:
        if family == "tinybert":
            return (
                "a stock translator is a Marian model, which has no norm behind its embeddings and counts places by "
                "sines; a TinyBertForSeq2Seq has such a norm and learnt places. Export it to onnx or onnx-int8"
            )
        return f"it is a stock {type(source.model).__name__} already"
    if family not in ("tinybert", "bert"):
        return f"it is a stock {type(source.model).__name__} already, and no BERT"
    if source.task == TEXT_CLASSIFICATION and getattr(config, "classifier_activation", None) == "relu":
        return (
            "its classifier is the published one, Linear(relu(pooled)) (classifier_activation in config.json), and "
            "BERT's has no relu. Distil or fine-tune it once more with a classifier of BERT's kind, or export it to "
            "onnx or onnx-int8"
        )
    return None


def _config(source: Source) -> Any:
    from transformers import BertConfig

    given = source.model.config
    fields = {name: getattr(given, name) for name in _FIELDS if getattr(given, name, None) is not None}
    if source.task == QUESTION_ANSWERING:
        return BertConfig(**fields, num_labels=2)  # start and end
    return BertConfig(**fields, id2label=given.id2label, label2id=given.label2id)
