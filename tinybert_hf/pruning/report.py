"""What pruning a vocabulary came to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from torch import nn

MUCH_UNKNOWN = 0.05


@dataclass(frozen=True)
class PruningReport:
    """Figures, before and after.

    Attributes:
        pieces_before: that the model embeds.
        pieces_after: likewise.
        used: pieces that the corpus uses often enough.
        margin: pieces that stay although the corpus does not use them.
        parameters_before: of the whole model.
        parameters_after: likewise.
        megabytes_before: all parameters in their own dtype, 10^6 bytes.
        megabytes_after: likewise.
        texts: of the corpus.
        tokens: of the corpus.
        kept_share: of these tokens, how many keep their piece; the others become smaller pieces.
        unknown_share: of these tokens, how many were unknown before.
        unseen_share: a guess how many tokens of further text like this are of no piece that the corpus uses: the
            share of those that came once (Good and Turing); too low where rows repeat each other. The margin, which
            is not counted in, makes it less.
        checked: texts on which the pruned model's output was compared with the model's, bit for bit.
    """

    pieces_before: int
    pieces_after: int
    used: int
    margin: int
    parameters_before: int
    parameters_after: int
    megabytes_before: float
    megabytes_after: float
    texts: int
    tokens: int
    kept_share: float
    unknown_share: float
    unseen_share: float
    checked: int = 0

    def lines(self) -> Iterator[str]:
        """For the screen."""
        yield (
            f"Vocabulary: {self.pieces_before:,} -> {counted(self.pieces_after, 'piece')} ({self.used:,} used by the "
            f"corpus, {self.margin:,} more as a margin, the rest single characters and special tokens)."
        )
        yield (
            f"Parameters: {self.parameters_before / 1e6:.2f} M -> {self.parameters_after / 1e6:.2f} M; "
            f"{self.megabytes_before:.1f} MB -> {self.megabytes_after:.1f} MB."
        )
        yield (
            f"Corpus: {counted(self.texts, 'text')}, {counted(self.tokens, 'token')}; {self.kept_share:.2%} of them "
            f"keep their piece. In further text like it about {self.unseen_share:.2%} of the tokens would be new, "
            "less with the margin."
        )
        if self.checked:
            texts = counted(self.checked, "text")
            yield f"Outputs before and after are the same, bit for bit, on {texts} of the corpus."

    def warnings(self) -> Iterator[str]:
        """What must not be overlooked."""
        if self.unknown_share >= MUCH_UNKNOWN:
            yield (
                f"{self.unknown_share:.1%} of the corpus' tokens are unknown to this vocabulary: the corpus is in "
                "another script or language than the model, or not text. What was kept was chosen by the rest."
            )


def size_of(model: nn.Module) -> tuple[int, float]:
    """Parameters, each counted once, and their megabytes."""
    parameters = list(model.parameters())
    megabytes = sum(one.numel() * one.element_size() for one in parameters) / 1e6
    return sum(one.numel() for one in parameters), megabytes
