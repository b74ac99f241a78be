"""Linear algebra that makes a narrow layer out of a wide one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Basis:
    """An orthonormal basis of the part of the teacher's hidden space that the student keeps.

    Attributes:
        vectors: (Ht, Hs), orthonormal columns; a student state is `teacher_state @ vectors`.
        kept: share of the variance of the example states that lies in the basis.
    """

    vectors: Tensor
    kept: float

    def narrow(self, states: Tensor) -> Tensor:
        """(..., Ht) -> (..., Hs)."""
        return states @ self.vectors

    def lost(self, mean: Tensor) -> Tensor:
        """The part of a mean state (Ht) outside the basis: a constant that goes into the next bias."""
        return mean - self.vectors @ (self.vectors.T @ mean)


def principal_basis(covariance: Tensor, width: int) -> Basis:
    """The best basis of `width` directions, turned so that LayerNorm means the same in both spaces.

    LayerNorm removes the mean over features, which is the direction (1, ..., 1). That direction is kept and turned
    onto the
    student's own (1, ..., 1); the others are the principal components of what is orthogonal to it.

    Args:
        covariance: (Ht, Ht) of example states, fp64.
        width: Hs, at most Ht; at Ht the basis is the identity.
    """
    wide = covariance.shape[0]
    if width == wide:
        return Basis(torch.eye(wide, dtype=covariance.dtype, device=covariance.device), 1.0)
    ones = torch.full((wide, 1), wide**-0.5, dtype=covariance.dtype, device=covariance.device)
    away = torch.eye(wide, dtype=covariance.dtype, device=covariance.device) - ones @ ones.T
    values, vectors = torch.linalg.eigh(away @ covariance @ away)
    chosen = vectors[:, values.argsort(descending=True)[: width - 1]]
    basis = torch.cat([ones, chosen], dim=1)
    kept = (basis.T @ covariance @ basis).trace() / covariance.trace()
    return Basis(basis @ _reflection_onto_ones(width, covariance).T, float(kept))


def _reflection_onto_ones(width: int, like: Tensor) -> Tensor:
    """The Householder reflection that takes the first unit vector to (1, ..., 1) / sqrt(width)."""
    normal = torch.full((width,), -(width**-0.5), dtype=like.dtype, device=like.device)
    normal[0] += 1.0
    normal = normal / normal.norm()
    return torch.eye(width, dtype=like.dtype, device=like.device) - 2 * torch.outer(normal, normal)


def low_rank(matrix: Tensor, rank: int, left_scale: Tensor, right_scale: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of the best approximation of `matrix` where rows and columns matter by their scales.

    Args:
        matrix: (P, Q).
        rank: r.
        left_scale: (P, P) square root of the second moments of what multiplies from the left.
        right_scale: (Q, Q), the same from the right.

    Returns:
        (P, r) and (Q, r) with `left @ right.T` near `matrix`; columns of zeros where r is above the rank.
    """
    u, s, vh = torch.linalg.svd(left_scale @ matrix @ right_scale, full_matrices=False)
    u, s, vh = u[:, :rank], s[:rank], vh[:rank]
    left = torch.linalg.solve(left_scale, u * s.sqrt())
    right = torch.linalg.solve(right_scale.T, vh.T * s.sqrt())
    missing = rank - left.shape[1]
    if missing > 0:
        left, right = (torch.nn.functional.pad(factor, (0, missing)) for factor in (left, right))
    return left, right


def moment_root(states: Tensor) -> Tensor:
    """Symmetric square root of the second moments of (T, P) states, kept away from singular."""
    moments = states.T @ states / states.shape[0]
    values, vectors = torch.linalg.eigh(moments)
    floor = values.max() * 1e-6
    return (vectors * values.clamp(min=floor).sqrt()) @ vectors.T
