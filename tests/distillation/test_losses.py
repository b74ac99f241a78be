"""Each loss against a plain loop over rows, heads and tokens; and what every loss has in common."""

from __future__ import annotations

import pytest
import torch
from tiny_models import batch_of, bert
from torch import Tensor, nn

from tinybert_hf.distillation import LOSSES, AttentionRecord, Counts, Objective, distillation_losses
from tinybert_hf.distillation.losses import DECODER_LOSSES
from tinybert_hf.distillation.losses.attention import attention_loss
from tinybert_hf.distillation.losses.hidden_state import hidden_state_loss
from tinybert_hf.distillation.losses.prediction import prediction_loss
from tinybert_hf.errors import CaptureError

LENGTHS = [9, 1, 5]


def mask_of(lengths: list[int], width: int) -> Tensor:
    return (torch.arange(width)[None, :] < torch.tensor(lengths)[:, None]).long()


def record(heads: int, width: int, length: int, seed: int) -> AttentionRecord:
    generator = torch.Generator().manual_seed(seed)
    shape = (len(LENGTHS), heads, length, width)
    return AttentionRecord(
        torch.randn(shape, generator=generator, dtype=torch.float32, requires_grad=True),
        torch.randn(shape, generator=generator, requires_grad=True),
        width**-0.5,
    )


def grouped_scores(one: AttentionRecord, row: int, groups: int) -> list[Tensor]:
    """The (L, L) scores of a row, averaged over consecutive heads, written plainly."""
    scores = [one.scaling * one.query[row, h] @ one.key[row, h].T for h in range(one.query.shape[1])]
    size = len(scores) // groups
    return [torch.stack(scores[g * size : (g + 1) * size]).mean(0) for g in range(groups)]


@pytest.mark.parametrize("length", [9, 60])  # below and above the width at which the Gram form takes over
@pytest.mark.parametrize(("student_heads", "teacher_heads"), [(4, 4), (2, 6), (6, 2), (1, 3)])
def test_attention_loss_equals_the_plain_loop(student_heads: int, teacher_heads: int, length: int) -> None:
    student, teacher = record(student_heads, 5, length, 0), record(teacher_heads, 8, length, 1)
    total, groups = torch.zeros(()), min(student_heads, teacher_heads)
    for row, real in enumerate(LENGTHS):
        pairs = zip(grouped_scores(student, row, groups), grouped_scores(teacher, row, groups), strict=True)
        total = total + sum((s - t)[:real, :real].square().sum() for s, t in pairs)
    expected = total / (groups * sum(real**2 for real in LENGTHS))
    loss = attention_loss(student, teacher, mask_of(LENGTHS, length))
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    inputs = (student.query, student.key)
    ours, plain = torch.autograd.grad(loss, inputs), torch.autograd.grad(expected, inputs)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_hidden_state_loss_equals_the_plain_loop() -> None:
    student, teacher = torch.randn(3, 9, 4), torch.randn(3, 9, 6)
    projection = nn.Linear(4, 6)
    total = torch.zeros(())
    for row, real in enumerate(LENGTHS):
        for token in range(real):
            total = total + (projection(student[row, token]) - teacher[row, token]).square().mean()
    loss = hidden_state_loss(student, teacher, mask_of(LENGTHS, 9), projection)
    torch.testing.assert_close(loss, total / sum(LENGTHS))


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_prediction_loss_equals_the_formula(temperature: float) -> None:
    student, teacher = torch.randn(4, 3), torch.randn(4, 3)
    total = 0.0
    for s, t in zip(student / temperature, teacher / temperature, strict=True):
        p = t.exp() / t.exp().sum()
        total = total - (p * (s - s.exp().sum().log())).sum()
    torch.testing.assert_close(prediction_loss(student, teacher, temperature=temperature), total / 4)


def test_prediction_loss_of_other_problems() -> None:
    student, teacher = torch.randn(4, 3), torch.randn(4, 3)
    torch.testing.assert_close(
        prediction_loss(student, teacher, problem_type="regression"), nn.functional.mse_loss(student, teacher)
    )
    torch.testing.assert_close(
        prediction_loss(student, teacher, problem_type="multi_label_classification"),
        nn.functional.binary_cross_entropy_with_logits(student, teacher.sigmoid()),
    )


def test_prediction_of_every_token_leaves_the_padding_out() -> None:
    student, teacher = torch.randn(3, 9, 5), torch.randn(3, 9, 5)
    mask = mask_of(LENGTHS, 9)
    rows = (
        torch.cat([student[i, :n] for i, n in enumerate(LENGTHS)]),
        torch.cat([teacher[i, :n] for i, n in enumerate(LENGTHS)]),
    )
    torch.testing.assert_close(prediction_loss(student, teacher, mask), prediction_loss(*rows))
    with pytest.raises(CaptureError, match="attention mask"):
        prediction_loss(student, teacher)


def test_losses_at_equality_are_zero_and_pull_nowhere() -> None:
    student, teacher = bert(), bert()
    losses = distillation_losses(student, teacher, batch_of(LENGTHS))
    for name, loss in losses.items():
        gradients = torch.autograd.grad(loss, list(student.parameters()), allow_unused=True, retain_graph=True)
        assert max(float(g.abs().max()) for g in gradients if g is not None) < 1e-5, name
        if name != "prediction_loss":  # a cross-entropy ends at the teacher's entropy
            assert loss.item() < 1e-9, name


@pytest.mark.parametrize("name", sorted(set(LOSSES) - set(DECODER_LOSSES)))
def test_each_loss_teaches_the_student_and_not_the_teacher(name: str) -> None:
    student, teacher, projection = bert(), bert(layers=4, hidden=32, heads=8), nn.Linear(24, 32)
    batch = {**batch_of(LENGTHS), "labels": torch.tensor([0, 2, 1])}
    distillation_losses(student, teacher, batch, projections=projection, losses=[name])[name].backward()
    assert any(p.grad is not None and float(p.grad.abs().max()) > 1e-6 for p in student.parameters())
    assert all(p.grad is None for p in teacher.parameters())
    assert (projection.weight.grad is not None) == (name in ("hidden_state_loss", "embedding_loss"))


def test_padding_changes_no_loss_and_no_gradient() -> None:
    student, teacher, projection = bert(), bert(layers=4, hidden=32, heads=8), nn.Linear(24, 32)
    results = []
    for width in (9, 14, 70):
        batch = batch_of(LENGTHS, padded_to=width)
        losses = distillation_losses(student, teacher, batch, projections=projection)
        gradients = torch.autograd.grad(sum(losses.values()), list(student.parameters()))
        results.append((losses, gradients))
    for losses, gradients in results[1:]:
        for name, loss in losses.items():
            torch.testing.assert_close(loss, results[0][0][name], rtol=1e-6, atol=1e-6)
        for a, b in zip(gradients, results[0][1], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_nan_in_padding_is_never_read() -> None:
    mask = mask_of(LENGTHS, 9)
    student, teacher = torch.randn(3, 9, 4), torch.randn(3, 9, 4)
    clean = hidden_state_loss(student, teacher, mask)
    student = student.masked_fill(~mask.bool()[..., None], float("nan"))
    torch.testing.assert_close(hidden_state_loss(student, teacher, mask), clean)
    one, two = record(2, 5, 9, 0), record(2, 5, 9, 1)
    clean = attention_loss(one, two, mask)
    spoilt = AttentionRecord(one.query.masked_fill(~mask.bool()[:, None, :, None], float("nan")), one.key, one.scaling)
    torch.testing.assert_close(attention_loss(spoilt, two, mask), clean)


def test_published_definition_without_padding() -> None:
    """Equations 7 to 9 of the paper on a batch of full rows: plain means over everything."""
    student, teacher, projection = bert(), bert(layers=4, hidden=32, heads=4), nn.Linear(24, 32)
    batch = batch_of([8, 8])
    losses = distillation_losses(student, teacher, batch, projections=projection)
    outputs = {}
    for name, model in (("student", student), ("teacher", teacher)):
        outputs[name] = model(**batch, output_hidden_states=True).hidden_states
    mse = nn.functional.mse_loss
    hidden = sum(mse(projection(outputs["student"][m]), outputs["teacher"][n]) for m, n in ((1, 2), (2, 4)))
    torch.testing.assert_close(losses["hidden_state_loss"], hidden)
    torch.testing.assert_close(losses["embedding_loss"], mse(projection(outputs["student"][0]), outputs["teacher"][0]))
    attention = sum(
        mse(scores(student, outputs["student"], m), scores(teacher, outputs["teacher"], n))
        for m, n in ((1, 2), (2, 4))
    )
    torch.testing.assert_close(losses["attention_loss"], attention, rtol=1e-5, atol=1e-5)


def scores(model: nn.Module, hidden: tuple[Tensor, ...], layer: int) -> Tensor:
    """Q K^T / sqrt(d) from the layer's own weights and the states that enter it."""
    part = model.bert.encoder.layer[layer - 1].attention.self
    entering, heads = hidden[layer - 1], part.num_attention_heads
    query, key = (f(entering).unflatten(-1, (heads, -1)).transpose(1, 2) for f in (part.query, part.key))
    return query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5


def test_parts_of_a_batch_add_up_to_the_whole() -> None:
    student, teacher, projection = bert(), bert(layers=4, hidden=32), nn.Linear(24, 32)
    objective = Objective.between(student, teacher)
    lookup = dict.fromkeys((0, 1, 2), projection)
    whole = batch_of([9, 1, 5, 7])

    def losses(batch: dict[str, Tensor], counts: Counts) -> dict[str, Tensor]:
        seen, made = objective.capture_teacher(teacher, batch), objective.capture_student(student, batch)
        return objective.compute(made, seen, batch["attention_mask"], lookup, counts)

    counts = Counts.of(whole["attention_mask"])
    expected = losses(whole, counts)
    halves = [losses({k: v[part] for k, v in whole.items()}, counts) for part in (slice(0, 1), slice(1, 4))]
    for name, loss in expected.items():
        torch.testing.assert_close(halves[0][name] + halves[1][name], loss)


def test_half_precision_inputs_are_reduced_in_single() -> None:
    student, teacher = record(2, 8, 40, 0), record(2, 8, 40, 1)
    exact = attention_loss(student, teacher, mask_of(LENGTHS, 40))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert attention_loss(student, teacher, mask_of(LENGTHS, 40)).dtype == torch.float32
        torch.testing.assert_close(attention_loss(student, teacher, mask_of(LENGTHS, 40)), exact)
