"""A translator of one layer that learns in seconds to write each English word as its German one."""

from __future__ import annotations

import copy
import functools
import random
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import MarianConfig, MarianMTModel, PreTrainedTokenizerFast

WORDS = {"the": "das", "dog": "Hund", "cat": "Katze", "sees": "sieht", "runs": "läuft", "and": "und", "tree": "Baum"}
POSITIONS = 24
STEPS = 200
PAD, END, UNKNOWN = 0, 1, 2


def sentence(length: int, seed: int) -> str:
    """Words drawn without repeating any."""
    return " ".join(random.Random(seed).sample(sorted(WORDS), length))


def in_german(text: str) -> str:
    """What the translator has learnt to write."""
    return " ".join(WORDS[word] for word in text.split())


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each word of both languages."""
    vocabulary = {"<pad>": PAD, "</s>": END, "<unk>": UNKNOWN}
    for word in (*WORDS, *WORDS.values()):
        vocabulary[word] = len(vocabulary)
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", END)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=POSITIONS
    )


def make_model(**changes: Any) -> MarianMTModel:
    """The translator before it has learnt."""
    torch.manual_seed(0)
    size = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    size |= {"d_model": 48, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": POSITIONS}
    special = {"pad_token_id": PAD, "eos_token_id": END, "decoder_start_token_id": PAD, "forced_eos_token_id": None}
    vocab_size = len(make_tokenizer())
    return MarianMTModel(MarianConfig(**{"vocab_size": vocab_size, "init_std": 0.2, **size, **special, **changes}))


@functools.cache
def _trained() -> MarianMTModel:
    with torch.random.fork_rng():
        model, tokenizer = make_model(dropout=0.0), make_tokenizer()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=STEPS)
    for step in range(STEPS):
        texts = [sentence(1 + (step + row) % 5, 1000 * step + row) for row in range(16)]
        batch = tokenizer(texts, padding=True, return_tensors="pt")
        labels = tokenizer([in_german(text) for text in texts], padding=True, return_tensors="pt").input_ids
        labels[labels == PAD] = -100
        model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=labels).loss.backward()
        optimizer.step()
        decay.step()
        optimizer.zero_grad()
    return model.eval()


def trained() -> MarianMTModel:
    """A translator that has learnt sentences of 1 to 5 words; each caller may change its own."""
    return copy.deepcopy(_trained())


def save_translator(folder: Path) -> str:
    """Save a translator that has learnt, with its tokenizer."""
    trained().save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return str(folder)
