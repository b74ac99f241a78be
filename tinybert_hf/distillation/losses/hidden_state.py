"""Hidden states and the embedding output of the student, projected to the teacher's width, towards the teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tinybert_hf.distillation.batch import at_least_some
from tinybert_hf.errors import CaptureError

if TYPE_CHECKING:
    from tinybert_hf.distillation.losses.entry import LossInputs

# Hidden states of the student, projected to the teacher's width, towards the teacher's.


def hidden_state_loss(
    student: Tensor,
    teacher: Tensor,
    mask: Tensor,
    projection: nn.Module | None = None,
    *,
    token_count: Tensor | float | None = None,
) -> Tensor:
    """Mean squared error between projected student states and teacher states of one pair of layers.

    Args:
        student: (B, L, Hs).
        teacher: (B, L, Ht), without gradient.
        mask: (B, L), true at real tokens.
        projection: Hs -> Ht; None where the widths agree.
        token_count: number of real tokens to divide by; None: those of this batch.

    Returns:
        Scalar in squared state units, averaged over real tokens and over the teacher's width.

    Raises:
        CaptureError: the shapes do not fit: other tokens, or other widths and no projection.

    Source:
        Jiao et al. 2020, TinyBERT, equations 8 and 9.
    """
    if isinstance(projection, nn.Linear) and (projection.in_features, projection.out_features) != (
        student.shape[-1],
        teacher.shape[-1],
    ):
        raise CaptureError(
            f"The projection maps {projection.in_features} to {projection.out_features}, but the student is "
            f"{student.shape[-1]} wide and the teacher {teacher.shape[-1]}: use nn.Linear({student.shape[-1]}, "
            f"{teacher.shape[-1]})."
        )
    projected = student if projection is None else projection(student)
    if projected.shape != teacher.shape:
        raise CaptureError(
            f"Student states of shape {tuple(projected.shape)} cannot be compared with teacher states of shape "
            f"{tuple(teacher.shape)}. Where the widths differ, give a projection; rows and tokens must be the same."
        )
    with torch.autocast(student.device.type, enabled=False):
        # A row of padding may hold anything, NaN included, so it is replaced rather than multiplied by 0.
        error = (projected.float() - teacher.float()).masked_fill(~mask.to(torch.bool)[..., None], 0.0)
        total = error.square().sum()
    if token_count is None:
        token_count = mask.sum()
    return total / (at_least_some(token_count) * teacher.shape[-1])


# The embedding output of the student towards the teacher's.


def embedding_loss(
    student: Tensor,
    teacher: Tensor,
    mask: Tensor,
    projection: nn.Module | None = None,
    *,
    token_count: Tensor | float | None = None,
) -> Tensor:
    """Mean squared error between the projected embedding outputs: `hidden_state_loss` of layer 0.

    Args:
        student: (B, L, Hs), hidden state 0.
        teacher: (B, L, Ht), hidden state 0, without gradient.
        mask: (B, L), true at real tokens.
        projection: Hs -> Ht; None where the widths agree.
        token_count: number of real tokens to divide by; None: those of this batch.

    Returns:
        Scalar, averaged over real tokens and over the teacher's width.

    Raises:
        CaptureError: the shapes do not fit.

    Source:
        Jiao et al. 2020, TinyBERT, equation 9.
    """
    return hidden_state_loss(student, teacher, mask, projection, token_count=token_count)


# As the table of losses calls them: s, t are the captured layer of student and teacher, at has masks and counts.


def of_encoders(s: Tensor, t: Tensor, projection: nn.Module | None, at: LossInputs) -> Tensor:
    """Over tokens of the source."""
    return hidden_state_loss(s, t, at.masks.source, projection, token_count=at.counts.tokens)


def of_embeddings(s: Tensor, t: Tensor, projection: nn.Module | None, at: LossInputs) -> Tensor:
    """Likewise, of layer 0."""
    return embedding_loss(s, t, at.masks.source, projection, token_count=at.counts.tokens)


def of_decoders(s: Tensor, t: Tensor, projection: nn.Module | None, at: LossInputs) -> Tensor:
    """Over tokens of the target."""
    return hidden_state_loss(s, t, at.target_mask, projection, token_count=at.counts.target_tokens)
