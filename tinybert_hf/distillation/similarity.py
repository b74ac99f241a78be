"""How alike two layers are, whatever their widths: linear CKA."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def linear_cka(first: Tensor, second: Tensor) -> float:
    """Linear centred kernel alignment of two layers on the same tokens.

    It compares which tokens are near each other in the one layer and in the other: 1 where they agree up to a
    rotation and a factor, 0 where they have nothing in common. No N x N matrix is made.

    Args:
        first: hidden states, (N, H), one row a token.
        second: of the same tokens, (N, K).

    Returns:
        A number from 0 to 1; 0 where a layer says the same for every token.

    Source:
        Kornblith et al. 2019, Similarity of Neural Network Representations Revisited, section 3: with centred X and
        Y, the squared Frobenius norm of Y'X divided by those of X'X and Y'Y under the root.
    """
    return _between(_scaled(first), _scaled(second))


def layer_distances(students: Sequence[Tensor], teachers: Sequence[Tensor]) -> list[list[float]]:
    """1 - linear CKA between every layer of one model and every layer of another.

    Args:
        students: hidden states of each layer of the student, (N, H).
        teachers: of each layer of the teacher on the same tokens, (N, K).

    Returns:
        For each student layer a list with the distance to each teacher layer.
    """
    theirs = [_scaled(states) for states in teachers]
    return [[1.0 - _between(_scaled(states), other) for other in theirs] for states in students]


def _scaled(states: Tensor) -> Tensor:
    """Centred, and scaled so that the norm of the Gram matrix is 1; zeros where there is no difference."""
    states = states.float()
    centred = states - states.mean(0)
    norm = torch.linalg.matrix_norm(centred.T @ centred)
    # What is left of equal rows is rounding, and scaling it up would make a layer of it.
    tiny = len(states) * (1e-6 * states.abs().max()) ** 2
    return torch.zeros_like(centred) if norm <= tiny else centred / norm.sqrt()


def _between(first: Tensor, second: Tensor) -> float:
    return min(1.0, float(torch.linalg.matrix_norm(first.T @ second) ** 2))
