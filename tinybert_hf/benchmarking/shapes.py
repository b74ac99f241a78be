"""Shapes without weights: what a model of that shape costs, with nothing to download."""

from __future__ import annotations

from typing import Any

_BERT_VOCABULARY = 30522


def _bert_base() -> Any:
    from transformers import BertConfig

    return BertConfig(vocab_size=_BERT_VOCABULARY)


def _bert_large() -> Any:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=_BERT_VOCABULARY,
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
    )


def _distilbert_base() -> Any:
    from transformers import DistilBertConfig

    return DistilBertConfig(vocab_size=_BERT_VOCABULARY)


_KNOWN = {"bert-base": _bert_base, "bert-large": _bert_large, "distilbert-base": _distilbert_base}


def shape_names() -> list[str]:
    """Every shape that can be measured: the known ones and the presets of the students that are encoders."""
    from tinybert_hf.model import PRESETS

    return [*_KNOWN, *(name for name, shape in PRESETS.items() if not shape.get("is_encoder_decoder"))]


def shape_config(name: str) -> Any:
    """The configuration of a shape, a name of `shape_names`: with a head of two labels, as most classifiers have."""
    from tinybert_hf.model import TinyBertConfig

    return _KNOWN[name]() if name in _KNOWN else TinyBertConfig.from_preset(name)
