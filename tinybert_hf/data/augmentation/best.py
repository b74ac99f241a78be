"""The best of many scores, such that rounding does not decide.

Scores of a batch differ in their last digits from those of the same text alone, and two scores may be as near as that.
So where the best cannot be told for sure, they are computed again with twice the digits; what is equal then stands in
the order of the vocabulary.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# Of the largest score: an order of magnitude more than a model of 12 or 24 layers is off in float32.
DOUBTFUL = 2e-5
_EQUAL = 1e-9


def best(scores: "Tensor", count: int) -> tuple["Tensor", "Tensor"]:
    """The best of each row, and where they are in doubt.

    Args:
        scores: (B, V), float32; what must not be chosen is -inf.
        count: how many to take.

    Returns:
        Indices (B, count) and scores' doubts (B,): whether the last that is in and the first that is out are so near
        that rounding may have exchanged them.
    """
    import torch

    count = min(count, scores.shape[1])
    values, indices = scores.topk(min(count + 1, scores.shape[1]), dim=1)
    if values.shape[1] == count:
        return indices, torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    largest = scores.masked_fill(scores.isinf(), 0).abs().amax(dim=1)
    doubtful = values[:, count - 1] - values[:, count] <= DOUBTFUL * largest
    # -inf beside -inf: fewer may be chosen than were asked for, and nothing is in doubt.
    return indices[:, :count], doubtful & values[:, count].isfinite()


def best_exactly(scores: "Tensor", count: int) -> "Tensor":
    """The best of each row; equal ones in the order of their indices.

    Args:
        scores: (B, V), float64.
        count: how many to take.

    Returns:
        Indices (B, count).
    """
    largest = scores.masked_fill(scores.isinf(), 0).abs().amax(dim=1, keepdim=True).clamp_min(1e-30)
    rounded = (scores / (largest * _EQUAL)).round()
    return rounded.sort(dim=1, descending=True, stable=True).indices[:, :count]
