"""Tiny translators of several families with random weights, large enough that a fault shows, and rows for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    MBartConfig,
    MBartForConditionalGeneration,
    PreTrainedModel,
)

from tinybert_hf.model import TinyBertConfig, TinyBertForSeq2Seq

VOCABULARY, PAD, END, START = 60, 1, 2, 5
LENGTHS, TARGET_LENGTHS = [9, 4, 6], [5, 7, 1]
_SHAPE = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "encoder_layers": 4,
    "decoder_layers": 3,
    "encoder_attention_heads": 8,
    "decoder_attention_heads": 8,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 40,
    "max_position_embeddings": 96,
    "init_std": 0.3,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "encoder_layerdrop": 0.0,
    "decoder_layerdrop": 0.0,
    "pad_token_id": PAD,
    "eos_token_id": END,
}
FAMILIES: dict[str, Any] = {
    "marian": lambda **more: MarianMTModel(
        MarianConfig(**{**_SHAPE, "decoder_start_token_id": START, "forced_eos_token_id": None, **more})
    ),
    "m2m100": lambda **more: M2M100ForConditionalGeneration(
        M2M100Config(**{**_SHAPE, "decoder_start_token_id": END, **more})
    ),
    "mbart": lambda **more: MBartForConditionalGeneration(MBartConfig(**{**_SHAPE, **more})),
}


def teacher(family: str, **more: Any) -> PreTrainedModel:
    """A translator 32 wide with 8 heads, 4 encoder and 3 decoder layers, in eval mode."""
    torch.manual_seed(1)
    return FAMILIES[family](**more).eval()


def student(**more: Any) -> TinyBertForSeq2Seq:
    """A TinyBERT 24 wide with 4 heads and 2 layers; its decoder 16 wide with 2 heads and 2 layers."""
    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 32,
        "is_encoder_decoder": True,
        "num_decoder_layers": 2,
        "decoder_hidden_size": 16,
        "decoder_num_attention_heads": 2,
        "max_position_embeddings": 96,
        "initializer_range": 0.3,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": PAD,
        "eos_token_id": END,
    }
    torch.manual_seed(0)
    return TinyBertForSeq2Seq(TinyBertConfig(**{**shape, **more})).eval()


def translation_batch(source_width: int | None = None, target_width: int | None = None) -> dict[str, Tensor]:
    """Three pairs of unequal lengths, padded at the right with the padding token and with -100."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.full((3, source_width or max(LENGTHS)), PAD)
    labels = torch.full((3, target_width or max(TARGET_LENGTHS)), -100)
    for row, (length, target_length) in enumerate(zip(LENGTHS, TARGET_LENGTHS, strict=True)):
        ids[row, :length] = torch.randint(6, VOCABULARY, (length,), generator=generator)
        labels[row, :target_length] = torch.randint(6, VOCABULARY, (target_length,), generator=generator)
    return {"input_ids": ids, "attention_mask": (ids != PAD).long(), "labels": labels}


def decoder_inputs(family: str, labels: Tensor) -> Tensor:
    """What the decoder of a family reads for these labels, written plainly; "tinybert" is a family too."""
    start = {"marian": START, "m2m100": END, "tinybert": PAD}
    rows = []
    for row in labels.tolist():
        real = [label for label in row if label != -100]
        first = start[family] if family in start else real[-1]  # mBART begins with the row's last token, the language
        rows.append([first, *(PAD if label == -100 else label for label in row[:-1])])
    return torch.tensor(rows)
