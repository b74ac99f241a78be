"""The losses of models that answer with a first and a last token."""

from __future__ import annotations

import pytest
import torch
from tiny_models import COMMON, batch_of, bert
from torch import Tensor
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    PreTrainedModel,
    RobertaConfig,
    RobertaForQuestionAnswering,
)

from tinybert_hf.distillation import Counts, Objective, Teachers, distillation_losses
from tinybert_hf.distillation.architecture import answers_with_spans
from tinybert_hf.distillation.losses.prediction import SPANS, mixed_span_logits, span_label_loss, span_prediction_loss
from tinybert_hf.errors import CaptureError, TeacherError

LENGTHS = [9, 1, 5]
MASK = (torch.arange(9)[None, :] < torch.tensor(LENGTHS)[:, None]).long()


def answerer(layers: int = 2, hidden: int = 24, seed: int = 0) -> PreTrainedModel:
    torch.manual_seed(seed)
    config = BertConfig(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=48,
        **{**COMMON, "num_labels": 2},
    )
    return BertForQuestionAnswering(config).eval()


def plain(student: Tensor, teachers: list[Tensor], weights: list[float], temperature: float) -> Tensor:
    """The same as a loop over rows, both ends and positions."""
    total = torch.zeros(())
    for row, length in enumerate(LENGTHS):
        for end in range(2):
            said = (student[row, :length, end] / temperature).log_softmax(0)
            aim = sum(
                weight * (one[row, :length, end] / temperature).softmax(0)
                for one, weight in zip(teachers, weights, strict=True)
            )
            total = total - sum(aim[place] * said[place] for place in range(length)) / 2
    return total / len(LENGTHS)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("weights", [[1.0], [0.25, 0.75]])
def test_prediction_equals_the_plain_loop(weights: list[float], temperature: float) -> None:
    student = (5 * torch.randn(3, 9, 2)).requires_grad_()
    teachers = [5 * torch.randn(3, 9, 2) for _ in weights]
    loss = span_prediction_loss(student, teachers, MASK, temperature=temperature, teacher_weights=weights)
    expected = plain(student, teachers, weights, temperature)
    torch.testing.assert_close(loss, expected)
    ours, theirs = torch.autograd.grad(loss, student)[0], torch.autograd.grad(expected, student)[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    half = span_prediction_loss(
        student, teachers, MASK, temperature=temperature, teacher_weights=weights, row_count=6.0
    )
    torch.testing.assert_close(2 * half, expected)


def test_no_gradient_at_equality_and_none_to_the_padding() -> None:
    teacher = torch.randn(3, 9, 2)
    student = teacher.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(span_prediction_loss(student, [teacher], MASK, temperature=2.0), student)
    assert gradient.abs().max() < 1e-7
    other = torch.randn(3, 9, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(span_prediction_loss(other, [teacher], MASK), other)
    assert gradient[~MASK.bool()].abs().max() == 0
    assert gradient[0].abs().max() > 1e-3


def test_labels_equal_transformers_own_loss() -> None:
    model, batch = answerer(), batch_of([9, 5])
    positions = {"start_positions": torch.tensor([3, 0]), "end_positions": torch.tensor([4, 2])}
    ones = {**batch, "attention_mask": torch.ones_like(batch["attention_mask"])}
    output = model(**ones, **positions)
    logits = torch.stack([output.start_logits, output.end_logits], -1)
    pairs = torch.stack([*positions.values()], -1)
    torch.testing.assert_close(span_label_loss(logits, pairs, ones["attention_mask"]), output.loss)
    # Where there is padding, transformers lets it take part, and this does not.
    masked = logits.masked_fill(~batch["attention_mask"].bool()[..., None], -torch.inf)
    expected = sum(torch.nn.functional.cross_entropy(masked[..., end], pairs[:, end]) for end in range(2)) / 2
    torch.testing.assert_close(span_label_loss(logits, pairs, batch["attention_mask"]), expected)
    # An answer behind the last token counts for nothing.
    beyond = torch.tensor([[3, 4], [9, 400]])
    only = span_label_loss(logits[:1], beyond[:1], batch["attention_mask"][:1])
    torch.testing.assert_close(2 * span_label_loss(logits, beyond, batch["attention_mask"]), only)


def test_the_objective_takes_positions_for_what_they_are() -> None:
    student, teacher, batch = answerer(), answerer(layers=4, seed=1), batch_of(LENGTHS)
    assert answers_with_spans(student)
    assert not answers_with_spans(bert())
    assert Objective.between(student, teacher, losses=["prediction_loss"]).problem_type == SPANS
    batch |= {"start_positions": torch.tensor([3, 0, 1]), "end_positions": torch.tensor([4, 0, 2])}
    losses = distillation_losses(student, teacher, batch, losses=["prediction_loss", "label_loss"])
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    ours, theirs = (
        torch.stack([said.start_logits, said.end_logits], -1) for said in (student(**inputs), teacher(**inputs))
    )
    torch.testing.assert_close(losses["prediction_loss"], plain(ours, [theirs], [1.0], 1.0))
    positions = torch.stack([batch["start_positions"], batch["end_positions"]], -1)
    torch.testing.assert_close(losses["label_loss"], span_label_loss(ours, positions, MASK))
    same = distillation_losses(student, student, batch)
    (gradient,) = torch.autograd.grad(same["prediction_loss"], student.qa_outputs.weight)
    assert gradient.abs().max() < 1e-6


def test_losses_are_unchanged_by_padding_and_by_the_split_into_batches() -> None:
    student, teacher = answerer(), answerer(layers=4, hidden=24, seed=1)
    batch, padded = batch_of([9, 6, 5, 2]), batch_of([9, 6, 5, 2], padded_to=20)
    expected = distillation_losses(student, teacher, batch)
    wider = distillation_losses(student, teacher, padded)
    for name, loss in expected.items():
        torch.testing.assert_close(wider[name], loss, rtol=1e-4, atol=1e-6)
    objective = Objective.between(student, teacher, losses=["prediction_loss"])
    counts = Counts.of(batch["attention_mask"])
    parts = []
    for rows in (slice(0, 1), slice(1, 4)):
        own = {name: value[rows] for name, value in batch.items()}
        seen, made = objective.capture_teachers(teacher, own), objective.capture_student(student, own)
        parts.append(objective.compute(made, seen, own["attention_mask"], {}, counts)["prediction_loss"])
    torch.testing.assert_close(torch.stack(parts).sum(), expected["prediction_loss"])


def test_several_teachers_count_by_their_probabilities() -> None:
    student, batch = answerer(), batch_of(LENGTHS)
    teachers = [answerer(layers=4, seed=seed) for seed in (1, 2)]
    objective = Objective.between(student, Teachers(teachers, [3.0, 1.0]), losses=["prediction_loss"])
    seen = objective.capture_teachers(Teachers(teachers, [3.0, 1.0]), batch)  # type: ignore[arg-type]
    towards = [each.in_order(one.logits) for each, one in zip(objective.each, seen, strict=True)]
    made = objective.capture_student(student, batch)
    assert made.logits is not None
    expected = plain(made.logits, towards, [0.75, 0.25], 1.0)
    loss = objective.compute(made, seen, batch["attention_mask"])["prediction_loss"]
    torch.testing.assert_close(loss, expected)
    mean = mixed_span_logits([one[0] for one in towards], (0.75, 0.25)).softmax(0)
    torch.testing.assert_close(mean, 0.75 * towards[0][0].softmax(0) + 0.25 * towards[1][0].softmax(0))
    # Windows of one context stay comparable: models that agree give back their own logits.
    torch.testing.assert_close(mixed_span_logits([towards[0][0]] * 2, (0.75, 0.25)), towards[0][0])


def test_what_does_not_fit_is_refused() -> None:
    batch = batch_of(LENGTHS)
    with pytest.raises(CaptureError, match="answer with a span"):
        distillation_losses(answerer(), bert(layers=4), batch, losses=["prediction_loss"])
    with pytest.raises(CaptureError, match="needs labels"):
        distillation_losses(answerer(), answerer(layers=4), batch, losses=["label_loss"])


def test_teachers_with_tokens_of_their_own_are_refused() -> None:
    other = RobertaForQuestionAnswering(
        RobertaConfig(vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)
    )
    teachers = Teachers([answerer(layers=4), other])
    teachers.differences = ((), ("film 3 and 7",))
    with pytest.raises(TeacherError, match=r"teachers\[1\].*places among the tokens.*with the student's tokenizer"):
        Objective.between(answerer(), teachers, losses=["prediction_loss"])


def test_a_row_without_tokens_is_worth_nothing() -> None:
    mask = MASK.clone()
    mask[1] = 0
    student = torch.randn(3, 9, 2, requires_grad=True)
    teacher, positions = torch.randn(3, 9, 2), torch.tensor([[1, 4], [0, 0], [2, 2]])
    kept = [0, 2]
    for loss, expected in (
        (
            span_prediction_loss(student, [teacher], mask, temperature=2.0),
            span_prediction_loss(student[kept], [teacher[kept]], mask[kept], temperature=2.0, row_count=3.0),
        ),
        (
            span_label_loss(student, positions, mask),
            span_label_loss(student[kept], positions[kept], mask[kept], row_count=3.0),
        ),
    ):
        torch.testing.assert_close(loss, expected)
        (gradient,) = torch.autograd.grad(loss, student)
        assert gradient.isfinite().all()
        assert gradient[1].abs().max() == 0
    empty, none = torch.zeros_like(mask), torch.full((3, 9, 2), float("nan"), requires_grad=True)
    for loss in (span_prediction_loss(none, [teacher], empty), span_label_loss(none, positions, empty)):
        (gradient,) = torch.autograd.grad(loss, none)
        assert loss.item() == 0
        assert gradient.abs().max() == 0
