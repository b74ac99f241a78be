"""Which entries of a vocabulary are whole words, whatever the tokenizer marks them with."""

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.augmentation.words import is_ideograph, is_lettered, is_word

if TYPE_CHECKING:
    from torch import Tensor

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
