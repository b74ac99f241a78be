"""Half precision, rows without tokens, and very large scores, against formulas in float64; and the order of rows."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import tiny_seq2seq
import torch
from tiny_models import batch_of, bert
from torch import Tensor, nn

from tinybert_hf.distillation import AttentionRecord, Counts, Objective, distillation_losses
from tinybert_hf.distillation.capturing import Capture
from tinybert_hf.distillation.losses import attention_loss, hidden_state_loss, prediction_loss
from tinybert_hf.errors import CaptureError

HALVES = [torch.bfloat16, torch.float16]
# Of the whole gradient, by its norm, after two layers with forward and backward in half precision.
# Measured: 8e-7, 3.2e-3, 1.3e-2.
GRADIENT_BOUND = {torch.float32: 3e-6, torch.float16: 8e-3, torch.bfloat16: 3e-2}


def error(found: list[Tensor], exact: list[Tensor]) -> float:
    """The norm of the difference, as a share of the norm."""
    difference = sum(float((a.double() - b.double()).square().sum()) for a, b in zip(found, exact, strict=True))
    return (difference / sum(float(b.double().square().sum()) for b in exact)) ** 0.5


def formulas(objective: Objective, ours: Capture, theirs: Capture, mask: Tensor, maps: nn.ModuleList) -> Tensor:
    """Equations 7 to 10 in the precision of the captures, with every score built."""
    real = mask.bool()
    pairs = real[:, None, :, None] & real[:, None, None, :]

    def scores(record: AttentionRecord) -> Tensor:
        return record.scaling * record.query @ record.key.transpose(-1, -2)

    total = torch.zeros((), dtype=maps[0].weight.dtype)
    for m, n in objective.each[0].layer_map("attention_loss").pairs:
        squares = (scores(ours.attention[m]) - scores(theirs.attention[n])).square()
        total = total + (squares * pairs).sum() / (squares.shape[1] * pairs.sum())
    for (m, n), projection in zip(
        ((0, 0), *objective.each[0].layer_map("hidden_state_loss").pairs), maps, strict=True
    ):
        squares = (projection(ours.hidden_states[m])[real] - theirs.hidden_states[n][real]).square()
        total = total + squares.mean()
    assert ours.logits is not None
    assert theirs.logits is not None
    return total - (theirs.logits.softmax(-1) * ours.logits.log_softmax(-1)).sum(-1).mean()


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
def test_gradients_against_float64(dtype: torch.dtype) -> None:
    student, teacher, batch = bert(), bert(layers=4, hidden=32), batch_of([9, 1, 5, 7])
    torch.manual_seed(2)
    maps = nn.ModuleList([nn.Linear(24, 32) for _ in range(3)])
    wide_student, wide_teacher, wide_maps = (copy.deepcopy(one).double() for one in (student, teacher, maps))
    objective = Objective.between(student, teacher)
    made, seen = objective.capture_student(wide_student, batch), objective.capture_teachers(wide_teacher, batch)
    exact_loss = formulas(objective, made, seen[0], batch["attention_mask"], wide_maps)
    exact_loss.backward()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        loss = sum(distillation_losses(student, teacher, batch, projections=list(maps)).values())
    loss.backward()
    found = [p.grad for one in (student, maps) for p in one.parameters()]
    exact = [p.grad for one in (wide_student, wide_maps) for p in one.parameters()]
    assert loss.dtype == torch.float32
    bound = GRADIENT_BOUND[dtype]
    assert loss.item() == pytest.approx(exact_loss.item(), rel=bound)
    assert error(found, exact) < bound


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_losses_reduce_half_precision_in_single(dtype: torch.dtype) -> None:
    """Thousands of squares, whose sum in half precision would lose or overflow."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return (8 * torch.randn(shape, generator=generator)).to(dtype)

    mask = torch.ones(4, 64)
    states, logits = [random(4, 64, 96) for _ in range(2)], [random(4, 3) for _ in range(2)]
    heads = [random(4, 4, 64, 16) for _ in range(4)]
    q, k, other_q, other_k = (each.double() for each in heads)
    exact = {
        "hidden": (states[0].double() - states[1].double()).square().mean(),
        "prediction": -(logits[1].double().softmax(-1) * logits[0].double().log_softmax(-1)).sum(-1).mean(),
        "attention": (0.25 * (q @ k.transpose(-1, -2) - other_q @ other_k.transpose(-1, -2))).square().mean(),
    }
    with torch.autocast("cpu", dtype=dtype):
        found = {
            "hidden": hidden_state_loss(*states, mask),
            "prediction": prediction_loss(*logits),
            "attention": attention_loss(
                AttentionRecord(heads[0], heads[1], 0.25), AttentionRecord(heads[2], heads[3], 0.25), mask
            ),
        }
    for name, loss in found.items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(float(exact[name]), rel=1e-5), name


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_rows_without_a_token_count_for_nothing_between_layers(dtype: torch.dtype, attention: str) -> None:
    student, teacher = bert(), bert(layers=4, hidden=32)
    projection = nn.Linear(24, 32)
    for model in (student, teacher):
        model.set_attn_implementation(attention)
    losses = tuple(name for name in distillation_losses(student, teacher, batch_of([3]), projections=projection))[:3]

    def results(batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[Tensor]]:
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            parts = distillation_losses(student, teacher, batch, projections=projection)
        assert all(part.isfinite() for part in parts.values())
        parts = {name: parts[name] for name in losses}
        parameters = [*student.bert.encoder.parameters(), *projection.parameters()]
        return parts, list(torch.autograd.grad(sum(parts.values()), parameters))

    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 5e-2, "atol": 5e-2}
    whole = batch_of([9, 0, 5])
    parts, gradients = results(whole)
    expected, wanted = results({name: value[[0, 2]] for name, value in whole.items()})
    for name, part in parts.items():
        torch.testing.assert_close(part, expected[name], **tolerance)
    assert all(gradient.isfinite().all() for gradient in gradients)
    if dtype == torch.float32:
        assert error(gradients, wanted) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
def test_a_source_or_a_target_without_a_token(dtype: torch.dtype) -> None:
    """Every key of a cross-attention masked, and a row that asks for nothing."""
    student, teacher = tiny_seq2seq.student(), tiny_seq2seq.teacher("marian")
    batch = tiny_seq2seq.translation_batch()
    batch["attention_mask"][0] = 0
    batch["labels"][1] = -100
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        parts = distillation_losses(
            student, teacher, batch, projections=nn.Linear(24, 32), decoder_projections=nn.Linear(16, 32)
        )
    gradients = torch.autograd.grad(sum(parts.values()), [p for p in student.parameters() if p.requires_grad])
    assert all(part.isfinite() for part in parts.values())
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
@pytest.mark.parametrize("length", [6, 60], ids=["product", "gram"])
def test_scores_of_ten_thousand(dtype: torch.dtype, length: int) -> None:
    """Larger than what float16 holds once squared."""
    generator = torch.Generator().manual_seed(0)
    tensors = [100 * torch.sign(torch.randn(2, 4, length, 8, generator=generator)) for _ in range(4)]
    halves = [tensor.to(dtype).clone().requires_grad_(index < 2) for index, tensor in enumerate(tensors)]
    wide = [tensor.detach().double() for tensor in tensors]
    scores = [0.354 * q @ k.transpose(-1, -2) for q, k in (wide[:2], wide[2:])]
    assert scores[0].max() > 1e4
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        loss = attention_loss(
            AttentionRecord(halves[0], halves[1], 0.354), AttentionRecord(halves[2], halves[3], 0.354),
            torch.ones(2, length),
        )  # fmt: skip
    assert loss.item() == pytest.approx((scores[0] - scores[1]).square().mean().item(), rel=1e-4)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(loss, halves[:2]))


def test_the_student_may_be_sure_of_something_else() -> None:
    """Logits 2,000 apart: a softmax is 0 there, and its logarithm must not be asked for."""
    ours, theirs = torch.tensor([[1e3, -1e3]], requires_grad=True), torch.tensor([[-1e3, 1e3]])
    loss = prediction_loss(ours, theirs)
    assert loss.item() == pytest.approx(2000)
    assert torch.autograd.grad(loss, ours)[0].tolist() == [[1.0, -1.0]]


def whole_gradient(batch: dict[str, Tensor], parts: list[slice | list[int]], **checkpointing: Any) -> list[Tensor]:
    """Of every loss of an encoder, the batch taken in these parts and divided by the counts of all."""
    student, teacher = bert().train(), bert(layers=4, hidden=32)
    torch.manual_seed(2)
    maps: Mapping[int, nn.Module] = {layer: nn.Linear(24, 32) for layer in (0, 1, 2)}
    if checkpointing:
        student.activation_checkpointing_enable(activation_checkpointing_kwargs=checkpointing)
    objective = Objective.between(student, teacher)
    counts = Counts.of(batch["attention_mask"])
    for part in parts:
        rows = {name: value[part] for name, value in batch.items()}
        made, seen = objective.capture_student(student, rows), objective.capture_teachers(teacher, rows)
        sum(objective.compute(made, seen, rows["attention_mask"], maps, counts).values()).backward()
    parameters = [*student.parameters(), *(p for each in maps.values() for p in each.parameters())]
    return [p.grad for p in parameters]


@pytest.mark.parametrize(
    "parts",
    [
        [slice(row, row + 1) for row in range(8)],
        [slice(row, row + 2) for row in range(0, 8, 2)],
        [[3, 1, 4, 0, 5, 7, 2, 6]],
        [[6, 2, 7], [5, 0, 1, 3, 4]],
    ],
    ids=["1 x 8", "2 x 4", "another order", "another order, in parts"],
)
def test_gradients_are_the_same_however_a_batch_is_cut(parts: list[Any]) -> None:
    batch = batch_of([9, 1, 5, 7, 2, 2, 8, 3])
    assert error(whole_gradient(batch, parts), whole_gradient(batch, [slice(None)])) < 1e-6


def test_reentrant_checkpointing_serves_the_losses_that_need_no_queries() -> None:
    teacher, batch = bert(layers=4, hidden=32), batch_of([7, 4])
    torch.manual_seed(2)
    projection = nn.Linear(24, 32)

    def gradients(losses: tuple[str, ...], **checkpointing: bool) -> list[Tensor]:
        student = bert().train()
        if checkpointing:
            student.activation_checkpointing_enable(activation_checkpointing_kwargs=checkpointing)
        objective = Objective.between(student, teacher, losses=losses)
        made, seen = objective.capture_student(student, batch), objective.capture_teachers(teacher, batch)
        parts = objective.compute(made, seen, batch["attention_mask"], dict.fromkeys((0, 1, 2), projection))
        sum(parts.values()).backward()
        return [p.grad for p in student.parameters() if p.grad is not None]

    losses = ("hidden_state_loss", "embedding_loss", "prediction_loss")
    assert error(gradients(losses, use_reentrant=True), gradients(losses)) < 1e-6
    with pytest.raises(CaptureError, match="use_reentrant"):
        gradients(("attention_loss",), use_reentrant=True)
