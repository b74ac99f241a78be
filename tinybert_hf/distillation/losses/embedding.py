"""The embedding output of the student towards the teacher's."""

from __future__ import annotations

from torch import Tensor, nn

from tinybert_hf.distillation.losses.hidden_state import hidden_state_loss


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
