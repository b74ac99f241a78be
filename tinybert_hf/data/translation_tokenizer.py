"""Trains the vocabulary of a translator: one for both languages, or one for each.

Byte-pair encoding over characters, with bytes for what the vocabulary does not hold: nothing is unknown, and a Chinese
text, which has no spaces, needs no splitter that knows its words.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.scripts import CHINESE, RANGES
from tinybert_hf.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

SPECIAL_TOKENS = ("<pad>", "</s>", "<unk>", "<s>")
BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))
SMALLEST = 2 * (len(SPECIAL_TOKENS) + len(BYTE_TOKENS))
SPACE = "▁"
COVERAGE = 0.9995  # as SentencePiece recommends for languages of many characters; the rest is spelled in bytes
LONGEST_PIECE = 16  # characters
LONGEST_CHINESE_PIECE = 4  # characters: without spaces a piece would grow to a phrase, which is of no use elsewhere

_CHINESE = f"[{RANGES[CHINESE]}]"
# Words with the space before them, digits one by one so that any number can be copied, runs of other signs. A run of
# Chinese characters is one such word.
_LETTERS = r"[\p{L}\p{M}]+"
_WORD = "|".join(
    (
        f"{SPACE}?{_LETTERS}(?:['’]{_LETTERS})*",
        rf"{SPACE}?\p{{N}}",
        rf"{SPACE}?[^\p{{L}}\p{{M}}\p{{N}}{SPACE}]+",
        SPACE,
    )
)


def train_translation_tokenizer(
    source_texts: Iterable[str],
    target_texts: Iterable[str],
    *,
    vocab_size: int = 8000,
    target_vocab_size: int | None = None,
    max_length: int = 128,
) -> "PreTrainedTokenizerFast":
    """Trains a tokenizer on the two sides of sentence pairs.

    The same texts give the same ids in every process. Texts come back from their tokens as they were, in Unicode's
    composed form (NFC) and with single spaces; compatibility characters stay, since the compatibility form would turn
    the punctuation of Chinese into that of English.

    Args:
        source_texts: what is translated.
        target_texts: what it is translated to.
        vocab_size: upper limit of tokens, special tokens, bytes and single characters included; of the source where
            the target has a vocabulary of its own.
        target_vocab_size: the same of the target's own vocabulary. None: both sides share one.
        max_length: the most tokens of a text that a model with it takes.

    Returns:
        A fast tokenizer with `</s>` after every text, `<pad>` as token 0, and the same special tokens on both sides;
        `text_target=` makes labels. With two vocabularies it is a `TinyBertSeq2SeqTokenizer`, which decodes with the
        target's. What it saves opens with AutoTokenizer.

    Raises:
        DataError: the texts of a side hold no character, or a vocabulary would be too small.
    """
    from transformers import PreTrainedTokenizerFast

    source_texts, target_texts = list(source_texts), list(target_texts)
    for name, size in (("vocab_size", vocab_size), ("target_vocab_size", target_vocab_size)):
        if size is not None and size < SMALLEST:
            raise DataError(f"{name} is {size}; it must be {SMALLEST} or more, of which 256 are bytes.")
    for side, texts in (("source", source_texts), ("target", target_texts)):
        if not any(text.strip() for text in texts):
            raise DataError(f"A tokenizer cannot be trained: the {side} texts hold no character.")
    pad, end, unknown, start = SPECIAL_TOKENS
    settings: dict[str, Any] = {
        "pad_token": pad,
        "eos_token": end,
        "unk_token": unknown,
        "bos_token": start,
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,  # "</s>" in a text is four signs, not its end
    }
    if target_vocab_size is None:
        shared = _train(source_texts + target_texts, vocab_size)
        names = ["input_ids", "attention_mask"]
        return PreTrainedTokenizerFast(tokenizer_object=shared, model_input_names=names, **settings)
    from tinybert_hf.model.tokenization_tinybert_seq2seq import TinyBertSeq2SeqTokenizer

    source, target = _train(source_texts, vocab_size), _train(target_texts, target_vocab_size)
    return TinyBertSeq2SeqTokenizer(tokenizer_object=source, target_tokenizer_object=target, **settings)


def _train(texts: list[str], vocab_size: int) -> "Tokenizer":
    from tokenizers import Tokenizer, models, processors, trainers

    untrained = _with_pipeline(Tokenizer(models.BPE()))
    pieces = [*SPECIAL_TOKENS, *BYTE_TOKENS]
    pieces += _characters(untrained, texts, limit=(vocab_size - len(pieces)) // 2)
    # The trainer breaks ties by number: given as special tokens the characters have fixed ones. Only the merges are
    # kept, so they do not stay special, and nobody can write `<0x41>` and mean a byte.
    trainer = trainers.BpeTrainer(
        vocab_size=2 * vocab_size,
        special_tokens=pieces,
        limit_alphabet=0,
        min_frequency=2,
        max_token_length=LONGEST_PIECE,
        show_progress=False,
    )
    untrained.train_from_iterator(texts, trainer)
    merges = _kept_merges(untrained, pieces, vocab_size)
    pieces += dict.fromkeys(first + second for first, second in merges)  # two merges may make the same piece
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    _, end, unknown, _ = SPECIAL_TOKENS
    trained = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token=unknown, byte_fallback=True))
    trained.add_special_tokens(list(SPECIAL_TOKENS))
    trained.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", pair=f"$A $B {end}", special_tokens=[(end, SPECIAL_TOKENS.index(end))]
    )
    return _with_pipeline(trained)


def _kept_merges(trained: "Tokenizer", pieces: list[str], vocab_size: int) -> list[tuple[str, str]]:
    """The first merges that make no phrase out of Chinese words, as many as the vocabulary has room for."""
    known = set(pieces)
    merges: list[tuple[str, str]] = []
    for first, second in json.loads(trained.to_str())["model"]["merges"]:
        piece = first + second
        fits = piece in known or len(known) < vocab_size
        if fits and first in known and second in known and len(re.findall(_CHINESE, piece)) <= LONGEST_CHINESE_PIECE:
            known.add(piece)
            merges.append((first, second))
    return merges


def _characters(untrained: "Tokenizer", texts: list[str], limit: int) -> list[str]:
    """The most frequent characters, up to `COVERAGE` of the text and to a limit, in the order of their code points."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(untrained.normalizer.normalize_str(text))
    wanted = COVERAGE * counts.total()
    kept: list[str] = []
    for character in sorted(counts, key=lambda one: (-counts[one], one))[:limit]:
        if wanted <= 0:
            break
        kept.append(character)
        wanted -= counts[character]
    return sorted({SPACE, *kept})


def _with_pipeline(tokenizer: "Tokenizer") -> "Tokenizer":
    """Gives a tokenizer everything around its model: how texts are written, cut into words, and put together again."""
    from tokenizers import Regex, decoders, normalizers, pre_tokenizers

    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex(r"\s{2,}|[^\S ]"), " "),
            normalizers.Strip(),
            normalizers.Prepend(SPACE),
            # Else a character would be another token where it begins a sentence.
            normalizers.Replace(Regex(f"^{SPACE}(?={_CHINESE})"), ""),
            normalizers.Replace(" ", SPACE),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD), "isolated")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer
