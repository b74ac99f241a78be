"""Which words of a text may be replaced, and a text as tokens with one word masked."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.settings import CopySettings
from tinybert_hf.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


# What decides which words stand in a copy.


@dataclass(frozen=True)
class ReplacementSettings(CopySettings):
    """How words are replaced. Equal settings, model and rows make equal copies, in batches of any size.

    The rest is as in CopySettings: copies, probability, candidates.

    Attributes:
        seed: of the draws; each row has a generator of its own, made of the seed and its number.
        max_length: words behind so many tokens of a text stay as they are.
        context: tokens that the masked-LM reads at most; in a longer text, those around the word.
    """

    seed: int = 42
    max_length: int = 512
    context: int = 128

    def __post_init__(self) -> None:
        """Refuses values that make no copies.

        Raises:
            DataError: naming the setting.
        """
        least = {"copies": 1, "candidates": 1, "seed": 0, "max_length": 1, "context": 8}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise DataError(f"{name} is {getattr(self, name)}; it must be {value} or more.")
        if not 0 < self.probability <= 1:
            raise DataError(f"probability is {self.probability:g}; it must be above 0 and at most 1.")


# Words that stay as they are: without them a sentence falls apart, and they are no help to a student.

_ENGLISH = """
a an the this that these those
i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers herself
it its itself they them their theirs themselves one ones oneself who whom whose which what whoever whatever whichever
someone somebody something anyone anybody anything everyone everybody everything nobody nothing none
am is are was were be been being do does did doing done have has had having
can could may might must shall should will would ought cannot
and or but nor so yet if unless because since although though while whereas whether than as either neither both
of in on at by for with about against between among into through during before after above below to from up down out
off over under within without upon across along around behind beside besides beyond near toward towards until till via
per despite except like unlike
not no n't never ever there here where when why how then now again once also too very just only even still already
more most less least much many few little some any all each every such same other others another own
s t d m o y ll re ve ain isn aren wasn weren don doesn didn haven hasn hadn wouldn couldn shouldn mustn needn
i'm i've i'd i'll you're you've you'd you'll he's he'd he'll she's she'd she'll it's it'd it'll we're we've we'd we'll
they're they've they'd they'll that's there's here's what's who's where's how's let's
ain't isn't aren't wasn't weren't don't doesn't didn't haven't hasn't hadn't won't wouldn't can't couldn't shouldn't
mustn't needn't shan't mightn't
"""
# One character each: particles, pronouns, the copula, negation.
_CHINESE = (
    "的地得了着过是在和与及或而但也都就还又很太最不没有无我你您他她它们这那哪谁吗呢吧啊呀嘛之其以于从向把被对为所将让"
)

STOP_WORDS = frozenset(_ENGLISH.split()) | frozenset(_CHINESE)
"""Lower-cased, with a straight apostrophe."""


# Which parts of a text are words, and which of them may be replaced.

Text = str | Sequence[str]
"""A text, or the words that somebody has cut it into (as rows for named entities are)."""

_IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_IDEOGRAPH = re.compile(f"[{_IDEOGRAPHS}]")


@dataclass(frozen=True)
class Word:
    """A word that may be replaced.

    Attributes:
        text: as it is written.
        start: its first character in the text.
        end: behind its last.
        place: which of the words that the text was cut into; of a text as a whole, 0.
    """

    text: str
    start: int
    end: int
    place: int = 0


def plain_text(text: Text | None) -> str:
    """What a model reads."""
    return text if isinstance(text, str) else " ".join(text or ())


def replaceable_words(text: Text | None) -> list[Word]:
    """The words of a text that may be replaced, in order.

    A word is a run of letters, marks and apostrophes between letters; of Chinese writing, one character. Stop words
    stay, and so does what holds a digit: a number is seldom as good as another.
    """
    if text is None or isinstance(text, str):
        found = [Word(match[0], *match.span()) for match in _pattern().finditer(text or "")]
        return [word for word in found if is_replaceable(word.text)]
    words, start = [], 0
    for place, part in enumerate(text):
        if is_word(part) and is_replaceable(part):
            words.append(Word(part, start, start + len(part), place))
        start += len(part) + 1
    return words


def with_words(text: Text, replaced: Sequence[tuple[Word, str]]) -> Text:
    """The text with other words, and all else as it was.

    Args:
        text: str, or a list of words.
        replaced: words of it, in order, each with what takes its place.
    """
    if not isinstance(text, str):
        words = list(text)
        for word, new in replaced:
            words[word.place] = new
        return words
    parts, end = [], 0
    for word, new in replaced:
        parts += [text[end : word.start], new]
        end = word.end
    return "".join([*parts, text[end:]])


def is_word(text: str) -> bool:
    """Whether a text is one word and nothing else."""
    return _pattern().fullmatch(text) is not None


def is_replaceable(word: str) -> bool:
    """Whether a word has letters, and is no stop word."""
    return is_lettered(word) and word.lower().replace("’", "'") not in STOP_WORDS


def is_lettered(word: str) -> bool:
    """Whether a word has a letter and no digit."""
    return any(map(str.isalpha, word)) and not any(map(str.isdigit, word))


def is_ideograph(word: str) -> bool:
    """Whether a word is a character of Chinese writing."""
    return _IDEOGRAPH.fullmatch(word) is not None


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    # The vowel signs of Indian scripts and combining accents are no letters to Python's \w, and belong to the word.
    marks = "".join(chr(code) for code in range(0x300, 0x1F000) if _is_mark(chr(code)))
    part = f"(?:[^\\W_{_IDEOGRAPHS}]|[{marks}])+"
    return re.compile(f"[{_IDEOGRAPHS}]|{part}(?:['’]{part})*")


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Mc")


# Texts as tokens, with one word masked.

_PROBE = "a"


@dataclass(frozen=True)
class EncodedText:
    """A text's tokens without special ones, and where each stands.

    Attributes:
        ids: of the tokens.
        spans: first character and the one behind the last, blanks left out.
    """

    ids: list[int]
    spans: list[tuple[int, int]]


class Masking:
    """Finds the tokens of words and masks them, in a window where the text is longer than the model reads."""

    def __init__(self, tokenizer: Any, positions: int | None) -> None:
        """For the tokenizer of a model with so many positions."""
        self._tokenizer = tokenizer
        plain = tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
        whole = tokenizer(_PROBE)["input_ids"]
        before = next(at for at in range(len(whole)) if whole[at : at + len(plain)] == plain)
        self._before, self._behind = whole[:before], whole[before + len(plain) :]
        self._positions = min(positions or tokenizer.model_max_length, tokenizer.model_max_length)

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """Tokenises texts of any length."""
        if not texts:
            return []
        found = self._tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [
            EncodedText(list(ids), [_trimmed(text, *span) for span in spans])
            for text, ids, spans in zip(texts, found["input_ids"], found["offset_mapping"], strict=True)
        ]

    def masked(self, encoded: EncodedText, token: int, context: int) -> tuple[list[int], int]:
        """The text with one token masked.

        Args:
            encoded: the text.
            token: which one.
            context: tokens at most, special ones included.

        Returns:
            Ids with special tokens, and the place of the mask.
        """
        room = min(context, self._positions) - len(self._before) - len(self._behind)
        start = max(0, min(token - room // 2, len(encoded.ids) - room))
        ids = encoded.ids[start : start + room]
        ids[token - start] = self._tokenizer.mask_token_id
        return [*self._before, *ids, *self._behind], token - start + len(self._before)


def pieces_of(words: Sequence[Word], encoded: EncodedText) -> list[list[int]]:
    """The tokens of each word, by their places; a word that no token stands for has none."""
    found, token = [], 0
    for word in words:
        while token < len(encoded.spans) and encoded.spans[token][1] <= word.start:
            token += 1
        last = token
        while last < len(encoded.spans) and encoded.spans[last][0] < word.end:
            last += 1
        found.append(list(range(token, last)))
    return found


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    return start, end


# Which entries of a vocabulary are whole words, whatever the tokenizer marks them with.

# WordPiece marks what goes on within a word; byte-level BPE and SentencePiece mark where one begins.
_CONTINUES, _BEGINS = "##", ("Ġ", "▁")


class Vocabulary:
    """The whole words of a tokenizer.

    Special tokens, pieces of words, numbers and punctuation are none.

    Attributes:
        words: id -> the word as it is written.
        lowercases: whether the tokenizer knows small letters only.
    """

    def __init__(self, tokenizer: Any) -> None:
        """Looks at every entry once."""
        self.words = _whole_words(tokenizer)
        self.lowercases = tokenizer.tokenize("A") == tokenizer.tokenize("a")
        self._ids: dict[str, list[int]] = defaultdict(list)
        for number, word in self.words.items():
            self._ids[word.casefold()].append(number)

    def ids_of(self, word: str) -> list[int]:
        """The entries that are this word, in any case."""
        return self._ids.get(word.casefold(), [])

    def allowed(self, size: int) -> "Tensor":
        """What may take the place of a word, and what that of a Chinese character.

        Args:
            size: of the model's vocabulary.

        Returns:
            Two rows of 0 and -inf to add to scores, (2, size).
        """
        import torch

        mask = torch.full((2, size), float("-inf"))
        for number, word in self.words.items():
            if number < size:
                mask[int(is_ideograph(word)), number] = 0
        return mask

    def in_the_case_of(self, original: str, word: str) -> str:
        """A word of the vocabulary, with capitals where the original has them and the vocabulary has none."""
        if not self.lowercases or original[0] == original[0].lower():
            return word
        return word.upper() if len(original) > 1 and original.isupper() else word[0].upper() + word[1:]


def _whole_words(tokenizer: Any) -> dict[int, str]:
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    special = set(tokenizer.all_special_ids)
    begins = next((mark for mark in _BEGINS if sum(piece.startswith(mark) for piece in vocabulary) > 9), None)
    words, seen = {}, set()
    for piece, number in sorted(vocabulary.items(), key=lambda entry: entry[1]):
        if number in special or (begins is None and piece.startswith(_CONTINUES)):
            continue
        marked = begins is not None and piece.startswith(begins)
        word = piece if begins is None else tokenizer.convert_tokens_to_string([piece]).strip()
        # Between Chinese characters is no space, so none of them begins a word.
        if not (begins is None or marked or is_ideograph(word)) or word in seen:
            continue
        if is_word(word) and is_lettered(word):
            words[number] = word
            seen.add(word)
    return words
