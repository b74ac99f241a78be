"""Texts as tokens, with one word masked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinybert_hf.data.augmentation.words import Word

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
