"""Dropout on a CPU: as random as torch's, and attention with it gives what the formula gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import batch_of, bert
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile
from torch.utils.checkpoint import checkpoint

from tinybert_hf.training import dropout
from tinybert_hf.training.dropout import faster_dropout

CPU = torch.device("cpu")
MANY = (64, 40, 50)


def ours(work: Callable[..., Tensor], *args: Any, seed: int = 0, **kwargs: Any) -> Tensor:
    torch.manual_seed(seed)
    with faster_dropout(nn.Module(), CPU):
        return work(*args, **kwargs)


def torchs_own(work: Callable[[], Any]) -> int:
    """How often torch itself draws a mask."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        work()
    return sum(event.count for event in seen.key_averages() if event.key == "aten::bernoulli_")


# Of hidden states.


@pytest.mark.parametrize("share", [0.1, 0.5, 0.001])
def test_the_wanted_share_is_dropped_and_the_rest_makes_up_for_it(share: float) -> None:
    states = torch.randn(MANY, requires_grad=True)
    seen = ours(functional.dropout, states, share)
    zero, count = seen == 0, states.numel()
    assert abs(zero.sum().item() - share * count) < 5 * math.sqrt(share * (1 - share) * count)
    torch.testing.assert_close(seen[~zero], states[~zero] / (1 - share), rtol=1e-4, atol=0)
    (gradient,) = torch.autograd.grad(seen.sum(), states)
    torch.testing.assert_close(gradient, torch.where(zero, 0.0, 1 / (1 - share)), rtol=1e-4, atol=0)


def test_neighbours_and_calls_are_independent() -> None:
    """Four numbers come of one draw, and must not know of each other."""
    ones = torch.ones(4_000_000)
    torch.manual_seed(0)
    with faster_dropout(nn.Module(), CPU):
        first, second = (functional.dropout(ones, 0.3) == 0 for _ in range(2))
    pairs = {f"{step} on": (first[:-step], first[step:]) for step in (1, 2, 3, 4, 5, 8)} | {"calls": (first, second)}
    for name, (one, other) in pairs.items():
        both = (one & other).float().mean().item()
        assert abs(both - 0.09) < 5 * math.sqrt(0.09 * 0.91 / one.numel()), name
    by_place = first.view(-1, 4).float().mean(0)
    assert (by_place - 0.3).abs().max() < 5 * math.sqrt(0.21 / 1_000_000)


def test_the_seed_decides() -> None:
    states = torch.ones(MANY)
    assert torch.equal(ours(functional.dropout, states, 0.1), ours(functional.dropout, states, 0.1))
    assert not torch.equal(ours(functional.dropout, states, 0.1), ours(functional.dropout, states, 0.1, seed=1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_format_stays(dtype: torch.dtype) -> None:
    states = torch.randn(MANY, dtype=dtype, requires_grad=True)
    seen = ours(functional.dropout, states, 0.25)
    assert seen.dtype == dtype
    kept = seen != 0
    torch.testing.assert_close(seen[kept], (states[kept].double() / 0.75).to(dtype))
    assert torch.autograd.grad(seen.sum(), states)[0].dtype == dtype


@pytest.mark.parametrize("options", [{"p": 0.0}, {"p": 1.0}, {"p": 0.5, "training": False}])
def test_where_nothing_or_everything_is_dropped(options: dict[str, Any]) -> None:
    states = torch.randn(MANY, requires_grad=True)
    expected = torch.zeros_like(states) if options["p"] == 1 else states
    assert torch.equal(ours(functional.dropout, states, **options), expected)


def test_in_place_is_torchs_own() -> None:
    states = torch.ones(MANY)
    assert ours(functional.dropout, states, 0.5, True, True) is states
    assert (states == 0).any()


# Within attention.

CASES = {
    "one piece": {"sizes": (2, 2, 5, 5)},
    "other lengths and widths": {"sizes": (2, 3, 4, 7), "width": 6},
    "rows of which some are padded": {"sizes": (3, 2, 5, 5), "mask": "padding"},
    "a number for each pair": {"sizes": (2, 2, 5, 5), "mask": "added"},
    "for each head": {"sizes": (2, 4, 5, 5), "mask": "heads"},
    "causal": {"sizes": (2, 2, 6, 6), "is_causal": True},
    "a query that sees nothing": {"sizes": (2, 2, 5, 5), "mask": "blind"},
}


def mask_of(kind: str | None, batch: int, heads: int, length: int, keys: int) -> Tensor | None:
    if kind == "padding":
        real = torch.tensor([keys - row for row in range(batch)])
        return (torch.arange(keys) < real[:, None])[:, None, None]
    if kind == "added":
        return torch.randn(batch, 1, length, keys, dtype=torch.float64)
    if kind == "heads":
        return torch.rand(batch, heads, length, keys) < 0.8
    if kind == "blind":
        mask = torch.ones(batch, 1, length, keys, dtype=torch.bool)
        mask[0, 0, 1] = False
        return mask
    return None


def by_the_formula(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """The weights, before any is dropped."""
    scores = query @ key.mT * query.shape[-1] ** -0.5
    if causal:
        scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    return scores.softmax(-1).nan_to_num(0)


@pytest.mark.parametrize("piece", [1 << 18, 60, 30, 12, 1], ids=["whole", "rows", "heads", "queries", "one"])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_the_formula(name: str, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropout, "_PIECE", piece)
    case: dict[str, Any] = {"width": 3, "mask": None, "is_causal": False, **CASES[name]}
    torch.manual_seed(3)
    batch, heads, length, keys = case["sizes"]
    draw = {"dtype": torch.float64, "requires_grad": True}
    query = torch.randn(batch, heads, length, case["width"], **draw)
    key = torch.randn(batch, heads, keys, case["width"], **draw)
    value = torch.randn(batch, heads, keys, 4, **draw)
    mask = mask_of(case["mask"], batch, heads, length, keys)
    options = {"attn_mask": mask, "dropout_p": 0.25, "is_causal": case["is_causal"]}
    attention = functional.scaled_dot_product_attention

    # With unit vectors as values, attention gives its weights, and what was dropped, which is the same for any value.
    units = torch.eye(keys, dtype=torch.float64).expand(batch, heads, keys, keys)
    dropped = ours(attention, query, key, units, **options).detach()
    plain = by_the_formula(query, key, value, mask, case["is_causal"])
    kept = (dropped != 0).double() / 0.75
    torch.testing.assert_close(dropped, plain.detach() * kept)
    assert 0 < (kept == 0).sum() - (plain == 0).sum() < 0.6 * kept.numel()

    weights = torch.randn(batch, heads, length, 4, dtype=torch.float64)
    found, expected = ours(attention, query, key, value, **options), (plain * kept) @ value
    torch.testing.assert_close(found, expected)
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), (query, key, value)),
        torch.autograd.grad((expected * weights).sum(), (query, key, value)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_bfloat16_is_widened() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 2, 9, 8) for _ in range(3))
    attention = functional.scaled_dot_product_attention
    narrow = ours(attention, *(one.bfloat16() for one in (query, key, value)), dropout_p=0.1)
    wide = ours(attention, *(one.bfloat16().float() for one in (query, key, value)), dropout_p=0.1)
    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow, wide.bfloat16())


def test_what_is_not_taken_is_torchs_own() -> None:
    query, key, value = torch.randn(1, 4, 6, 8), torch.randn(1, 2, 6, 8), torch.randn(1, 2, 6, 8)
    attention = functional.scaled_dot_product_attention
    grouped = ours(attention, query, key, value, dropout_p=0.5, enable_gqa=True)
    torch.manual_seed(0)
    torch.testing.assert_close(grouped, attention(query, key, value, dropout_p=0.5, enable_gqa=True))
    without = ours(attention, query, query, query)
    torch.testing.assert_close(without, attention(query, query, query))
    learnt = torch.randn(6, 6, requires_grad=True)
    seen = ours(attention, query, query, query, learnt, 0.5)
    assert torch.autograd.grad(seen.sum(), learnt)[0].abs().sum() > 0


def test_no_map_and_no_second_mask_is_kept() -> None:
    """Rows of which one is padded come with a mask for each pair of tokens, which all layers share."""
    length = 256
    query = torch.randn(2, 2, length, 8, requires_grad=True)
    mask = (torch.arange(length) < torch.tensor([length, 200])[:, None])[:, None, None].expand(-1, -1, length, -1)
    mask = mask.contiguous()
    for options in ({"attn_mask": mask}, {"is_causal": True}):
        kept = ours(functional.scaled_dot_product_attention, query, query, query, dropout_p=0.1, **options).grad_fn
        own = [one for one in kept.saved_tensors if one is not None and one.data_ptr() != mask.data_ptr()]  # type: ignore[union-attr]
        assert max(one.numel() for one in own) == query.numel()


@pytest.mark.parametrize("empty", [0, 2])
def test_no_row_and_no_token(empty: int) -> None:
    sizes = [2, 2, 3, 4]
    sizes[empty] = 0
    states = torch.randn(sizes, requires_grad=True)
    assert ours(functional.scaled_dot_product_attention, states, states, states, dropout_p=0.5).shape == states.shape


def test_masked_by_the_least_number() -> None:
    """Every key alike: each has the same weight, and the gradients are those of the mean."""
    query, key, value = (torch.randn(1, 1, 4, 8, requires_grad=True) for _ in range(3))
    mask = torch.full((1, 1, 1, 4), torch.finfo(torch.float32).min)
    seen = ours(functional.scaled_dot_product_attention, query, key, value, mask, 1.6e-5)
    torch.testing.assert_close(torch.autograd.grad(seen.sum(), value)[0], torch.ones_like(value), rtol=1e-3, atol=0)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"attn_mask": torch.tensor([[True, False, True]])}])
def test_gradients_can_be_differentiated(options: dict[str, Any]) -> None:
    states = [torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    if "attn_mask" in options:
        options = {"attn_mask": options["attn_mask"].expand(3, 3)}

    def attention(*states: Tensor) -> Tensor:
        return ours(functional.scaled_dot_product_attention, *states, dropout_p=0.3, **options)

    assert torch.autograd.gradcheck(attention, states)
    assert torch.autograd.gradgradcheck(attention, states)
    plain, twice = (
        torch.autograd.grad(attention(*states).square().sum(), states, create_graph=again) for again in (False, True)
    )
    for one, other in zip(plain, twice, strict=True):
        torch.testing.assert_close(one, other)
    large = torch.randn(MANY, dtype=torch.float64, requires_grad=True)
    seen = ours(functional.dropout, large, 0.5)
    (first,) = torch.autograd.grad(seen.square().sum(), large, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), large)
    torch.testing.assert_close(second, torch.where(seen == 0, 0.0, 8.0).double())


def test_what_torch_transforms_is_torchs_own() -> None:
    states = torch.ones(MANY)
    with faster_dropout(nn.Module(), CPU):
        gradient = torch.func.grad(lambda one: functional.dropout(one, 0.5).sum())(states)
    assert set(gradient.unique().tolist()) == {0.0, 2.0}


def test_masks_of_torchs_own_kinds() -> None:
    from torch.nn.attention.bias import causal_lower_right

    query, key = torch.randn(1, 1, 4, 8), torch.randn(1, 1, 6, 8)
    units = torch.eye(6).expand(1, 1, 6, 6)
    weights = ours(
        functional.scaled_dot_product_attention, query.requires_grad_(), key, units, causal_lower_right(4, 6), 0.01
    )
    assert not weights.triu(3).any()  # later keys
    assert (weights != 0).sum() > 10


def test_a_share_may_be_a_tensor_and_the_result_changed() -> None:
    states = torch.randn(MANY, requires_grad=True)
    assert (ours(functional.dropout, states, torch.tensor(0.5)) == 0).any()
    query = torch.randn(1, 2, 6, 8, requires_grad=True)
    seen = ours(functional.scaled_dot_product_attention, query, query, query, dropout_p=torch.tensor(0.5))
    seen.mul_(2).sum().backward()


# In a model.


def step(model: nn.Module, batch: dict[str, Tensor], *, faster: bool = True) -> list[Tensor]:
    """The gradients of a step."""
    model.zero_grad()
    torch.manual_seed(0)
    with faster_dropout(model, CPU) if faster else nullcontext():
        model(**batch).logits.square().sum().backward()
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def learner(**more: Any) -> tuple[nn.Module, dict[str, Tensor]]:
    options = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "max_position_embeddings": 600}
    batch = batch_of([300, 280])
    return bert(layers=2, hidden=32, heads=2, **options, **more).train(), dict(batch)


def test_no_mask_of_a_step_is_torchs_own() -> None:
    model, batch = learner()
    assert torchs_own(lambda: step(model, batch)) <= 1  # of the pooled output, which is small
    assert torchs_own(lambda: step(model, batch, faster=False)) > 4


def test_a_forward_that_runs_again_drops_the_same() -> None:
    """Which torch runs in the backward, outside of every mode: there it is torch's own dropout, both times."""
    model, batch = learner()
    plain = [gradient.clone() for gradient in step(model, batch, faster=False)]
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})
    for one, other in zip(plain, step(model, batch), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_a_checkpoint_of_ones_own_drops_the_same(use_reentrant: bool) -> None:
    states = torch.ones(MANY, requires_grad=True)

    def work(states: Tensor) -> Tensor:
        return checkpoint(functional.dropout, states, 0.5, use_reentrant=use_reentrant)

    with faster_dropout(nn.Module(), CPU):
        seen = work(states)
        seen.sum().backward()
    torch.testing.assert_close(states.grad, seen.detach())  # of ones, what is left is its own gradient


def test_the_mean_over_many_steps_is_that_of_torch() -> None:
    """Of the logits, which see dropout of both kinds."""
    model, batch = learner()
    seen = {}
    for faster in (True, False):
        torch.manual_seed(1)
        with faster_dropout(model, CPU) if faster else nullcontext():
            seen[faster] = torch.stack([model(**batch).logits.detach() for _ in range(200)])
    error = (seen[True].var(0) / 200 + seen[False].var(0) / 200).sqrt()
    assert ((seen[True].mean(0) - seen[False].mean(0)).abs() < 5 * error).all()
    ratio = seen[True].var(0) / seen[False].var(0)
    assert ((ratio > 0.5) & (ratio < 2)).all()


def test_a_training_has_it(tmp_path: Path) -> None:
    from datasets import Dataset

    from tinybert_hf.training import DistillationArguments, DistillationTrainer

    model, batch = learner()
    rows = Dataset.from_dict({name: values.tolist() for name, values in batch.items()})
    teacher = bert(layers=2, hidden=32, heads=2, max_position_embeddings=600)

    def masks_of(steps: int) -> int:
        arguments = DistillationArguments(
            output_dir=str(tmp_path), phase="prediction", max_steps=steps, per_device_train_batch_size=2, use_cpu=True,
            report_to="none", save_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        trainer = DistillationTrainer(model, teacher, arguments, train_dataset=rows, data_collator=lambda rows: batch)
        return torchs_own(trainer.train)

    assert masks_of(5) - masks_of(1) <= 4  # one a step, of the pooled output, which is small
