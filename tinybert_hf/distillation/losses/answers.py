"""What both models answer, and the loss that fits the kind of answer: one a row, one a token, or a span."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from tinybert_hf.distillation.losses.label import label_loss
from tinybert_hf.distillation.losses.prediction import prediction_loss
from tinybert_hf.distillation.losses.spans import SPANS, span_label_loss, span_prediction_loss
from tinybert_hf.errors import CaptureError

if TYPE_CHECKING:
    from tinybert_hf.distillation.capture import Capture
    from tinybert_hf.distillation.losses.entry import LossInputs


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
