"""Tokenizers of the three kinds, trained on made-up words, and texts that use some of their pieces."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertTokenizer, RobertaTokenizer, XLMRobertaTokenizer

SYLLABLES = ["ba", "ko", "ri", "tu", "sen", "la", "mi", "or", "un", "ét", "pla", "gro", "ing", "ness", "x", "中"]
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
OTHERS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def _known(seed: int) -> list[str]:
    """Made-up words of one to four syllables."""
    draw = random.Random(seed)
    return ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(400)]


def texts(seed: int, count: int) -> list[str]:
    """Sentences of these words, with capitals, punctuation, numbers; the first words are the most frequent."""
    draw, known = random.Random(seed), _known(0)
    weights = [1 / (1 + rank) for rank in range(len(known))]
    found = []
    for _ in range(count):
        parts = draw.choices(known, weights, k=draw.randint(1, 5))
        parts = [part.capitalize() if draw.random() < 0.1 else part for part in parts]
        parts += draw.choices([",", ".", "42", "☃", "\u00a0", "Ñandu", "-"], k=draw.randint(0, 2))
        draw.shuffle(parts)
        found.append(draw.choice([" ", " ", "  "]).join(parts))
    return found


def trained(seed: int = 0) -> list[str]:
    return texts(seed, 1500)


def wordpiece() -> BertTokenizer:
    """As BERT's, cased letters lowered."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [*BERT, "[unused0]", "[unused1]"]
    trainer = trainers.WordPieceTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(trained(), trainer)
    return BertTokenizer(vocab=tokenizer.get_vocab(), model_max_length=64)


def unigram() -> XLMRobertaTokenizer:
    """As XLM-R's; its vocabulary is a list with scores."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=OTHERS[:4], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(trained(), trainer)
    pieces = [tuple(one) for one in json.loads(tokenizer.to_str())["model"]["vocab"]]
    return XLMRobertaTokenizer(vocab=[*pieces, ("<mask>", 0.0)], model_max_length=64)


def byte_pairs() -> RobertaTokenizer:
    """As RoBERTa's: bytes, merged."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=OTHERS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(trained(), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return RobertaTokenizer(vocab=model["vocab"], merges=[tuple(one) for one in model["merges"]], model_max_length=64)


KINDS: dict[str, Callable[[], Any]] = {"WordPiece": wordpiece, "Unigram": unigram, "BPE": byte_pairs}
