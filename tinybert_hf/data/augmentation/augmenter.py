"""Copies of rows with some words replaced."""

import random
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from tinybert_hf.data.augmentation.settings import ReplacementSettings
from tinybert_hf.data.augmentation.word_source import ReadText, WordSource
from tinybert_hf.data.augmentation.words import Text, with_words

Row = Sequence[Text | None]
"""The texts of a row: one, or the two of a pair."""

NOTHING_TO_REPLACE = "rows_without_a_copy"
WORDS_BEYOND, WORDS_UNKNOWN = "words_behind_max_length", "words_without_neighbours"
_TRIES = 100


@dataclass(frozen=True)
class Copy:
    """A row with another text on one of its sides.

    Attributes:
        side: 0, or 1 for the second text of a pair; the other side is the original.
        text: with other words.
    """

    side: int
    text: Text


@dataclass(frozen=True)
class _Draw:
    side: int
    words: list[tuple[int, float]] = field(default_factory=list)
    """Which word, and a number from 0 to 1 that chooses among its candidates."""


class Augmenter:
    """Makes copies of rows; those of a row depend on nothing but the row, its number and the settings."""

    def __init__(self, source: WordSource, settings: ReplacementSettings) -> None:
        """For words of a source."""
        self._source, self._settings = source, settings

    def count(self, rows: Sequence[Row]) -> tuple[int, Counter[str]]:
        """How many copies the rows will get, and what will be left as it is; no model is asked."""
        read = self._read(rows)
        copies = [len(self._draws([_of(read, text) for text in row], 0)) for row in rows]
        return sum(copies), self._notes(rows, read, copies)

    def augment(
        self, rows: Sequence[Row], first_row: int = 0, progress: Callable[[int, int], None] | None = None
    ) -> tuple[list[list[Copy]], Counter[str]]:
        """Makes the copies.

        Args:
            rows: all of one or all of two texts.
            first_row: number of the first of them, from 0.
            progress: called with (words done, words in all) of these rows.

        Returns:
            The copies of each row: as many as the settings say, or none where no word can be replaced. And counts of
            what was left as it is.
        """
        read = self._read(rows)
        draws = [self._draws([_of(read, text) for text in row], first_row + index) for index, row in enumerate(rows)]
        wanted = dict.fromkeys(
            (_key(row[draw.side]), index)
            for row, drawn in zip(rows, draws, strict=True)
            for draw in drawn
            for index, _ in draw.words
        )
        done = 0

        def advance(words: int) -> None:
            nonlocal done
            done += words
            if progress is not None:
                progress(done, len(wanted))

        candidates = self._source.candidates(read, list(wanted), self._settings, advance)
        copies = [
            [self._copy(row[draw.side], read, draw, candidates) for draw in drawn]
            for row, drawn in zip(rows, draws, strict=True)
        ]
        return copies, self._notes(rows, read, [len(made) for made in copies])

    def _read(self, rows: Sequence[Row]) -> dict[Hashable, ReadText]:
        """Every text once, though a list of words may read like a text."""
        texts = {_key(text): text for row in rows for text in row}
        return dict(zip(texts, self._source.read(list(texts.values()), self._settings), strict=True))

    def _draws(self, sides: Sequence[ReadText], row: int) -> list[_Draw]:
        """Which words of which side each copy replaces."""
        able = [index for index, side in enumerate(sides) if side.words]
        if not able:
            return []
        generator = random.Random(f"{self._settings.seed} {row}")
        first = int(generator.random() * len(able))
        return [
            self._draw(generator, able[(first + copy) % len(able)], sides) for copy in range(self._settings.copies)
        ]

    def _draw(self, generator: random.Random, side: int, sides: Sequence[ReadText]) -> _Draw:
        count = len(sides[side].words)
        for _ in range(_TRIES):
            drawn = [index for index in range(count) if generator.random() < self._settings.probability]
            if drawn:
                break
        else:  # of one word and a small probability
            drawn = [int(generator.random() * count)]
        return _Draw(side, [(index, generator.random()) for index in drawn])

    def _copy(
        self,
        text: Text | None,
        read: dict[Hashable, ReadText],
        draw: _Draw,
        candidates: dict[tuple[Hashable, int], list[str]],
    ) -> Copy:
        assert text is not None
        key, replaced = _key(text), []
        for index, share in draw.words:
            word, _ = read[key].words[index]
            found = candidates[key, index]
            if found:  # a vocabulary of one word has no other
                chosen = found[int(share * len(found))]
                replaced.append((word, self._source.vocabulary.in_the_case_of(word.text, chosen)))
        return Copy(draw.side, with_words(text, replaced))

    def _notes(self, rows: Sequence[Row], read: dict[Hashable, ReadText], copies: Sequence[int]) -> Counter[str]:
        notes: Counter[str] = Counter()
        for row in rows:
            for text in row:
                notes[WORDS_BEYOND] += _of(read, text).beyond
                notes[WORDS_UNKNOWN] += _of(read, text).unknown
        notes[NOTHING_TO_REPLACE] = sum(not count for count in copies)
        return notes


def _key(text: Text | None) -> Hashable:
    return text if text is None or isinstance(text, str) else tuple(text)


def _of(read: dict[Hashable, ReadText], text: Text | None) -> ReadText:
    return read[_key(text)]
