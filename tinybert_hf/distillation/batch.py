"""What a batch says: which tokens are real, and what the means of the losses divide by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from tinybert_hf.errors import CaptureError

WORD_STARTS = "word_starts"  # a column of rows whose words have labels: 1 at the first piece of a word


def attention_mask(batch: Mapping[str, Any]) -> Tensor:
    """The mask (B, L) of a batch; all ones where the batch has none."""
    if batch.get("attention_mask") is not None:
        mask: Tensor = batch["attention_mask"]
        return mask
    tokens = batch.get("input_ids")
    if tokens is None:
        raise CaptureError(
            f"The batch has neither attention_mask nor input_ids, only {', '.join(sorted(batch)) or 'nothing'}. Give "
            "tokenised rows, as tokenizer(...) makes them."
        )
    return torch.ones_like(tokens)


def target_mask(batch: Mapping[str, Any]) -> Tensor | None:
    """The mask (B, T) of the target of a translation batch: where there are labels; None without a target."""
    labels, given = batch.get("labels"), batch.get("decoder_attention_mask")
    if given is not None:
        decoder: Tensor = given
        return decoder
    if isinstance(labels, Tensor) and labels.dim() == 2 and not labels.is_floating_point():
        return labels != -100
    tokens = batch.get("decoder_input_ids")
    return None if tokens is None else torch.ones_like(tokens)


def labels_of(batch: Mapping[str, Any]) -> Tensor | None:
    """The labels of a batch; where answers are spans, the first and the last token of each, (B, 2)."""
    positions = [batch.get(name) for name in ("start_positions", "end_positions")]
    if all(isinstance(each, Tensor) for each in positions):
        return torch.stack(positions, dim=-1)  # type: ignore[arg-type]
    labels: Tensor | None = batch.get("labels")
    return labels


@dataclass(frozen=True)
class Masks:
    """Which tokens are real: of the source (B, L), and of the target (B, T) where there is one.

    Where words have labels, `word_starts` (B, L) is true at their first pieces: the teacher learnt to answer there and
    nowhere else, so the predictions are compared there alone. None: at every real token.
    """

    source: Tensor
    target: Tensor | None = None
    word_starts: Tensor | None = None


def masks_of(batch: Mapping[str, Any]) -> Masks:
    """Which tokens of a batch are real."""
    return Masks(attention_mask(batch), target_mask(batch), batch.get(WORD_STARTS))


def at_least_some(count: Any) -> Any:
    """A number of tokens or pairs to divide by; where there are none, the sum is 0, and so is its mean."""
    if not isinstance(count, Tensor):
        return max(count, 1e-6)
    return count.clamp_min(1e-6 if count.is_floating_point() else 1)


def causal_pairs(mask: Tensor) -> Tensor:
    """The number of (query, key) pairs of real tokens in which the key does not come after the query.

    Args:
        mask: (B, L), true at real tokens.
    """
    lengths = mask.sum(-1)
    return (lengths * (lengths + 1) // 2).sum()


@dataclass(frozen=True)
class Counts:
    """What the means divide by: rows, real tokens, real (query, key) pairs; the same of the target, and across; words
    that have a label each; by the name of a loss, what it counts itself."""

    rows: Tensor | float
    tokens: Tensor | float
    pairs: Tensor | float
    target_tokens: Tensor | float = 0.0
    target_pairs: Tensor | float = 0.0
    cross_pairs: Tensor | float = 0.0
    word_starts: Tensor | float = 0.0
    own: Mapping[str, Tensor | float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        mask: Tensor,
        target: Tensor | None = None,
        word_starts: Tensor | None = None,
        own: Mapping[str, Tensor | float] | None = None,
    ) -> Counts:
        """The counts of one batch.

        Args:
            mask: (B, L), true at real tokens.
            target: (B, T), true at real tokens of the target; None where there is none.
            word_starts: (B, L), true at the first piece of each word; None where words have no labels.
            own: what losses count themselves, by their names.
        """
        lengths = mask.sum(-1)
        words = 0.0 if word_starts is None else word_starts.sum()
        across: dict[str, Tensor] = {}
        if target is not None:
            across["target_tokens"] = target.sum()
            across["target_pairs"] = causal_pairs(target)
            across["cross_pairs"] = (lengths * target.sum(-1)).sum()
        return cls(
            rows=float(mask.shape[0]),
            tokens=lengths.sum(),
            pairs=lengths.square().sum(),
            word_starts=words,
            own=own or {},
            **across,
        )

    def as_tensor(self, device: torch.device) -> Tensor:
        """All counts as one vector of float64, to be added up; a GPU is not waited for."""
        each = [*(getattr(self, name) for name in _SHARED_COUNTS), *self.own.values()]
        return torch.stack(
            [
                count.to(device, torch.float64)
                if isinstance(count, Tensor)
                else torch.full((), count, dtype=torch.float64, device=device)
                for count in each
            ]
        )

    def filled(self, values: Tensor) -> Counts:
        """Counts of the same names.

        Args:
            values: a vector as `as_tensor` makes it.
        """
        each = values.unbind()
        own = dict(zip(self.own, each[len(_SHARED_COUNTS) :], strict=True))
        shared: dict[str, Any] = dict(zip(_SHARED_COUNTS, each, strict=False))
        return Counts(**shared, own=own)


_SHARED_COUNTS = tuple(one.name for one in fields(Counts) if one.name != "own")
