"""Each loss against a plain loop over rows, heads and tokens; and what every loss has in common."""

from __future__ import annotations

import pytest
import torch
from tiny_models import batch_of, bert
from torch import Tensor, nn

from tinybert_hf.distillation import LOSSES, AttentionRecord, Counts, Objective, distillation_losses
from tinybert_hf.distillation.losses import DECODER_LOSSES, attention
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


def attention_loss_in_fp64(
    student: AttentionRecord, teacher: AttentionRecord, mask: Tensor, *, key_mask: Tensor, causal: bool
) -> Tensor:
    """The definition, row by row and pair by pair."""
    groups = min(student.query.shape[1], teacher.query.shape[1])
    student, teacher = (AttentionRecord(r.query.double(), r.key.double(), r.scaling) for r in (student, teacher))
    total, count = torch.zeros((), dtype=torch.float64), 0
    for row in range(len(mask)):
        pairs = mask[row].bool()[:, None] & key_mask[row].bool()
        pairs = pairs.tril() if causal else pairs
        count += int(pairs.sum())
        for ours, theirs in zip(*(grouped_scores(one, row, groups) for one in (student, teacher)), strict=True):
            total = total + (ours - theirs)[pairs].square().sum()
    return total / (groups * count)


def nearly_agreeing(shape: str, difference: float, length: int, keys: int) -> tuple[AttentionRecord, AttentionRecord]:
    """A student whose queries and keys are the teacher's, up to a relative difference, in other coordinates."""
    generator = torch.Generator().manual_seed(0)

    def draw(*sizes: int) -> Tensor:
        return torch.randn(sizes, generator=generator, dtype=torch.float64)

    # As in trained models, all tokens have much in common.
    theirs = [5 * draw(8) + draw(2, 4, tokens, 8) for tokens in (length, keys)]
    teacher = AttentionRecord(theirs[0].float(), theirs[1].float(), 8**-0.5)
    ours, scaling = [one + difference * draw(*one.shape) for one in theirs], 8**-0.5
    if shape == "wider":
        rotation = torch.linalg.qr(draw(11, 11))[0]
        ours = [nn.functional.pad(one, (0, 3)) @ rotation for one in ours]
    elif shape == "fewer heads":  # of two of the teacher's each, whose mean they are
        ours = [one.unflatten(1, (2, 2)).transpose(2, 3).flatten(3) for one in ours]
        scaling /= 2
    elif shape == "more heads":  # each gives a half of one of the teacher's scores
        ours = [one.unflatten(3, (2, 4)).transpose(2, 3).flatten(1, 2) for one in ours]
        scaling *= 2
    query, key = (one.float().requires_grad_() for one in ours)
    return AttentionRecord(query, key, scaling), teacher


@pytest.mark.parametrize("difference", [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 0.0])
@pytest.mark.parametrize("shape", ["same", "wider", "fewer heads", "more heads"])
@pytest.mark.parametrize(
    ("length", "keys", "causal"), [(9, 9, False), (300, 300, False), (300, 300, True), (40, 300, False)]
)
def test_attention_loss_of_models_that_nearly_agree(
    shape: str, difference: float, length: int, keys: int, causal: bool
) -> None:
    student, teacher = nearly_agreeing(shape, difference, length, keys)
    mask, key_mask = mask_of([length, length // 2], length), mask_of([keys, keys // 2], keys)
    loss = attention_loss(student, teacher, mask, key_mask=key_mask, causal=causal)
    expected = attention_loss_in_fp64(student, teacher, mask, key_mask=key_mask, causal=causal)
    if difference == 0.0:
        assert 0 <= loss.item() < 1e-11
        return
    torch.testing.assert_close(loss.double(), expected, rtol=3e-5, atol=0)
    inputs = (student.query, student.key)
    ours, plain = torch.autograd.grad(loss, inputs), torch.autograd.grad(expected, inputs)
    for a, b in zip(ours, plain, strict=True):
        assert float((a - b).norm()) < 3e-5 * float(b.norm())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("length", "causal"), [(9, False), (300, False), (300, True)])
def test_attention_loss_of_nearly_agreeing_models_in_half_precision(
    dtype: torch.dtype, length: int, causal: bool
) -> None:
    """What the models gave is rounded; the loss of that is not."""
    student, teacher = nearly_agreeing("same", 2e-2, length, length)
    student, teacher = (
        AttentionRecord(one.query.detach().to(dtype), one.key.detach().to(dtype), one.scaling)
        for one in (student, teacher)
    )
    student.query.requires_grad_()
    student.key.requires_grad_()
    mask = mask_of([length, length // 2], length)
    with torch.autocast("cpu", dtype=dtype):
        loss = attention_loss(student, teacher, mask, causal=causal)
    expected = attention_loss_in_fp64(student, teacher, mask, key_mask=mask, causal=causal)
    torch.testing.assert_close(loss.double(), expected, rtol=3e-5, atol=0)
    inputs = (student.query, student.key)
    ours, plain = torch.autograd.grad(loss, inputs), torch.autograd.grad(expected, inputs)
    for a, b in zip(ours, plain, strict=True):
        assert a.dtype == dtype
        assert float((a.double() - b.double()).norm()) < 3 * torch.finfo(dtype).eps * float(b.double().norm())


@pytest.mark.parametrize("length", [9, 300])
def test_attention_loss_on_devices_of_other_precision(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """A GPU is not asked whether a first answer was right: it computes once, in fp64 where that is fast."""
    student, teacher = nearly_agreeing("same", 1e-3, length, length)
    mask = mask_of([length, length // 2], length)
    expected = attention_loss_in_fp64(student, teacher, mask, key_mask=mask, causal=False)
    for fast, tolerance in ((True, 1e-5), (False, 1e-2)):
        monkeypatch.setattr(attention, "_multiplies_doubles", lambda device, fast=fast: fast)
        ways = list(attention._ways(*_scores_on("meta", student, teacher), causal=False))
        assert len(ways) == 1
        monkeypatch.setattr(attention, "_ways", lambda *_, ways=ways: iter(ways))
        loss = attention_loss(student, teacher, mask)
        monkeypatch.undo()
        torch.testing.assert_close(loss.double(), expected, rtol=tolerance, atol=0)


def _scores_on(device: str, *records: AttentionRecord) -> list[attention._Scores]:
    return [attention._Scores(one.query.to(device), one.key.to(device), one.scaling) for one in records]


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
    assert (projection.weight.grad is not None) == getattr(LOSSES[name], "projected", False)


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
        seen, made = objective.capture_teachers(teacher, batch), objective.capture_student(student, batch)
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
