"""The losses on held-out rows against a plain loop, and what was read how fast."""

from pathlib import Path
from typing import Any

import pytest
import torch
from killed_runs import rows
from tiny_models import bert
from two_processes import padded

from tinybert_hf import DistillationArguments
from tinybert_hf.distillation.batch import Counts, masks_of
from tinybert_hf.training import GeneralDistillationTrainer
from tinybert_hf.training.logs import held_out_losses

LOSSES = ("attention_loss", "hidden_state_loss", "embedding_loss")


def make_trainer(folder: Path, **options: Any) -> GeneralDistillationTrainer:
    student, teacher = bert(hidden=24, vocab_size=64).bert, bert(layers=4, hidden=32, vocab_size=64).bert
    usual = {
        "num_train_epochs": 1,
        "per_device_train_batch_size": 8,
        "per_device_eval_batch_size": 4,
        "learning_rate": 1e-3,
        "logging_steps": 2,
        "save_strategy": "no",
        "eval_strategy": "epoch",
        "disable_tqdm": True,
        "log_level": "error",
    }
    arguments = DistillationArguments(str(folder), phase="intermediate", use_cpu=True, **{**usual, **options})
    data = rows(42).map(lambda row: {}, remove_columns=["labels"])

    def collate(batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        made = padded([{**row, "labels": 0} for row in batch])
        made.pop("labels")
        return made

    return GeneralDistillationTrainer(
        student, teacher, arguments, train_dataset=data, eval_dataset=data.select(range(10)), data_collator=collate
    )


def test_held_out_losses_are_those_of_all_rows_at_once(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    found = held_out_losses(trainer, trainer.eval_dataset)
    batch = trainer.data_collator(list(trainer.eval_dataset))
    objective = trainer.distillation_objective
    with torch.no_grad():
        trainer.model.eval()
        parts = objective.compute(
            objective.capture_student(trainer.student, batch),
            objective.capture_teachers(trainer.teacher, batch),
            masks_of(batch),
            trainer.projections,
            Counts.of(batch["attention_mask"]),
        )
    assert found.keys() == set(LOSSES)
    for name in LOSSES:
        assert found[name] == pytest.approx(float(parts[name]), rel=1e-5)


def test_a_training_is_evaluated_before_and_after_and_counts_tokens(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, num_train_epochs=2)
    state = torch.random.get_rng_state()
    trainer.evaluate()
    assert torch.equal(state, torch.random.get_rng_state())
    trainer.train()
    evaluations = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    assert [entry["step"] for entry in evaluations] == [0, 6, 12]
    assert evaluations[-1]["eval_loss"] < evaluations[0]["eval_loss"]
    assert evaluations[0]["eval_loss"] == pytest.approx(sum(evaluations[0][f"eval_{name}"] for name in LOSSES))
    speeds = [entry["tokens_per_second"] for entry in trainer.state.log_history if "tokens_per_second" in entry]
    assert len(speeds) == 6
    assert min(speeds) > 0
    tokens = 2 * sum(len(row["input_ids"]) for row in trainer.train_dataset)
    assert trainer.throughput["tokens"] == tokens
    assert 0 < trainer.throughput["padding"] < 0.5


def test_a_resumed_training_is_not_evaluated_again_at_the_start(tmp_path: Path) -> None:
    options = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 5, "logging_steps": 4}
    whole = make_trainer(tmp_path / "a", **options)
    whole.train()
    resumed = make_trainer(tmp_path / "a", **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "a" / "checkpoint-5"))

    def metrics(trainer: GeneralDistillationTrainer) -> list[dict[str, Any]]:
        return [
            {k: v for k, v in entry.items() if "loss" in k and k != "train_loss"}
            for entry in trainer.state.log_history
        ]

    assert metrics(resumed) == metrics(whole)
    assert resumed.throughput["tokens"] == whole.throughput["tokens"]
    assert resumed.throughput["padding"] == pytest.approx(whole.throughput["padding"])
