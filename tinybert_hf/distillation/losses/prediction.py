"""The student's predictions towards the teacher's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tinybert_hf.errors import CaptureError, check_temperature

REGRESSION = "regression"
MULTI_LABEL = "multi_label_classification"
SINGLE_LABEL = "single_label_classification"


def prediction_loss(
    student: Tensor,
    teacher: Tensor | Sequence[Tensor],
    mask: Tensor | None = None,
    *,
    problem_type: str = SINGLE_LABEL,
    temperature: float = 1.0,
    teacher_weights: Sequence[float] = (1.0,),
    row_count: Tensor | float | None = None,
) -> Tensor:
    """Soft cross-entropy of the student's logits against the teacher's; squared error for a regression.

    One label of C: the cross-entropy between the two softmax distributions, both at `temperature` (as published,
    without
    the factor temperature^2). Several labels: the mean over labels of the binary cross-entropies. Regression: the mean
    over outputs of the squared difference; the temperature has no meaning there. Several teachers count as one that
    gives the weighted mean of their probabilities, each at `temperature`; of their values in a regression.

    Args:
        student: logits, (B, C), or (B, L, C) for one prediction a token.
        teacher: the same shape, the labels in the student's order, without gradient; several of these for several
            teachers.
        mask: (B, L), true at real tokens; only for logits of every token.
        problem_type: as in a transformers configuration.
        temperature: from 1e-4 to 1e6; larger is softer.
        teacher_weights: of each teacher, with the sum 1.
        row_count: number of rows (or real tokens) to divide by; None: those of this batch.

    Returns:
        Scalar in nats (squared label units for a regression), averaged over rows or real tokens.

    Raises:
        CaptureError: the two logits have different shapes, or the temperature is none.

    Source:
        Jiao et al. 2020, TinyBERT, equation 10.
    """
    check_temperature(temperature)
    teachers = [teacher] if isinstance(teacher, Tensor) else teacher
    for one in teachers:
        if student.shape != one.shape:
            raise CaptureError(
                f"Student logits of shape {tuple(student.shape)} cannot learn from teacher logits of shape "
                f"{tuple(one.shape)}: the two models must have the same task and the same number of labels."
            )
    with torch.autocast(student.device.type, enabled=False):
        aims = [_answers(one.float(), problem_type, temperature) for one in teachers]
        aim = aims[0] if len(aims) == 1 else mean_of_answers(aims, teacher_weights)
        each = _per_item(student.float(), aim, problem_type, temperature)
        if each.dim() == 2:
            if mask is None:
                raise CaptureError(
                    "Logits of every token need the attention mask, to leave the padding out: give `mask`."
                )
            each = each.masked_fill(~mask.to(torch.bool), 0.0)
        if row_count is None:
            row_count = each.shape[0] if each.dim() == 1 or mask is None else mask.sum()
        return each.sum() / row_count


def mixed_logits(teachers: Sequence[Tensor], weights: Sequence[float], problem_type: str) -> Tensor:
    """Logits of the weighted mean of several models' probabilities; of a regression, the mean of the values.

    Args:
        teachers: logits of one shape (..., C), the labels in one order.
        weights: of each, with the sum 1.
        problem_type: as in a transformers configuration.
    """
    mean = mean_of_answers([_answers(one.float(), problem_type, 1.0) for one in teachers], weights)
    if problem_type == REGRESSION:
        return mean
    if problem_type == MULTI_LABEL:
        return mean.logit(eps=torch.finfo(mean.dtype).eps)
    return mean.clamp_min(torch.finfo(mean.dtype).tiny).log()


def _answers(logits: Tensor, problem_type: str, temperature: float) -> Tensor:
    """Probabilities, or the values of a regression."""
    if problem_type == REGRESSION:
        return logits
    logits = logits / temperature
    return logits.sigmoid() if problem_type == MULTI_LABEL else logits.softmax(-1)


def mean_of_answers(answers: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The weighted mean of what several teachers answer."""
    return torch.stack([answer * weight for answer, weight in zip(answers, weights, strict=True)]).sum(0)


def _per_item(student: Tensor, aim: Tensor, problem_type: str, temperature: float) -> Tensor:
    if problem_type == REGRESSION:
        return (student - aim).square().mean(-1)
    student = student / temperature
    if problem_type == MULTI_LABEL:
        return F.binary_cross_entropy_with_logits(student, aim, reduction="none").mean(-1)
    return -(aim * student.log_softmax(-1)).sum(-1)
