"""How often a text corpus uses each piece of a vocabulary."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinybert_hf.errors import DataError

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

_BATCH_TEXTS, _BATCH_CHARACTERS = 2000, 1_000_000


@dataclass(frozen=True)
class PieceCounts:
    """What a corpus uses.

    Attributes:
        counts: how often each id came, special tokens around the texts left out.
        texts: how many there were.
        sample: some of the texts, from all over the corpus.
    """

    counts: NDArray[numpy.int64]
    texts: int
    sample: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """All of them."""
        return int(self.counts.sum())


def count_pieces(backend: Tokenizer, texts: Iterable[str], size: int, sample_size: int = 64) -> PieceCounts:
    """Read a corpus once, in batches, and count.

    Args:
        backend: it must neither cut nor pad.
        texts: any number of them.
        size: one more than the highest id.
        sample_size: texts to keep for a check; the same ones whenever the same corpus is read.

    Raises:
        DataError: there is not one token in it.
    """
    import random

    import numpy

    draw = random.Random(0)
    counts = numpy.zeros(size, dtype=numpy.int64)
    sample: list[str] = []
    seen = 0
    for batch in _batches(texts):
        encoded = backend.encode_batch(batch, add_special_tokens=False)
        ids = [index for encoding in encoded for index in encoding.ids]
        counts += numpy.bincount(numpy.array(ids, dtype=numpy.int64), minlength=size)
        for text in batch:  # each text with the same chance, without knowing how many there are
            seen += 1
            place = len(sample) if len(sample) < sample_size else draw.randrange(seen)
            if place < len(sample):
                sample[place] = text
            elif place < sample_size:
                sample.append(text)
    if not counts.any():
        raise DataError("The corpus holds not one token: its texts are empty. Give texts of the kind that will come.")
    return PieceCounts(counts, seen, tuple(sample))


def share_left_out(tokenizer: PreTrainedTokenizerBase, kept: Collection[int], texts: Iterable[str]) -> float:
    """The share of a text's tokens whose piece is not among those that stay: they fall into smaller ones.

    Args:
        tokenizer: with the whole vocabulary.
        kept: ids that stay.
        texts: others than the corpus that the pieces were chosen by.

    Raises:
        DataError: there is not one token in them.
    """
    from tinybert_hf.pruning.tokenizer_file import own_backend

    counts = count_pieces(own_backend(tokenizer), texts, max(tokenizer.get_vocab().values()) + 1)
    return 1.0 - float(counts.counts[[index for index in kept if index < len(counts.counts)]].sum()) / counts.tokens


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if len(batch) >= _BATCH_TEXTS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
