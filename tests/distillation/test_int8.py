"""A teacher in fewer bits teaches nearly the same, and whatever reads its linear maps finds ordinary ones."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import FAMILIES, batch_of, bert, make
from tiny_seq2seq import teacher as translator
from torch import nn

from tinybert_hf import distillation_losses, initialize_from_teacher, load_teacher
from tinybert_hf.distillation.teachers import Int8Linear, round_to_int8


def in_int8(model: Any) -> Any:
    rounded = copy.deepcopy(model)
    assert round_to_int8(rounded) > 0
    return rounded


def test_a_rounded_map_is_within_half_a_step_of_its_weights() -> None:
    linear = nn.Linear(7, 5).requires_grad_(False)
    linear.weight[2] = 0.0  # an output that is not used has no largest weight
    rounded = Int8Linear(linear)
    for row in range(5):
        step = float(linear.weight[row].abs().max()) / 127
        for column in range(7):
            assert abs(float(rounded.weight[row, column]) - float(linear.weight[row, column])) <= step / 2 + 1e-9
            assert abs(int(rounded.rounded[row, column])) <= 127
    x = torch.randn(3, 7)
    torch.testing.assert_close(rounded(x), x @ rounded.weight.T + linear.bias)
    assert not [p for p in rounded.parameters() if p.requires_grad]


@pytest.mark.parametrize("family", ["bert", "distilbert", "albert"])
@pytest.mark.parametrize("dtype", ["int8", "bfloat16"])
def test_the_losses_are_close_to_those_of_the_full_teacher(family: str, dtype: str) -> None:
    teacher = make(FAMILIES[family]())
    smaller = in_int8(teacher) if dtype == "int8" else copy.deepcopy(teacher).to(torch.bfloat16)
    student, batch, projection = bert(vocab_size=60), batch_of([5, 9, 7]), nn.Linear(24, 32)
    expected = distillation_losses(student, teacher, batch, projections=projection)
    found = distillation_losses(student, smaller, batch, projections=projection)
    for name, loss in expected.items():
        assert found[name].item() == pytest.approx(loss.item(), rel=0.05), name
        if dtype == "bfloat16" or name != "embedding_loss":  # embeddings are no linear maps
            assert found[name].item() != loss.item(), f"{name} does not notice the precision"


def test_memory_is_counted_and_a_start_can_be_made() -> None:
    teacher = bert(layers=2, hidden=64, vocab_size=60)
    rounded = in_int8(teacher)

    def size(model: nn.Module) -> int:
        return sum(p.numel() * p.element_size() for p in model.parameters())

    linear = sum(m.weight.numel() for m in teacher.modules() if isinstance(m, nn.Linear))
    assert rounded.num_parameters() == teacher.num_parameters()
    assert size(teacher) - size(rounded) == 3 * linear
    starts = []
    for model in (teacher, rounded):
        student = bert(layers=1, hidden=64, vocab_size=60)
        initialize_from_teacher(student, model, [batch_of([8, 8, 8, 8])])
        starts.append(torch.cat([p.detach().flatten() for p in student.parameters()]))
    assert torch.nn.functional.cosine_similarity(*starts, dim=0) > 0.99
    assert not torch.equal(*starts)


def test_a_head_that_shares_the_embeddings_stays() -> None:
    model = translator("marian")
    head = model.get_output_embeddings()
    assert head.weight is model.get_input_embeddings().weight
    round_to_int8(model)
    assert model.get_output_embeddings() is head
    assert isinstance(model.get_encoder().layers[0].fc1, Int8Linear)


def test_a_teacher_is_opened_in_int8(teacher: str, tmp_path: Path) -> None:
    full, _ = load_teacher(teacher)
    rounded, _ = load_teacher(teacher, dtype="int8")
    assert isinstance(rounded.classifier, Int8Linear)
    assert not rounded.training
    batch = batch_of([5, 9])
    with torch.no_grad():
        difference = (full(**batch).logits - rounded(**batch).logits).abs().max()
    assert 0 < difference < 0.05
