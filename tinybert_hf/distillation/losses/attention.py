"""Attention scores of the student towards the teacher's, without building the score maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tinybert_hf.distillation.batch import at_least_some, causal_pairs
from tinybert_hf.distillation.capturing import AttentionRecord
from tinybert_hf.errors import CaptureError

if TYPE_CHECKING:
    from tinybert_hf.distillation.losses.entry import LossInputs

# Queries of a product that is computed at once: what is kept of it for a moment grows with the length, not its square.
_BLOCK = 128
# The share of the parts of a sum that has to be left of it, or rounding shows: measured, 3e-8 of the parts in fp32 and
# 2e-15 in fp64, so the sum is right to 3e-5.
_TRUSTED = {torch.float32: 1e-3, torch.float64: 1e-10}


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

    The difference of the scores is one product, S = [s Qs, t Qt] [Ks, -Kt]^T, with s and t the two scalings. Its
    squared Frobenius norm is the inner product of two (Ds+Dt)^2 Gram matrices, linear in L. That sum cancels where the
    models nearly agree: then it is computed again in fp64, and where even that is not enough, from S itself, a block
    of queries at a time. Short rows, for which S is the smaller product, are compared by S at once. Where one head
    count divides the other, the scores of consecutive heads are averaged in groups, which is the same product over the
    concatenated heads.

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
        padded, padded_keys = (~one.to(torch.bool)[:, None, :, None] for one in (mask, key_mask))
        # What stands in padding may be anything, NaN included, so it is replaced rather than multiplied by 0.
        scores = [
            _Scores(
                _grouped(one.query, heads).masked_fill(padded, 0.0),
                _grouped(one.key, heads).masked_fill(padded_keys, 0.0),
                one.scaling * heads / one.query.shape[1],
            )
            for one in (student, teacher)
        ]
        total = _squared_distance(*scores, causal=causal)
    if pair_count is None:
        pair_count = causal_pairs(mask) if causal else (mask.sum(-1) * key_mask.sum(-1)).sum()
    return total / (heads * at_least_some(pair_count))


class _Scores(NamedTuple):
    """Scores of head groups, not multiplied out: `scaling * query @ key.T`, (B, G, L, W) and (B, G, K, W)."""

    query: Tensor
    key: Tensor
    scaling: float


class _Found(NamedTuple):
    """A sum of squares over all pairs, its gradients by the student's queries and keys (None: not asked for), and the
    size that the parts of the sum have where it is computed by parts that cancel."""

    total: Tensor
    by_query: Tensor | None
    by_key: Tensor | None
    parts: Tensor


_Way: TypeAlias = "Callable[[Tensor, Tensor, int, bool, bool], _Found]"


def _squared_distance(student: _Scores, teacher: _Scores, *, causal: bool) -> Tensor:
    """The sum of the squared differences of the scores; with gradient to the student."""
    if torch.is_grad_enabled() and (student.query.requires_grad or student.key.requires_grad):
        total: Tensor = _SquaredDistance.apply(student.query, student.key, student.scaling, teacher, causal)
        return total
    return _find(student, teacher, causal, with_gradient=False).total.float()


class _SquaredDistance(torch.autograd.Function):
    """The gradient is found along with the sum, from the same products, and is all that is kept of them: it is as
    large as the student's queries and keys, where autograd would keep both models', and differentiate by both."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, scaling: float, teacher: _Scores, causal: bool) -> Tensor:
        found = _find(_Scores(query, key, scaling), teacher, causal, with_gradient=True)
        assert found.by_query is not None
        assert found.by_key is not None
        ctx.save_for_backward((found.by_query * scaling).float(), found.by_key.float())
        ctx.dtypes = query.dtype, key.dtype
        return found.total.float()

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        # Multiplied before it is cast: the sum over all pairs is too large for fp16, their mean is not.
        by_query, by_key = (
            (gradient * part).to(dtype) for part, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return by_query, by_key, None, None, None


@torch.no_grad()
def _find(student: _Scores, teacher: _Scores, causal: bool, *, with_gradient: bool) -> _Found:
    width = student.query.shape[-1]
    ways = list(_ways(student, teacher, causal))
    for dtype, way in ways:
        query = torch.cat([student.query.to(dtype) * student.scaling, teacher.query.to(dtype) * teacher.scaling], -1)
        key = torch.cat([student.key.to(dtype), -teacher.key.to(dtype)], -1)
        found = way(query, key, width, causal, with_gradient)
        # The last one is not looked at: a GPU would have to be waited for.
        if (dtype, way) == ways[-1] or found.total >= _TRUSTED[dtype] * found.parts:
            break
    return found


def _ways(student: _Scores, teacher: _Scores, causal: bool) -> Iterator[tuple[torch.dtype, _Way]]:
    """How the sum can be computed, the fastest first; each but the last may turn out to be too inexact."""
    own, length, keys = student.query.shape[-1], student.query.shape[-2], student.key.shape[-2]
    both = own + teacher.query.shape[-1]
    by_gram = not causal and (length + keys) * both * (both + own) < length * keys * (both + 2 * own)
    cheaper: _Way = _by_gram_matrices if by_gram else _by_scores
    device = student.query.device
    if device.type != "cpu":
        # Without waiting for a first answer there is one way: in fp64 where that is fast, else S itself.
        yield (torch.float64, cheaper) if _multiplies_doubles(device) else (torch.float32, _by_scores)
        return
    yield torch.float32, cheaper
    yield torch.float64, cheaper
    if by_gram:
        yield torch.float64, _by_scores


def _multiplies_doubles(device: torch.device) -> bool:
    """Whether a GPU multiplies fp64 at half the rate of fp32 or more: those for data centres do (compute capability
    x.0), others at a 32nd or a 64th, or not at all."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device)[1] == 0


def _by_gram_matrices(query: Tensor, key: Tensor, own: int, causal: bool, with_gradient: bool) -> _Found:
    """The sum of squares of query @ key.T, (B, G, L, W) and (B, G, K, W), as <Q'Q, K'K>.

    Args:
        query: of both models, side by side.
        key: likewise.
        own: how many of the W are the student's, the first.
        causal: not here.
        with_gradient: by the student's part of both.
    """
    assert not causal
    of_queries, of_keys = query.transpose(-1, -2) @ query, key.transpose(-1, -2) @ key
    parts = of_queries * of_keys
    by_query = 2 * (query @ of_keys[..., :own]) if with_gradient else None
    by_key = 2 * (key @ of_queries[..., :own]) if with_gradient else None
    return _Found(parts.sum().clamp_min(0.0), by_query, by_key, parts.abs().sum())


def _by_scores(query: Tensor, key: Tensor, own: int, causal: bool, with_gradient: bool) -> _Found:
    """The same from the scores themselves, a block of queries at a time; `causal`: the lower triangle alone."""
    total = query.new_zeros(())
    by_query: list[Tensor] = []
    by_key = torch.zeros_like(key[..., :own]) if with_gradient else None
    for start in range(0, query.shape[-2], _BLOCK):
        block = query[..., start : start + _BLOCK, :]
        seen = start + block.shape[-2] if causal else key.shape[-2]
        scores = block @ key[..., :seen, :].transpose(-1, -2)
        if causal:
            scores = scores.tril(start)
        total = total + scores.square().sum()
        if by_key is not None:
            by_query.append(2 * (scores @ key[..., :seen, :own]))
            by_key[..., :seen, :] += 2 * (scores.transpose(-1, -2) @ block[..., :own])
    # A score is wrong by a share of the norms of its query and its key, a square by the root of a share of theirs.
    norms = (query.square().sum((-1, -2)) * key.square().sum((-1, -2))).sum()
    return _Found(total, torch.cat(by_query, dim=-2) if with_gradient else None, by_key, 1e-3 * norms)


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
    """(B, A, L, D) -> (B, G, L, D * A/G): the heads of a group side by side."""
    batch, heads, length, width = heads_apart.shape
    if heads == groups:
        return heads_apart
    size = heads // groups
    split = heads_apart.reshape(batch, groups, size, length, width)
    return split.transpose(2, 3).reshape(batch, groups, length, size * width)


# As the table of losses calls it: s, t are the captured layer of student and teacher, at has masks and counts.


def of_encoders(s: AttentionRecord, t: AttentionRecord, _projection: None, at: LossInputs) -> Tensor:
    """Between tokens of the source."""
    return attention_loss(s, t, at.masks.source, pair_count=at.counts.pairs)


def of_decoders(s: AttentionRecord, t: AttentionRecord, _projection: None, at: LossInputs) -> Tensor:
    """Between tokens of the target, future ones left out."""
    return attention_loss(s, t, at.target_mask, causal=True, pair_count=at.counts.target_pairs)


def from_target_to_source(s: AttentionRecord, t: AttentionRecord, _projection: None, at: LossInputs) -> Tensor:
    """Rows of the target, columns of the source."""
    return attention_loss(s, t, at.target_mask, key_mask=at.masks.source, pair_count=at.counts.cross_pairs)
