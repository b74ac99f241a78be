"""Which of a teacher's translations are fit to learn from. Each rule has a name, under which its rows are counted."""

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

EMPTY_SOURCE = "empty_source"
SOURCE_TOO_LONG = "source_too_long"
EMPTY = "empty"
CUT_OFF = "cut_off"
REPETITION = "repetition"
LENGTH_RATIO = "length_ratio"
REASONS = (EMPTY_SOURCE, SOURCE_TOO_LONG, EMPTY, CUT_OFF, REPETITION, LENGTH_RATIO)

# A band around a ratio means little for a text of two words: the band is that of a source this much longer or shorter.
_SLACK_CHARACTERS = 10
_SLACK_TOKENS = 5
_NGRAM = 4
# Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, kana, Han.
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
# One unit: a character of those, a word of any other script, or a punctuation mark.
_UNIT = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")


@dataclass(frozen=True)
class LengthBand:
    """How long a translation may be, given its source.

    With references, lengths are characters and `ratio` is the median of (characters of the reference / characters of
    its source) over the data set. Without, lengths are tokens of the teacher's own tokenizer and `ratio` is 1. A
    translation of length t of a source of length s is kept where
    ratio x (s - slack) / factor <= t <= ratio x (s + slack) x factor, with a slack of 10 characters or 5 tokens.

    Attributes:
        ratio: the usual length of a translation per unit of its source.
        factor: how far from the usual a translation may be, either way.
        in_tokens: lengths are tokens, not characters.
    """

    ratio: float
    factor: float
    in_tokens: bool

    @classmethod
    def from_references(cls, sources: Sequence[str], references: Sequence[str] | None, factor: float) -> "LengthBand":
        """The band that a data set's own pairs suggest; pairs with a blank side do not count."""
        pairs = zip(sources, references or (), strict=bool(references))
        ratios = [len(there.strip()) / len(here.strip()) for here, there in pairs if here.strip() and there.strip()]
        return cls(statistics.median(ratios) if ratios else 1.0, factor, in_tokens=not ratios)

    def lengths(self, tokenizer: Any, texts: Sequence[str], *, target: bool) -> list[int]:
        """The lengths of source texts, or of translations, in the band's unit."""
        if not self.in_tokens or not texts:
            return [len(text.strip()) for text in texts]
        side = {"text_target" if target else "text": list(texts)}
        return [len(ids) for ids in tokenizer(**side, add_special_tokens=False, verbose=False)["input_ids"]]

    def holds(self, source_length: int, length: int) -> bool:
        """Whether a translation of this length is within the band."""
        slack = _SLACK_TOKENS if self.in_tokens else _SLACK_CHARACTERS
        lowest = self.ratio * (source_length - slack) / self.factor
        return lowest <= length <= self.ratio * (source_length + slack) * self.factor


def is_repetitive(source: str, translation: str, max_repeats: int) -> bool:
    """Whether a translation goes round in circles.

    It does when one n-gram of 4 units (words; in scripts without spaces, characters) stands there more than
    `max_repeats` times, overlaps counted, and more often than any stands in the source.

    Args:
        source: may repeat itself as well, and then allows it.
        translation: of it.
        max_repeats: how often an n-gram may stand there.
    """
    most = _most_repeats(translation)
    return most > max_repeats and most > _most_repeats(source)


def _most_repeats(text: str) -> int:
    units = _UNIT.findall(text.casefold())
    grams = Counter(tuple(units[start : start + _NGRAM]) for start in range(len(units) - _NGRAM + 1))
    return max(grams.values(), default=0)
