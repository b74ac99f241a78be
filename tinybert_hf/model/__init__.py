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
from tinybert_hf.model.tokenization_tinybert_seq2seq import TinyBertSeq2SeqTokenizer

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
    "TinyBertSeq2SeqTokenizer",
]


def _register() -> None:
    """Tell the Auto classes of transformers about every line of the table, and about the tokenizers."""
    for auto_class, reference in AUTO_CLASSES.items():
        file, _, class_name = reference.partition(".")
        family_class = getattr(import_module(f"{__name__}.{file}"), class_name)
        key = TinyBertConfig.model_type if auto_class == "AutoConfig" else TinyBertConfig
        getattr(transformers, auto_class).register(key, family_class, exist_ok=True)
    # Each is found by the name that it is saved under; the last one serves where a checkpoint names none.
    for tokenizer_class in (TinyBertSeq2SeqTokenizer, transformers.BertTokenizer):
        transformers.AutoTokenizer.register(TinyBertConfig, tokenizer_class=tokenizer_class, exist_ok=True)


_register()
