"""A frozen teacher multiplies in bfloat16 where that is faster, and teaches nearly the same."""

from __future__ import annotations

import copy

import pytest
import torch
from tiny_models import FAMILIES, batch_of, bert, make
from tiny_seq2seq import student as small_translator
from tiny_seq2seq import teacher as translator
from tiny_seq2seq import translation_batch
from torch import nn

from tinybert_hf.distillation import teachers
from tinybert_hf.distillation.batch import Masks
from tinybert_hf.distillation.objective import Objective
from tinybert_hf.distillation.teachers import bfloat16_products, multiplies_in_bfloat16

WIDE = teachers.LEAST_WIDTH


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"avx2": True, "avx512_f": True}, False),
        ({}, False),
    ],
)
def test_it_hangs_on_the_instructions_of_the_cpu(
    capabilities: dict[str, bool], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert multiplies_in_bfloat16(bert(hidden=WIDE, vocab_size=60)) is expected
    assert multiplies_in_bfloat16(bert(hidden=WIDE, vocab_size=60), False) is False
    assert multiplies_in_bfloat16(bert(hidden=WIDE, vocab_size=60), True) is True  # asked for, so not doubted


def test_a_torch_that_does_not_know_its_cpu_multiplies_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert multiplies_in_bfloat16(bert(hidden=WIDE, vocab_size=60)) is False


@pytest.mark.usefixtures("native")
def test_not_for_small_models_other_numbers_or_within_another_autocast() -> None:
    wide = bert(hidden=WIDE, vocab_size=60)
    assert multiplies_in_bfloat16(wide)
    assert not multiplies_in_bfloat16(bert(hidden=WIDE - 4, vocab_size=60))
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        assert not multiplies_in_bfloat16(copy.deepcopy(wide).to(dtype), True)
    with torch.autocast("cpu", torch.float16):
        assert not multiplies_in_bfloat16(wide, True)
        with bfloat16_products(wide, True):
            assert torch.get_autocast_dtype("cpu") == torch.float16


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.usefixtures("native")
def test_hidden_states_stay_in_fp32_and_the_losses_close(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teachers, "LEAST_WIDTH", 32)
    teacher, student = make(FAMILIES[family]()), bert(vocab_size=60)
    if not multiplies_in_bfloat16(teacher):
        assert family in ("albert", "electra")
        return
    batch, projections = batch_of([5, 9, 7]), {layer: nn.Linear(24, 32) for layer in range(3)}
    weights = {name: value.clone() for name, value in teacher.state_dict().items()}
    found = {}
    for wanted in (False, None):
        objective = Objective.between(student, teacher, teacher_bf16=wanted)
        seen, made = objective.capture_teachers(teacher, batch), objective.capture_student(student, batch)
        assert {state.dtype for state in seen[0].hidden_states.values()} == {torch.float32}
        assert {state.dtype for state in made.hidden_states.values()} == {torch.float32}
        found[wanted] = objective.compute(made, seen, Masks(batch["attention_mask"]), projections)
    for name, exact in found[False].items():
        assert found[None][name].item() == pytest.approx(exact.item(), rel=0.05), name
        if name != "embedding_loss":  # where nothing is multiplied
            assert found[None][name].item() != exact.item(), f"{name} does not notice the precision"
    assert all(torch.equal(value, weights[name]) for name, value in teacher.state_dict().items())
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.usefixtures("native")
def test_translators_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teachers, "LEAST_WIDTH", 32)
    teacher, student, batch = translator("marian"), small_translator(), translation_batch()
    assert not multiplies_in_bfloat16(teacher)
    logits = {}
    for wanted in (False, True):
        objective = Objective.between(student, teacher, losses=["prediction_loss"], teacher_bf16=wanted)
        logits[wanted] = objective.capture_teachers(teacher, batch)[0].logits
    torch.testing.assert_close(logits[True].float(), logits[False], rtol=0.05, atol=0.05)
    assert not torch.equal(logits[True].float(), logits[False])
