"""Attention scores of the student towards the teacher's, without building the score maps."""

from __future__ import annotations

import torch
from torch import Tensor

from tinybert_hf.distillation.capture import AttentionRecord
from tinybert_hf.errors import CaptureError


def attention_loss(
    student: AttentionRecord, teacher: AttentionRecord, mask: Tensor, *, pair_count: Tensor | float | None = None
) -> Tensor:
    """Mean squared error between the student's and the teacher's attention scores, before the softmax.

    The difference of the scores is one product, S = [s Qs, t Qt] [Ks, -Kt]^T, with s and t the two scalings. For long
    rows its squared Frobenius norm is the inner product of two (Ds+Dt)^2 Gram matrices, linear in L; for rows no
    longer
    than Ds+Dt the product itself is smaller and exact. Where one head count divides the other, the scores of
    consecutive heads are averaged in groups, which is the same product over the concatenated heads.

    Args:
        student: queries and keys, each (B, A, L, Ds).
        teacher: the same with its own head count and width, without gradient.
        mask: (B, L), true at real tokens.
        pair_count: number of real (query, key) pairs to divide by; None: those of this batch.

    Returns:
        Scalar in squared score units, averaged over heads and over real (query, key) pairs.

    Raises:
        CaptureError: neither head count divides the other, or the two models saw rows of different length.

    Source:
        Jiao et al. 2020, TinyBERT, equation 7.
    """
    heads = common_heads(student.query.shape[1], teacher.query.shape[1])
    if student.query.shape[-2] != teacher.query.shape[-2]:
        raise CaptureError(
            f"The student saw rows of {student.query.shape[-2]} tokens and the teacher rows of "
            f"{teacher.query.shape[-2]}. Both must read the same tokens: give them one tokenizer and one batch."
        )
    # Under autocast a matrix product would run in half precision, where a small difference of large scores is lost.
    with torch.autocast(student.query.device.type, enabled=False):
        real = mask.to(torch.bool)[:, None, :, None]
        query = torch.cat([_grouped_query(student, heads), _grouped_query(teacher, heads)], dim=-1)
        key = torch.cat([_grouped(student.key, heads), -_grouped(teacher.key, heads)], dim=-1)
        query, key = query.masked_fill(~real, 0.0), key.masked_fill(~real, 0.0)
        if query.shape[-2] <= query.shape[-1]:
            total = (query @ key.transpose(-1, -2)).square().sum()
        else:
            total = ((query.transpose(-1, -2) @ query) * (key.transpose(-1, -2) @ key)).sum()
    if pair_count is None:
        pair_count = mask.sum(-1).square().sum()
    return total / (heads * pair_count)


def common_heads(student_heads: int, teacher_heads: int) -> int:
    """The number of head groups that two models can be compared in: the smaller count, where it divides the larger.

    Raises:
        CaptureError: it does not divide.
    """
    few, many = sorted((student_heads, teacher_heads))
    if many % few:
        raise CaptureError(
            f"The student has {student_heads} attention heads and the teacher {teacher_heads}; neither divides the "
            f"other, so heads cannot be averaged in groups. Take a student with {teacher_heads} heads (or a "
            "divisor or "
            "multiple of it), or set the attention loss weight to 0."
        )
    return few


def _grouped(heads_apart: Tensor, groups: int) -> Tensor:
    """(B, A, L, D) -> (B, G, L, D * A/G) in fp32: the heads of a group side by side."""
    batch, heads, length, width = heads_apart.shape
    if heads == groups:
        return heads_apart.float()
    size = heads // groups
    split = heads_apart.reshape(batch, groups, size, length, width)
    return split.transpose(2, 3).reshape(batch, groups, length, size * width).float()


def _grouped_query(record: AttentionRecord, groups: int) -> Tensor:
    size = record.query.shape[1] // groups
    return _grouped(record.query, groups) * (record.scaling / size)
