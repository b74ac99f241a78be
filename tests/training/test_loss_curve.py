"""The curve of the losses: means of the steps, the same after a stop, and fine enough."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import killed_runs
import pytest
import torch
from tiny_models import QUIET, bert
from transformers import BertTokenizer

from tinybert_hf import DistillationArguments, DistillationTrainer
from tinybert_hf.training.logs import LossCurve, phase_log


def noted(curve: LossCurve, values: list[float], start: int = 0, steps: int = 230) -> None:
    for step, value in enumerate(values, start=start):
        # Two batches a step, whose shares add up.
        curve.note({"a": torch.tensor(value / 4)}, step, steps)
        curve.note({"a": torch.tensor(value * 3 / 4)}, step, steps)


def as_they_are(sums: torch.Tensor) -> torch.Tensor:
    return sums


def test_each_point_is_the_mean_of_its_steps() -> None:
    values = torch.rand(230).tolist()
    curve = LossCurve()
    noted(curve, values)
    points = curve.points(230, as_they_are)
    assert 50 <= len(points["step"]) <= 100
    before = 0
    for step, mean in zip(points["step"], points["a"], strict=True):
        assert mean == pytest.approx(sum(values[before:step]) / (step - before), rel=1e-5)
        before = step
    assert before == 230


@pytest.mark.parametrize("stop", [1, 100, 101, 229])
def test_it_goes_on_from_a_checkpoint_to_the_bit(stop: int) -> None:
    values = torch.rand(230).tolist()
    whole, begun, resumed = LossCurve(), LossCurve(), LossCurve()
    noted(whole, values)
    noted(begun, values[:stop])
    resumed.restore(json.loads(json.dumps(begun.state())), torch.device("cpu"))
    noted(resumed, values[stop:], start=stop)
    assert resumed.points(230, as_they_are) == whole.points(230, as_they_are)


@pytest.mark.parametrize(("steps", "points"), [(1, 1), (7, 7), (100, 100), (101, 51), (10_000, 100)])
def test_how_many_points_there_are(steps: int, points: int) -> None:
    curve = LossCurve()
    noted(curve, [1.0] * steps, steps=steps)
    assert len(curve.points(steps, as_they_are)["step"]) == points


def test_a_training_without_a_step_has_no_point() -> None:
    assert LossCurve().points(0, as_they_are) == {"step": []}


@pytest.fixture
def make_trainer(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> Callable[..., DistillationTrainer]:
    def make(**arguments: Any) -> DistillationTrainer:
        options = {"phase": "joint", "per_device_train_batch_size": 8, "max_steps": 6, "learning_rate": 1e-3, **QUIET}
        return DistillationTrainer(
            bert(vocab_size=64),
            bert(layers=4, hidden=32, vocab_size=64),
            DistillationArguments(str(tmp_path), **{**options, **arguments}),
            train_dataset=killed_runs.rows(),
            eval_dataset=killed_runs.rows(8),
            processing_class=tiny_tokenizer,
        )

    return make


def test_it_is_what_a_trainer_logs_that_logs_every_step(make_trainer: Any) -> None:
    trainer = make_trainer(logging_steps=1, gradient_accumulation_steps=2, eval_strategy="steps", eval_steps=3)
    trainer.train()
    log = phase_log(trainer)
    logged = [entry for entry in trainer.state.log_history if "attention_loss" in entry]
    assert log["losses"]["step"] == [1, 2, 3, 4, 5, 6] == [entry["step"] for entry in logged]
    for name in trainer.args.loss_weights:
        assert log["losses"][name] == pytest.approx([entry[name] for entry in logged], rel=1e-5)
    assert [entry["step"] for entry in log["evaluation"]] == [3, 6]
    assert not [name for entry in log["evaluation"] for name in entry if "runtime" in name or "second" in name]


def test_it_does_not_depend_on_what_is_logged_and_begins_anew(make_trainer: Any) -> None:
    trainer = make_trainer(logging_steps=1)
    trainer.train()
    seldom = make_trainer(logging_steps=100)
    seldom.train()
    assert phase_log(seldom)["losses"] == phase_log(trainer)["losses"]
    seldom.train()
    assert phase_log(seldom)["losses"]["step"] == [1, 2, 3, 4, 5, 6]
