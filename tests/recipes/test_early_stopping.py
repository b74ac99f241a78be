"""Early stopping of a recipe's phases, and the best checkpoint of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_run import make_teacher, recipe_mapping

from tinybert_hf import run_recipe
from tinybert_hf.recipes.loader import build
from tinybert_hf.recipes.schema import Recipe

WILD = {"learning_rate": 0.3, "lr_scheduler_type": "constant", "batch_size": 16, "epochs": 6}


def run(work: Path, model: str, **changes: Any) -> dict[str, Any]:
    """run.json of a run whose losses rise again."""
    phases = [{"name": name, **WILD, "early_stopping_patience": 1} for name in ("intermediate", "prediction")]
    arguments = {"use_cpu": True, "metric_for_best_model": "accuracy"}
    mapping = recipe_mapping(work, model, **{"phases": phases, "training_arguments": arguments, **changes})
    run_recipe(build(Recipe, mapping))
    report: dict[str, Any] = json.loads((work / "out" / "run.json").read_text())
    return report


def test_a_run_that_stops_early(work: Path, headless: str) -> None:
    arguments = {"use_cpu": True, "metric_for_best_model": "accuracy", "load_best_model_at_end": True}
    teacher = {"model": headless, "finetune": {"epochs": 1}}
    report = run(work, headless, training_arguments=arguments, teacher=teacher)
    for index, (phase, name, by) in enumerate(
        zip(report["phases"], ("intermediate", "prediction"), ("distillation_loss", "accuracy"), strict=True)
    ):
        log = json.loads((work / "out" / "phases" / f"{index}-{name}" / "log.json").read_text())["evaluation"]
        found = {entry["step"]: entry[by] for entry in log}
        best = (max if by == "accuracy" else min)(found.values())
        assert found[phase["best_step"]] == best
        assert phase["metrics"][by] == pytest.approx(best, rel=1e-5)
        assert phase["steps"] == min(phase["best_step"] + 3, 18)
    assert report["metrics"]["student"]["accuracy"] == pytest.approx(report["phases"][1]["metrics"]["accuracy"])


def test_teachers_with_tokens_of_their_own(work: Path, teacher: str) -> None:
    other = make_teacher(work / "other", texts=["the film was good", "a dull play", "0 1 2 3 4 5 6 7 8 9 number"])
    phases = [{"name": "prediction", "epochs": 2, "batch_size": 16, "early_stopping_patience": 1}]
    arguments = {"use_cpu": True, "metric_for_best_model": "prediction_loss"}
    changes: dict[str, Any] = {"extra_teachers": [{"model": other}], "baseline": None}
    report = run(work, teacher, phases=phases, training_arguments=arguments, **changes)
    assert report["phases"][0]["metrics"]["prediction_loss"] > 0
