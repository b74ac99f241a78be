"""The student's predictions towards the teacher's, and towards labels: of texts, words and spans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from tinybert_hf.errors import CaptureError, check_temperature

if TYPE_CHECKING:
    from tinybert_hf.distillation.capturing import Capture
    from tinybert_hf.distillation.losses.entry import LossInputs


# The student's predictions towards the teacher's.

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


# The student's predictions towards the labels: of people, or of a teacher that has written them down.


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


# The losses of models that answer with a span: a distribution over the first token of the answer, one over the last.
#
# Both are over all real tokens of a row, those of the question included: that is what such models are trained to give,
# so teacher and student speak of the same thing. Padding takes no part.

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


# What both models answer, and the loss that fits the kind of answer: one a row, one a token, or a span.


def logits_of(capture: Capture) -> Tensor:
    """The logits of a capture.

    Raises:
        CaptureError: the model has no head.
    """
    if capture.logits is None:
        raise CaptureError(
            "The prediction loss needs logits from both models, but one of them has no head. Load it with its "
            "AutoModelFor... class, or leave the prediction loss out."
        )
    return capture.logits


def towards_teachers(inputs: LossInputs) -> Tensor:
    """The prediction loss: towards the weighted mean of what all teachers answer."""
    student = logits_of(inputs.student)
    teachers = [
        towards.in_order(logits_of(seen)) for towards, seen in zip(inputs.towards, inputs.teachers, strict=True)
    ]
    counts, masks = inputs.counts, inputs.masks
    if inputs.problem_type == SPANS:
        return span_prediction_loss(
            student,
            teachers,
            masks.source,
            temperature=inputs.temperature,
            teacher_weights=inputs.weights,
            row_count=counts.rows,
        )
    count = counts.rows
    if student.dim() == 3 and all(student.shape[:-1] == teacher.shape[:-1] for teacher in teachers):
        # Only real tokens are looked at: padding would cost a softmax over the vocabulary each.
        real = (inputs.target_mask if inputs.translates else masks.source).bool()
        count = counts.target_tokens if inputs.translates else counts.tokens
        if masks.word_starts is not None:
            real, count = masks.word_starts.bool(), counts.word_starts
        student, teachers = student[real], [teacher[real] for teacher in teachers]
    return prediction_loss(
        student,
        teachers,
        problem_type=inputs.problem_type,
        temperature=inputs.temperature,
        row_count=count,
        teacher_weights=inputs.weights,
    )


def towards_labels(inputs: LossInputs) -> Tensor:
    """The label loss: the student's own on the labels."""
    labels = inputs.labels
    if labels is None:
        raise CaptureError("The label loss needs labels in the batch. Give rows with labels, or leave it out.")
    logits, count = logits_of(inputs.student), inputs.counts.rows
    if inputs.problem_type == SPANS:
        return span_label_loss(logits, labels, inputs.masks.source, row_count=count)
    if logits.dim() == 3:
        real = labels != -100
        logits, labels, count = logits[real], labels[real], inputs.counts.target_tokens
    return label_loss(logits, labels, problem_type=inputs.problem_type, row_count=count)
