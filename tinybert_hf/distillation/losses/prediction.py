"""The student's predictions towards the teacher's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tinybert_hf.errors import CaptureError

REGRESSION = "regression"
MULTI_LABEL = "multi_label_classification"
SINGLE_LABEL = "single_label_classification"


def prediction_loss(
    student: Tensor,
    teacher: Tensor,
    mask: Tensor | None = None,
    *,
    problem_type: str = SINGLE_LABEL,
    temperature: float = 1.0,
    row_count: Tensor | float | None = None,
) -> Tensor:
    """Soft cross-entropy of the student's logits against the teacher's; squared error for a regression.

    One label of C: the cross-entropy between the two softmax distributions, both at `temperature` (as published,
    without
    the factor temperature^2). Several labels: the mean over labels of the binary cross-entropies. Regression: the mean
    over outputs of the squared difference; the temperature has no meaning there.

    Args:
        student: logits, (B, C), or (B, L, C) for one prediction a token.
        teacher: the same shape, the labels in the student's order, without gradient.
        mask: (B, L), true at real tokens; only for logits of every token.
        problem_type: as in a transformers configuration.
        temperature: above 0; larger is softer.
        row_count: number of rows (or real tokens) to divide by; None: those of this batch.

    Returns:
        Scalar in nats (squared label units for a regression), averaged over rows or real tokens.

    Raises:
        CaptureError: the two logits have different shapes.

    Source:
        Jiao et al. 2020, TinyBERT, equation 10.
    """
    if student.shape != teacher.shape:
        raise CaptureError(
            f"Student logits of shape {tuple(student.shape)} cannot learn from teacher logits of shape "
            f"{tuple(teacher.shape)}: the two models must have the same task and the same number of labels."
        )
    with torch.autocast(student.device.type, enabled=False):
        each = _per_item(student.float(), teacher.float(), problem_type, temperature)
        if each.dim() == 2:
            if mask is None:
                raise CaptureError("Logits of every token need the attention mask, to leave the padding out.")
            each = each.masked_fill(~mask.to(torch.bool), 0.0)
        if row_count is None:
            row_count = each.shape[0] if each.dim() == 1 or mask is None else mask.sum()
        return each.sum() / row_count


def _per_item(student: Tensor, teacher: Tensor, problem_type: str, temperature: float) -> Tensor:
    if problem_type == REGRESSION:
        return (student - teacher).square().mean(-1)
    student, teacher = student / temperature, teacher / temperature
    if problem_type == MULTI_LABEL:
        return F.binary_cross_entropy_with_logits(student, teacher.sigmoid(), reduction="none").mean(-1)
    return -(teacher.softmax(-1) * student.log_softmax(-1)).sum(-1)
