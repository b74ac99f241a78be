"""Which parts of a text are words, and which of them may be replaced."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tinybert_hf.data.augmentation.stop_words import STOP_WORDS

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
