"""The losses of models that answer with a span: a distribution over the first token of the answer, one over the last.

Both are over all real tokens of a row, those of the question included: that is what such models are trained to give,
so teacher and student speak of the same thing. Padding takes no part.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tinybert_hf.distillation.losses.prediction import mean_of_answers
from tinybert_hf.errors import CaptureError, check_temperature

SPANS = "question-answering"
"""Takes the place of a problem type where the logits are those of start and end."""


def span_prediction_loss(
    student: Tensor,
    teachers: Sequence[Tensor],
    mask: Tensor,
    *,
    temperature: float = 1.0,
    teacher_weights: Sequence[float] = (1.0,),
    row_count: Tensor | float | None = None,
) -> Tensor:
    """Soft cross-entropy over positions, the mean of start and end.

    Args:
        student: logits of start and end, (B, L, 2).
        teachers: the same shape, without gradient; several count as one that gives the weighted mean of their
            probabilities.
        mask: (B, L), true at real tokens.
        temperature: from 1e-4 to 1e6; larger is softer. As published, without the factor temperature^2.
        teacher_weights: of each teacher, with the sum 1.
        row_count: number of rows to divide by; None: those of this batch.

    Returns:
        Scalar in nats, averaged over rows; a row without tokens gives 0.

    Raises:
        CaptureError: the logits have different shapes, or the temperature is none.

    Source:
        Jiao et al. 2020, TinyBERT, equation 10, for each of the two distributions.
    """
    check_temperature(temperature)
    for one in teachers:
        if student.shape != one.shape:
            raise CaptureError(
                f"Start and end logits of shape {tuple(student.shape)} cannot learn from those of shape "
                f"{tuple(one.shape)}: both models must read the same tokens, and answer with a span."
            )
    with torch.autocast(student.device.type, enabled=False):
        aims = [_over_positions(one, mask, temperature).softmax(-1) for one in teachers]
        aim = aims[0] if len(aims) == 1 else mean_of_answers(aims, teacher_weights)
        each = -(aim * _over_positions(student, mask, temperature).log_softmax(-1)).sum(-1)
        # A row without tokens has no place to answer at, where two even distributions would differ by log L.
        each = each.masked_fill(~mask.bool().any(-1, keepdim=True), 0.0)
        return each.mean(-1).sum() / (student.shape[0] if row_count is None else row_count)


def span_label_loss(
    student: Tensor, positions: Tensor, mask: Tensor, *, row_count: Tensor | float | None = None
) -> Tensor:
    """Cross-entropy over positions, the mean of start and end.

    Args:
        student: logits of start and end, (B, L, 2).
        positions: first and last token of each answer, (B, 2); L or more where it was cut off, which counts
            for nothing.
        mask: (B, L), true at real tokens.
        row_count: number of rows to divide by; None: those of this batch.

    Returns:
        Scalar in nats, averaged over rows; a row without tokens gives 0.
    """
    with torch.autocast(student.device.type, enabled=False):
        logits = _over_positions(student, mask, 1.0)
        length = logits.shape[-1]
        empty = ~mask.bool().any(-1, keepdim=True)
        aims = positions.clamp(max=length).masked_fill(empty, length).flatten()
        total = F.cross_entropy(logits.flatten(0, 1), aims, ignore_index=length, reduction="sum") / 2
    return total / (student.shape[0] if row_count is None else row_count)


def mixed_span_logits(teachers: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Logits of the weighted mean of several models' probabilities over the positions of one row.

    They are as large as the models' own, whose mean log-sum they have: of two windows of a context the one that the
    models are surer of has the higher logits still. Models that agree give back their own.

    Args:
        teachers: logits of start and end of one row without padding, (L, 2).
        weights: of each, with the sum 1.
    """
    mean = mean_of_answers([one.float().softmax(0) for one in teachers], weights)
    size = sum(weight * one.float().logsumexp(0) for one, weight in zip(teachers, weights, strict=True))
    return mean.clamp_min(torch.finfo(mean.dtype).tiny).log() + size


def _over_positions(logits: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """(B, 2, L), with nothing left for the padding."""
    scores = logits.float().transpose(1, 2) / temperature
    # The lowest finite number: minus infinity times a probability of 0 would not be a number.
    return scores.masked_fill(~mask.bool()[:, None], torch.finfo(scores.dtype).min)
