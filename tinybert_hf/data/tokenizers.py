"""Trains vocabularies: WordPiece, and a translator's; and tells in which script a text is written."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from tinybert_hf.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import BertTokenizer, PreTrainedTokenizerFast


# In which script and language texts are written, and which script a language's name lets expect.

LATIN, CHINESE = "Latin letters", "Chinese or Japanese characters"
RANGES = {
    LATIN: "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a",
    CHINESE: "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "Cyrillic letters": "\u0400-\u052f",
    "Arabic letters": "\u0620-\u064a\u066e-\u06d3\u0750-\u077f",
    "Greek letters": "\u0370-\u03ff\u1f00-\u1fff",
    "Hebrew letters": "\u05d0-\u05ea",
    "Korean letters": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "Devanagari letters": "\u0904-\u0939\u0958-\u0961",
    "Thai letters": "\u0e01-\u0e33\u0e40-\u0e46",
}
"""Script -> the ranges of its letters, as they stand between the brackets of a regular expression."""

# Scripts that write words without a space between them, or, as Korean, what belongs to a word without one.
_UNSPACED = re.compile(
    f"[{RANGES[CHINESE]}{RANGES['Korean letters']}\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff]"
)
_LETTERS_OF_SCRIPT = {script: re.compile(f"[{letters}]") for script, letters in RANGES.items()}
_LANGUAGES = {
    LATIN: "en eng english de deu ger german fr fra french es spa spanish it ita italian pt por portuguese nl dutch "
    "sv swedish da danish fi finnish pl polish cs czech ro romanian hu hungarian tr turkish vi vietnamese indonesian",
    CHINESE: "zh zho chi chinese cmn ja jpn jp japanese",
    "Cyrillic letters": "ru rus russian uk ukr ukrainian bg bulgarian",
    "Arabic letters": "ar ara arabic fa persian ur urdu",
    "Greek letters": "el ell greek",
    "Hebrew letters": "he heb hebrew",
    "Korean letters": "ko kor korean",
    "Devanagari letters": "hi hin hindi",
    "Thai letters": "th tha thai",
}
_SCRIPT_OF_LANGUAGE = {language: script for script, names in _LANGUAGES.items() for language in names.split()}
_KANA = re.compile("[\u3040-\u30ff]")
# Scripts that one language is usually written in.
_LANGUAGE_OF_SCRIPT = {"Korean letters": "ko", "Greek letters": "el", "Hebrew letters": "he", "Thai letters": "th"}
# Words without which hardly any text of the language goes on for long.
_FREQUENT = {
    "en": "the of and to is that was it with this are for",
    "de": "der die das und ist nicht ein eine mit ich den auf",
    "fr": "le les des est une et dans pas pour du sur avec",
    "es": "el los las es una y por con para del no su",
    "it": "il di che è una per non sono gli del della con",
    "pt": "os não uma em do da para com um ao dos mais",
    "nl": "de het een en niet van ik is dat op voor met",
    "pl": "się nie jest na to w że z do jak był po",
    "tr": "bir ve bu için çok da de daha ile ne ama gibi",
    "ru": "и в не на что это с как но по я он",
    "ar": "في من على أن إلى لا هذا ما عن مع التي كان",
}
_FREQUENT_WORDS = {language: frozenset(words.split()) for language, words in _FREQUENT.items()}
_LEAST_WORDS, _LEAST_SHARE, _LEAST_LEAD = 20, 0.05, 1.5
_LOOKED_AT = 80  # characters: enough to tell, and a text may be a book


def script_of(text: str) -> str | None:
    """The script of most letters at the start of a text; None where there is no letter or none has the majority."""
    start = text[:_LOOKED_AT]
    if start.isascii():
        return LATIN if _LETTERS_OF_SCRIPT[LATIN].search(start) else None
    counts = {script: len(letters.findall(start)) for script, letters in _LETTERS_OF_SCRIPT.items()}
    most = max(counts, key=lambda script: counts[script])
    return most if 2 * counts[most] > sum(counts.values()) else None


@cache
def is_of_spaced_word(character: str) -> bool:
    """Whether a character is a letter, a digit or a mark of a script that writes spaces between its words."""
    return unicodedata.category(character)[0] in "LNM" and _UNSPACED.match(character) is None


def usual_script(scripts: Iterable[str | None]) -> str | None:
    """The script of more than half of the texts that have one; None where no script has as many."""
    counts = Counter(script for script in scripts if script is not None)
    if not counts:
        return None
    script, count = counts.most_common(1)[0]
    return script if 2 * count > counts.total() else None


def language_of(texts: Iterable[str]) -> str | None:
    """The language that texts are written in, ISO 639-1; None where that is not plain.

    Some scripts tell it; of the others the frequent words of a few languages are counted.
    """
    texts = list(texts)
    script = usual_script(map(script_of, texts))
    if script == CHINESE:
        kana = sum(_KANA.search(text) is not None for text in texts)
        return "ja" if 2 * kana > len(texts) else "zh" if 10 * kana < len(texts) else None
    if script in _LANGUAGE_OF_SCRIPT:
        return _LANGUAGE_OF_SCRIPT[script]
    words = Counter(word for text in texts for word in re.findall(r"\b[^\W\d_]+\b", text.lower()))
    if words.total() < _LEAST_WORDS:
        return None
    counts = {one: sum(words[word] for word in known) for one, known in _FREQUENT_WORDS.items()}
    first, second = sorted(counts, key=lambda one: -counts[one])[:2]
    plain = counts[first] >= max(_LEAST_SHARE * words.total(), _LEAST_LEAD * counts[second], 1)
    return first if plain else None


def script_of_language(name: str) -> str | None:
    """The script that a column's name lets expect: of "zh", "en_text" or "translation.de"; None for other names."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((_SCRIPT_OF_LANGUAGE[word] for word in reversed(words) if word in _SCRIPT_OF_LANGUAGE), None)


# Trains a WordPiece vocabulary, for a model that starts from nothing.

WORDPIECE_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_CHARACTERS = 1000


def train_wordpiece_tokenizer(
    texts: Iterable[str], vocab_size: int = 8000, max_length: int = 512, lowercase: bool = True
) -> "BertTokenizer":
    """Trains a tokenizer as BERT's on texts.

    The same texts give the same ids in every process.

    Args:
        texts: what the vocabulary is made from.
        vocab_size: upper limit of tokens, special tokens and single characters included.
        max_length: the most tokens a model with it takes.
        lowercase: fold case and accents, as the uncased BERT does.

    Returns:
        A fast tokenizer; what it saves opens with AutoTokenizer.

    Raises:
        DataError: the texts hold no word.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import BertTokenizer

    # As BertTokenizer sets up its own, so that training and use see the same words.
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    splitter = pre_tokenizers.BertPreTokenizer()
    words = Counter(
        word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)) if word
    )
    if not words:
        raise DataError("A tokenizer cannot be trained: the texts hold no word.")
    # The trainer numbers inner characters in the order of a hash table, and breaks ties by number. As special tokens
    # they have fixed numbers; only the vocabulary is kept, so they do not stay special.
    pieces = _wordpiece_characters(words, vocab_size)
    trainer = trainers.WordPieceTrainer(
        vocab_size=max(vocab_size, len(WORDPIECE_SPECIAL_TOKENS) + len(pieces)),
        special_tokens=[*WORDPIECE_SPECIAL_TOKENS, *pieces],
        limit_alphabet=0,
        show_progress=False,
    )
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    repeated = (" ".join([word] * count) for word, count in sorted(words.items()))
    tokenizer.train_from_iterator(repeated, trainer)
    vocabulary = dict(sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]))
    return BertTokenizer(vocab=vocabulary, do_lower_case=lowercase, model_max_length=max_length)


def _wordpiece_characters(words: Counter[str], vocab_size: int) -> list[str]:
    """The most frequent characters, as they begin a word and as they go on in one."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for i, character in enumerate(word):
            counts[character if i == 0 else f"##{character}"] += count
    ranked = sorted(counts, key=lambda piece: (-counts[piece], piece))
    kept = ranked[:MAX_CHARACTERS]
    # Each Chinese character is a word, and no merge of pieces would ever make one: they get their share of the room.
    alone = [word for word in ranked[MAX_CHARACTERS:] if word in words]
    room = vocab_size - len(WORDPIECE_SPECIAL_TOKENS) - MAX_CHARACTERS
    if alone and room > 0:
        share = sum(count for word, count in words.items() if len(word) == 1) / words.total()
        kept += alone[: int(room * share)]
    return sorted(kept)


# Trains the vocabulary of a translator: one for both languages, or one for each.
#
# Byte-pair encoding over characters, with bytes for what the vocabulary does not hold: nothing is unknown, and a
# Chinese text, which has no spaces, needs no splitter that knows its words.

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
        A fast tokenizer with `</s>` after every text, and the same special tokens on both sides; `text_target=` makes
        labels. `<pad>` is the last token, as Marian's is: other programs that run Marian models (CTranslate2) look for
        it there. With two vocabularies, which may differ in size, it is token 0 of both, and the tokenizer is a
        `TinyBertSeq2SeqTokenizer`, which decodes with the target's. What it saves opens with AutoTokenizer.

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
        shared = _train(source_texts + target_texts, vocab_size, pad_last=True)
        names = ["input_ids", "attention_mask"]
        return PreTrainedTokenizerFast(tokenizer_object=shared, model_input_names=names, **settings)
    from tinybert_hf.model.tokenization_tinybert_seq2seq import TinyBertSeq2SeqTokenizer

    source, target = _train(source_texts, vocab_size), _train(target_texts, target_vocab_size)
    return TinyBertSeq2SeqTokenizer(tokenizer_object=source, target_tokenizer_object=target, **settings)


def _train(texts: list[str], vocab_size: int, *, pad_last: bool = False) -> "Tokenizer":
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
    pad, end, unknown, _ = SPECIAL_TOKENS
    if pad_last:
        pieces = [*pieces[1:], pad]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    trained = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token=unknown, byte_fallback=True))
    trained.add_special_tokens(list(SPECIAL_TOKENS))
    trained.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", pair=f"$A $B {end}", special_tokens=[(end, vocabulary[end])]
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
