"""The TinyBERT model family. Importing it registers the family with the Auto classes of transformers."""

from importlib import import_module

import transformers

from tinybert_hf.model.configuration_tinybert import AUTO_CLASSES, PRESETS, TinyBertConfig
from tinybert_hf.model.modeling_tinybert import (
    TinyBertForMaskedLM,
    TinyBertForMultipleChoice,
    TinyBertForQuestionAnswering,
    TinyBertForSequenceClassification,
    TinyBertForTokenClassification,
    TinyBertModel,
)
from tinybert_hf.model.modeling_tinybert_seq2seq import TinyBertForSeq2Seq

__all__ = [
    "AUTO_CLASSES",
    "PRESETS",
    "TinyBertConfig",
    "TinyBertForMaskedLM",
    "TinyBertForMultipleChoice",
    "TinyBertForQuestionAnswering",
    "TinyBertForSeq2Seq",
    "TinyBertForSequenceClassification",
    "TinyBertForTokenClassification",
    "TinyBertModel",
]


def _register() -> None:
    """Tell the Auto classes of transformers about every line of the table, and about the fast tokenizer of BERT."""
    for auto_class, reference in AUTO_CLASSES.items():
        file, _, class_name = reference.partition(".")
        family_class = getattr(import_module(f"{__name__}.{file}"), class_name)
        key = TinyBertConfig.model_type if auto_class == "AutoConfig" else TinyBertConfig
        getattr(transformers, auto_class).register(key, family_class, exist_ok=True)
    transformers.AutoTokenizer.register(TinyBertConfig, tokenizer_class=transformers.BertTokenizer, exist_ok=True)


_register()
