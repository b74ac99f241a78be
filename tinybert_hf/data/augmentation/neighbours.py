"""The nearest words of a table of word vectors, by their cosine."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinybert_hf.data.augmentation.best import DOUBTFUL, best_exactly
from tinybert_hf.data.augmentation.vocabulary import Vocabulary
from tinybert_hf.data.augmentation.words import is_ideograph

if TYPE_CHECKING:
    from torch import Tensor

_WORDS_AT_ONCE = 64


class WordTable:
    """Words with their vectors."""

    def __init__(self, words: Sequence[str], vectors: "Tensor") -> None:
        """Takes words and a vector for each, (W, H)."""
        import torch

        self.words = list(words)
        vectors = vectors.detach().float().cpu()
        self._table = torch.nn.functional.normalize(vectors, dim=1)
        self._vectors = vectors
        self._is_ideograph = torch.tensor([is_ideograph(word) for word in words])
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, word in enumerate(words):
            self._places[word.casefold()].append(place)

    def nearest(self, words: Sequence[str], vectors: "Tensor", count: int) -> list[list[str]]:
        """The nearest words of each; never the word itself, and a Chinese character for one alone.

        Args:
            words: whose neighbours are wanted.
            vectors: of the words, (B, H) in float64.
            count: how many.

        Returns:
            For each word others, in the order of the table.
        """
        found = []
        for start in range(0, len(words), _WORDS_AT_ONCE):
            some = slice(start, start + _WORDS_AT_ONCE)
            found += self._nearest(words[some], vectors[some], count)
        return found

    def _nearest(self, words: Sequence[str], vectors: "Tensor", count: int) -> list[list[str]]:
        import torch

        cosines = torch.nn.functional.normalize(vectors.float(), dim=1) @ self._table.T
        groups = torch.tensor([is_ideograph(word) for word in words])
        cosines = cosines.masked_fill(groups[:, None] != self._is_ideograph[None], float("-inf"))
        for row, word in enumerate(words):
            cosines[row, self._places.get(word.casefold(), [])] = float("-inf")
        least = cosines.topk(min(count, cosines.shape[1]), dim=1).values[:, -1]
        found = []
        for row, vector in enumerate(vectors):
            # All that may be among the best once more with all digits, since the batch decides on the last ones.
            near = (cosines[row] >= least[row] - DOUBTFUL).logical_and(cosines[row].isfinite()).nonzero()[:, 0]
            table = torch.nn.functional.normalize(self._vectors[near].double(), dim=1)
            exact = (torch.nn.functional.normalize(vector[None], dim=1) * table).sum(dim=1)
            chosen = near[best_exactly(exact[None], count)[0]] if len(near) else near
            found.append([self.words[place] for place in sorted(chosen.tolist())])
        return found


class EmbeddingNeighbours:
    """The whole words of a vocabulary, by the input embeddings of its model.

    A word's vector is the mean of those of its pieces, so every word has neighbours here.
    """

    def __init__(self, embeddings: "Tensor", vocabulary: Vocabulary) -> None:
        """For the embedding matrix of a model, (V, H)."""
        self._embeddings = embeddings.detach().float().cpu()
        ids = [number for number in vocabulary.words if number < len(self._embeddings)]
        self._table = WordTable([vocabulary.words[number] for number in ids], self._embeddings[ids])
        self._known: dict[tuple[str, int], list[str]] = {}

    def knows(self, word: str) -> bool:
        """Whether a word has neighbours."""
        return True

    def words(self, words: Sequence[str], pieces: Sequence[Sequence[int]], count: int) -> list[list[str]]:
        """The nearest words of each.

        Args:
            words: whose neighbours are wanted.
            pieces: ids of each word's tokens.
            count: how many.
        """
        import torch

        wanted = {(word, count): ids for word, ids in zip(words, pieces, strict=True)}
        new = {key: ids for key, ids in wanted.items() if key not in self._known}
        if new:
            vectors = torch.stack([self._embeddings[list(ids)].double().mean(dim=0) for ids in new.values()])
            found = self._table.nearest([word for word, _ in new], vectors, count)
            self._known.update(zip(new, found, strict=True))
        return [self._known[word, count] for word in words]
