"""Attention scores of the student towards the teacher's, without building the score maps."""

from __future__ import annotations

import torch
from torch import Tensor

from tinybert_hf.distillation.capture import AttentionRecord
from tinybert_hf.errors import CaptureError


def attention_loss(
    student: AttentionRecord,
    teacher: AttentionRecord,
    mask: Tensor,
    *,
    key_mask: Tensor | None = None,
    causal: bool = False,
    pair_count: Tensor | float | None = None,
) -> Tensor:
    """Mean squared error between the student's and the teacher's attention scores, before the softmax.

    The difference of the scores is one product, S = [s Qs, t Qt] [Ks, -Kt]^T, with s and t the two scalings. For long
    rows its squared Frobenius norm is the inner product of two (Ds+Dt)^2 Gram matrices, linear in L; for rows no
    longer
    than Ds+Dt the product itself is smaller and exact. Where one head count divides the other, the scores of
    consecutive heads are averaged in groups, which is the same product over the concatenated heads.

    Self-attention of an encoder by default; `causal` leaves out the keys after each query, for the self-attention of
    a decoder; `key_mask` is for cross-attention, whose keys are of another text.

    Args:
        student: queries (B, A, L, Ds) and keys (B, A, K, Ds), with K = L unless `key_mask` is given.
        teacher: the same with its own head count and width, without gradient.
        mask: (B, L), true at real query tokens.
        key_mask: (B, K), true at real key tokens; None: `mask`.
        causal: compare a query with the keys up to its own place only.
        pair_count: number of real (query, key) pairs to divide by; None: those of this batch.

    Returns:
        Scalar in squared score units, averaged over heads and over real (query, key) pairs.

    Raises:
        CaptureError: neither head count divides the other, or the two models saw rows of different length.

    Source:
        Jiao et al. 2020, TinyBERT, equation 7.
    """
    heads = common_heads(student.query.shape[1], teacher.query.shape[1])
    key_mask = mask if key_mask is None else key_mask
    if student.query.shape[-2] != teacher.query.shape[-2] or student.key.shape[-2] != teacher.key.shape[-2]:
        raise CaptureError(
            f"The student saw rows of {student.query.shape[-2]} tokens and the teacher rows of "
            f"{teacher.query.shape[-2]}. Both must read the same tokens: give them one tokenizer and one batch."
        )
    # Under autocast a matrix product would run in half precision, where a small difference of large scores is lost.
    with torch.autocast(student.query.device.type, enabled=False):
        query = torch.cat([_grouped_query(student, heads), _grouped_query(teacher, heads)], dim=-1)
        key = torch.cat([_grouped(student.key, heads), -_grouped(teacher.key, heads)], dim=-1)
        query = query.masked_fill(~mask.to(torch.bool)[:, None, :, None], 0.0)
        key = key.masked_fill(~key_mask.to(torch.bool)[:, None, :, None], 0.0)
        total = _causal_square(query, key) if causal else _square(query, key)
    if pair_count is None:
        pair_count = causal_pairs(mask) if causal else (mask.sum(-1) * key_mask.sum(-1)).sum()
    return total / (heads * pair_count)


def causal_pairs(mask: Tensor) -> Tensor:
    """The number of (query, key) pairs of real tokens in which the key does not come after the query.

    Args:
        mask: (B, L), true at real tokens.
    """
    lengths = mask.sum(-1)
    return (lengths * (lengths + 1) // 2).sum()


def _square(query: Tensor, key: Tensor) -> Tensor:
    """The sum of squares of query @ key.T, (B, G, L, W) and (B, G, K, W), by the smaller of two equal products."""
    if min(query.shape[-2], key.shape[-2]) <= query.shape[-1]:
        return (query @ key.transpose(-1, -2)).square().sum()
    return ((query.transpose(-1, -2) @ query) * (key.transpose(-1, -2) @ key)).sum()


def _causal_square(query: Tensor, key: Tensor) -> Tensor:
    """The same over the lower triangle: its blocks on the diagonal, and all keys before a block as one Gram matrix."""
    width = query.shape[-1]
    total = query.new_zeros(())
    before: Tensor | None = None
    for block, keys in zip(query.split(width, dim=-2), key.split(width, dim=-2), strict=True):
        total = total + (block @ keys.transpose(-1, -2)).tril().square().sum()
        if before is not None:
            total = total + ((block.transpose(-1, -2) @ block) * before).sum()
        gram = keys.transpose(-1, -2) @ keys
        before = gram if before is None else before + gram
    return total


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
