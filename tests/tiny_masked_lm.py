"""A small masked-LM with a tokenizer of some sentences, and rows to augment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import BertConfig, BertForMaskedLM, BertTokenizer, PreTrainedModel, set_seed

_ADJECTIVES = ["good", "bright", "fine", "warm", "bad", "dull", "weak", "cold", "slow", "funny", "old", "new", "long"]
WORDS = ["film", "plot", "cast", "scene", "song", "play", "story", "actor", "music", "theatre", *_ADJECTIVES, "short"]
CHINESE = "电影很好看情节紧张演员表非常出色音乐难听故事无聊画面漂亮值得推荐"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = [*SPECIAL, *".,!?'19", *_LETTERS, *(f"##{letter}" for letter in _LETTERS), "the", "was", "and", "of"]
VOCABULARY += ["##ing", "[unused1]", "1999", *WORDS, *dict.fromkeys(CHINESE), "##电"]


def make(**shape: Any) -> tuple[PreTrainedModel, Any]:
    """Random weights, large enough that a fault shows; each of `WORDS` is one piece, other words are several."""
    tokenizer = BertTokenizer(vocab={piece: number for number, piece in enumerate(VOCABULARY)}, model_max_length=64)
    set_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, **shape}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, initializer_range=0.3, **size)
    return BertForMaskedLM(config).eval(), tokenizer


def save(folder: Path) -> str:
    """As a folder that `from_pretrained` opens."""
    model, tokenizer = make()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def sentences(count: int) -> list[str]:
    """Of 5 to 14 words, some of several pieces, with stop words, capitals and punctuation."""
    made = []
    for index in range(count):
        words = [WORDS[(index * 7 + step * 5) % len(WORDS)] for step in range(3 + index % 10)]
        made.append(f"The {' '.join(words)}, was songs of Sequels!")
    return made


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    """JSON lines; returns the path as a command line takes it."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)
