"""The student's predictions towards the labels: of people, or of a teacher that has written them down."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tinybert_hf.distillation.losses.prediction import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from tinybert_hf.errors import CaptureError


def label_loss(
    student: Tensor,
    labels: Tensor,
    *,
    problem_type: str = SINGLE_LABEL,
    row_count: Tensor | float | None = None,
) -> Tensor:
    """What the same student would learn without a teacher, to be mixed with the other losses.

    One label of C: cross-entropy. Several labels: the mean over labels of the binary cross-entropies. Regression: the
    mean over outputs of the squared difference.

    Args:
        student: logits (B, C).
        labels: ids (B,), or 0/1 for each label (B, C), or numbers (B,) or (B, C).
        problem_type: as in a transformers configuration.
        row_count: number of rows to divide by; None: those of this batch.

    Returns:
        Scalar in nats (squared label units for a regression), averaged over rows.

    Raises:
        CaptureError: labels of another shape than the logits.
    """
    one_of_many = problem_type == SINGLE_LABEL
    expected = student.shape[:1] if one_of_many else student.shape
    if not one_of_many and labels.dim() == 1 and student.shape[-1] == 1:
        labels = labels[:, None]
    if labels.shape != expected:
        raise CaptureError(
            f"Labels of shape {tuple(labels.shape)} do not fit logits of shape {tuple(student.shape)} "
            f"({problem_type}). Leave the label loss out, or give labels of the student's task."
        )
    with torch.autocast(student.device.type, enabled=False):
        total = _sum(student.float(), labels, problem_type)
    return total / (labels.shape[0] if row_count is None else row_count)


def _sum(student: Tensor, labels: Tensor, problem_type: str) -> Tensor:
    if problem_type == REGRESSION:
        return (student - labels).square().mean(-1).sum()
    if problem_type == MULTI_LABEL:
        return F.binary_cross_entropy_with_logits(student, labels.float(), reduction="none").mean(-1).sum()
    return F.cross_entropy(student, labels, reduction="sum")
