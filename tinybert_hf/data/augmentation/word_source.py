"""Where the words that take another's place come from."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tinybert_hf.data.augmentation.masking import EncodedText, Masking, pieces_of
from tinybert_hf.data.augmentation.predictions import MaskedText, Predictions
from tinybert_hf.data.augmentation.settings import ReplacementSettings
from tinybert_hf.data.augmentation.vocabulary import Vocabulary
from tinybert_hf.data.augmentation.words import Text, Word, plain_text, replaceable_words


class Neighbours(Protocol):
    """The nearest words of a table."""

    def knows(self, word: str) -> bool:
        """Whether a word has neighbours."""
        ...

    def words(self, words: Sequence[str], pieces: Sequence[Sequence[int]], count: int) -> list[list[str]]:
        """The nearest words of each, of which the token ids are given too."""
        ...


@dataclass(frozen=True)
class ReadText:
    """A text as tokens, and its words that something can take the place of.

    Attributes:
        encoded: its tokens.
        words: with the places of each one's tokens.
        beyond: how many more words stand behind the tokens that are looked at.
        unknown: how many more words have no neighbours.
    """

    encoded: EncodedText
    words: list[tuple[Word, list[int]]]
    beyond: int = 0
    unknown: int = 0


class WordSource:
    """Predictions for words of one piece, neighbours for the others; or neighbours for all.

    Attributes:
        vocabulary: of the model.
    """

    def __init__(
        self, masking: Masking, vocabulary: Vocabulary, predictions: Predictions | None, neighbours: Neighbours
    ) -> None:
        """From `words_from`."""
        self.vocabulary = vocabulary
        self._masking, self._predictions, self._neighbours = masking, predictions, neighbours

    def read(self, texts: Sequence[Text | None], settings: ReplacementSettings) -> list[ReadText]:
        """Finds the words of texts that have candidates; no model is asked for it."""
        encoded = self._masking.encode([plain_text(text) for text in texts])
        return [self._read(text, tokens, settings) for text, tokens in zip(texts, encoded, strict=True)]

    def _read(self, text: Text | None, encoded: EncodedText, settings: ReplacementSettings) -> ReadText:
        words = replaceable_words(text)
        found = [(word, pieces) for word, pieces in zip(words, pieces_of(words, encoded), strict=True) if pieces]
        near = [(word, pieces) for word, pieces in found if pieces[-1] < settings.max_length]
        known = [
            (word, pieces)
            for word, pieces in near
            if self._predicts(word, pieces, encoded) or self._neighbours.knows(word.text)
        ]
        return ReadText(encoded, known, beyond=len(found) - len(near), unknown=len(near) - len(known))

    def candidates(
        self,
        texts: Mapping[Hashable, ReadText],
        wanted: Sequence[tuple[Hashable, int]],
        settings: ReplacementSettings,
        progress: Callable[[int], None] | None = None,
    ) -> dict[tuple[Hashable, int], list[str]]:
        """What may take the place of words.

        Args:
            texts: by any keys.
            wanted: keys of texts, and which of their words.
            settings: how many, and how much of the text is read.
            progress: called with the number of words that were found for.

        Returns:
            The candidates of each.
        """
        masked: dict[tuple[Hashable, int], MaskedText] = {}
        others: dict[tuple[Hashable, int], tuple[str, list[int]]] = {}
        for text, index in wanted:
            read = texts[text]
            word, pieces = read.words[index]
            if self._predicts(word, pieces, read.encoded):
                ids, place = self._masking.masked(read.encoded, pieces[0], settings.context)
                masked[text, index] = MaskedText(ids, place, word.text)
            else:
                others[text, index] = word.text, [read.encoded.ids[piece] for piece in pieces]
        found: dict[tuple[Hashable, int], list[str]] = {}
        if self._predictions is not None:
            predicted = self._predictions.words(list(masked.values()), settings.candidates, progress)
            found.update(zip(masked, predicted, strict=True))
        names, pieces_each = [word for word, _ in others.values()], [pieces for _, pieces in others.values()]
        found.update(zip(others, self._neighbours.words(names, pieces_each, settings.candidates), strict=True))
        if progress is not None:
            progress(len(others))
        return found

    def _predicts(self, word: Word, pieces: Sequence[int], encoded: EncodedText) -> bool:
        """Whether a word is exactly one piece."""
        is_whole = len(pieces) == 1 and encoded.spans[pieces[0]] == (word.start, word.end)
        return is_whole and self._predictions is not None
