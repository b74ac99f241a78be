"""Which pieces of a vocabulary stay."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinybert_hf.errors import TinyBertError
from tinybert_hf.pruning.counting import PieceCounts

if TYPE_CHECKING:
    from tinybert_hf.pruning.tokenizer_models import TokenizerModel

MIN_COUNT, MARGIN = 1, 0.1


@dataclass(frozen=True)
class Choice:
    """The pieces that stay.

    Attributes:
        kept: their ids, ascending; the place in this list is the new id.
        used: how many pieces the corpus uses often enough.
        margin: how many more were taken although it does not.
    """

    kept: list[int]
    used: int
    margin: int


def check_choice(min_count: int, margin: float) -> None:
    """Refuse what would be no choice.

    Raises:
        TinyBertError: a count below 1, a margin that is no share.
    """
    if min_count < 1:
        raise TinyBertError(f"min_count (--min-count) is {min_count}; a piece has to come once or more to be used.")
    if not 0 <= margin <= 1:
        raise TinyBertError(
            f"margin (--margin) is {margin:g}; expected a share of the pieces that the corpus does not use, from 0 "
            "(none of them) to 1 (all: nothing is pruned)."
        )


def choose_pieces(
    model: TokenizerModel, counts: PieceCounts, always: Collection[int], min_count: int, margin: float
) -> Choice:
    """Choose what stays: what the corpus uses, a margin, and what no tokenizer may lack.

    The margin is taken from the lowest ids: vocabularies are written in the order of frequency (BERT's, RoBERTa's) or
    of probability (SentencePiece), so the lowest ids that the corpus does not use are those that further text uses
    first. Pieces that no text can become ([unused12]) are passed over.

    Args:
        model: of the tokenizer.
        counts: of the corpus.
        always: ids that stay whatever the corpus holds: special and added tokens.
        min_count: how often a piece has to come.
        margin: share of the remaining pieces that stays as well.

    Raises:
        TinyBertError: `check_choice` refuses the numbers.
    """
    check_choice(min_count, margin)
    used = {index for index in model.ids.values() if counts.counts[index] >= min_count}
    kept = model.closed(used | set(always) | model.indispensable())
    in_order = sorted(model.ids.items(), key=lambda one: one[1])
    others = [index for token, index in in_order if index not in kept and model.reachable(token)]
    taken = others[: round(margin * len(others))]
    kept = model.closed(kept | set(taken))
    return Choice(sorted(kept), len(used), len(taken))
