"""A teacher, and a student that learns, multiply in bfloat16 where that is faster, and come to nearly the same."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from tiny_models import FAMILIES, batch_of, bert, make
from tiny_seq2seq import student as small_translator
from tiny_seq2seq import teacher as translator
from tiny_seq2seq import translation_batch
from torch import Tensor, nn

from tinybert_hf.distillation import teachers
from tinybert_hf.distillation.batch import Masks
from tinybert_hf.distillation.capturing import Capture
from tinybert_hf.distillation.losses import DistillationLoss
from tinybert_hf.distillation.objective import Objective
from tinybert_hf.distillation.teachers import bfloat16_products, multiplies_in_bfloat16
from tinybert_hf.errors import RecipeError
from tinybert_hf.training import DistillationArguments, DistillationTrainer

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
def test_a_student_learns_in_bfloat16_and_is_measured_in_fp32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its own forward is, its products are; losses and gradients are close to those in fp32."""
    monkeypatch.setattr(teachers, "LEAST_WIDTH", 32)
    teacher, batch = bert(layers=4, hidden=48, seed=1), batch_of([5, 9, 7])
    rows = Dataset.from_dict({name: values.tolist() for name, values in batch.items()})
    formats: dict[bool, set[torch.dtype]] = {}

    def gradients(wanted: bool | None) -> tuple[float, Tensor]:
        student = bert(hidden=32)
        arguments = DistillationArguments(
            output_dir=str(tmp_path), phase="joint", per_device_train_batch_size=3, use_cpu=True, report_to="none",
            student_bf16=wanted, teacher_bf16=False, projection_start="random",
        )  # fmt: skip
        torch.manual_seed(0)
        trainer = DistillationTrainer(
            student, teacher, arguments, train_dataset=rows, data_collator=lambda rows: batch
        )
        student.base_model.encoder.layer[0].intermediate.dense.register_forward_hook(  # type: ignore[union-attr]
            lambda module, inputs, output: formats.setdefault(student.training, set()).add(output.dtype)
        )
        student.train()
        loss = trainer.training_step(trainer.model, dict(batch))
        student.eval()
        trainer.prediction_step(trainer.model, dict(batch), prediction_loss_only=False)
        assert trainer.student_is_bf16 is (wanted is not False)
        found = [parameter.grad.flatten() for parameter in student.parameters() if parameter.grad is not None]
        return loss.item(), torch.cat(found)

    exact, near = gradients(False), gradients(None)
    assert formats == {True: {torch.float32, torch.bfloat16}, False: {torch.float32}}
    assert near[0] == pytest.approx(exact[0], rel=0.05)
    distance = (near[1] - exact[1]).norm() / exact[1].norm()
    assert 0 < distance < 0.1
    assert torch.equal(gradients(None)[1], gradients(True)[1])


@pytest.mark.usefixtures("native")
def test_a_loss_of_ones_own_sees_fp32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teachers, "LEAST_WIDTH", 32)
    seen: set[torch.dtype | bool] = set()
    batch = batch_of([5, 9, 7])
    rows = Dataset.from_dict({name: values.tolist() for name, values in batch.items()})

    def own(student: Capture, teacher: Capture, batch: dict[str, Tensor]) -> Tensor:
        assert student.logits is not None
        shown = [student.logits, *student.hidden_states.values()]
        shown += [one for record in student.attention.values() for one in (record.query, record.key)]
        seen.update(one.dtype for one in shown)
        seen.add(torch.is_autocast_enabled("cpu"))
        return student.logits.square().mean()

    arguments = DistillationArguments(output_dir=str(tmp_path), phase="joint", use_cpu=True, report_to="none")
    options = {"train_dataset": rows, "data_collator": lambda rows: batch}
    loss = DistillationLoss(own, attention="last", hidden_states="last")
    trainer = DistillationTrainer(
        bert(hidden=32), bert(hidden=32), arguments, extra_losses={"own_loss": loss}, **options
    )
    trainer.model.train()
    trainer.training_step(trainer.model, dict(batch))
    assert trainer.student_is_bf16
    assert seen == {torch.float32, False}


def test_a_format_that_is_neither_true_nor_false(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="student_bf16 is 'false'"):
        DistillationArguments(output_dir=str(tmp_path), student_bf16="false", report_to="none")  # type: ignore[arg-type]


def test_what_a_run_says_of_its_formats_is_so(tmp_path: Path) -> None:
    """Whoever asked: `bf16` of transformers is for both models."""
    for bf16 in (False, True):
        arguments = DistillationArguments(output_dir=str(tmp_path), bf16=bf16, use_cpu=True, report_to="none")
        rows = Dataset.from_dict({name: values.tolist() for name, values in batch_of([5, 9]).items()})
        trainer = DistillationTrainer(
            bert(), bert(layers=4), arguments, train_dataset=rows, data_collator=lambda rows: rows
        )
        assert (trainer.teacher_is_bf16, trainer.student_is_bf16) == (bf16, bf16)


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
