"""The best checkpoint: by what it is chosen, what is refused, and that the figures are those of its weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from tiny_models import QUIET, StopAt, bert, rows_by_first_token
from transformers import BertTokenizer, EarlyStoppingCallback

from tinybert_hf import DistillationArguments, DistillationTrainer, FinetuneSettings, Phase, finetune, run_phases
from tinybert_hf.errors import OutputFolderError, RecipeError
from tinybert_hf.training.logs import held_out_losses

BEST = {**QUIET, "load_best_model_at_end": True, "logging_steps": 1}
# The rate rises to one at which no loss falls, so that the best checkpoint is not the last.
RISING: dict[str, Any] = {"learning_rate": 1.0, "warmup_ratio": 0.99, "batch_size": 8}
PHASE = Phase("intermediate", epochs=6, **RISING)


def accuracy(prediction: Any) -> dict[str, float]:
    """A metric of one's own."""
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


@pytest.fixture
def run(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> Any:
    def run(folder: str, phases: tuple[Phase, ...] = (PHASE,), **options: Any) -> tuple[Any, Any]:
        student = bert(vocab_size=64)
        given: dict[str, Any] = {
            "train_dataset": rows_by_first_token(),
            "eval_dataset": rows_by_first_token(8),
            "training_arguments": BEST,
            "compute_metrics": accuracy,
            **options,
        }
        teacher = bert(layers=4, hidden=32, vocab_size=64)
        results = run_phases(
            student, teacher, phases, output_dir=tmp_path / folder, processing_class=tiny_tokenizer, **given
        )
        return student, results

    return run


def trainer_of(folder: Path, tokenizer: BertTokenizer, **options: Any) -> DistillationTrainer:
    arguments = {"phase": "intermediate", **QUIET, "per_device_train_batch_size": 8, "max_steps": 2, **options}
    return DistillationTrainer(
        bert(vocab_size=64),
        bert(layers=4, hidden=32, vocab_size=64),
        DistillationArguments(output_dir=str(folder), **arguments),
        train_dataset=rows_by_first_token(),
        eval_dataset=rows_by_first_token(8),
        processing_class=tokenizer,
    )


def held_out(student: Any, tokenizer: BertTokenizer, projections: Path, folder: Path) -> float:
    """The distillation loss of a student on the evaluation rows."""
    trainer = trainer_of(folder, tokenizer)
    trainer.student.load_state_dict(student.state_dict())
    trainer.projections.load_state_dict(load_file(projections))
    return sum(held_out_losses(trainer, rows_by_first_token(8)).values())


@pytest.mark.parametrize("metric", [None, "accuracy", "loss"])
def test_layers_are_chosen_by_the_distillation_loss(
    run: Any, tmp_path: Path, tiny_tokenizer: BertTokenizer, metric: str | None
) -> None:
    student, (result,) = run("run", training_arguments={**BEST, "metric_for_best_model": metric})
    work = tmp_path / "run" / "phases" / "0-intermediate"
    evaluations = json.loads((work / "log.json").read_text())["evaluation"]
    best = min(evaluations, key=lambda entry: entry["distillation_loss"])
    assert best["step"] == result.best_step < result.steps, "else the test says nothing"
    assert result.metrics["distillation_loss"] == pytest.approx(best["distillation_loss"], rel=1e-5)
    # The figures are those of the weights that are kept, projections included.
    found = held_out(student, tiny_tokenizer, work / "projections.safetensors", tmp_path / "other")
    assert found == pytest.approx(result.metrics["distillation_loss"], rel=1e-5)
    saved = load_file(work / "student" / "model.safetensors")
    assert all(torch.equal(value, student.state_dict()[name]) for name, value in saved.items())


def test_answers_are_chosen_by_the_metric_that_is_named(run: Any) -> None:
    phase = Phase("prediction", epochs=4, learning_rate=0.05, batch_size=8)
    _, (result,) = run("run", (phase,), training_arguments={**BEST, "metric_for_best_model": "accuracy"})
    assert "distillation_loss" not in result.metrics
    assert result.best_step is not None


def test_a_head_that_does_not_learn_is_no_judge(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    best = {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 1, "save_steps": 1}
    with pytest.raises(RecipeError, match=r"no loss of this phase .* teaches the head"):
        trainer_of(tmp_path, tiny_tokenizer, metric_for_best_model="accuracy", follow_head=False, **best)
    other = trainer_of(tmp_path, tiny_tokenizer, metric_for_best_model="accuracy", **best)
    other.compute_metrics = accuracy
    other.student.classifier = torch.nn.Sequential(other.student.classifier)  # none that can be read
    with pytest.raises(RecipeError, match=r"teaches the head, which does not follow either"):
        other.train()
    best_only = {"save_strategy": "best", "eval_strategy": "steps", "eval_steps": 1}
    other = trainer_of(tmp_path, tiny_tokenizer, metric_for_best_model="accuracy", **best_only)
    other.compute_metrics = accuracy
    other.student.classifier = torch.nn.Sequential(other.student.classifier)
    with pytest.raises(RecipeError, match=r"teaches the head, which does not follow either"):
        other.train()
    assert not list(tmp_path.glob("checkpoint-*"))
    trainer = trainer_of(tmp_path, tiny_tokenizer, metric_for_best_model="attention_loss", **best)
    trainer.train()
    assert trainer.state.best_metric == min(
        entry["eval_attention_loss"] for entry in trainer.state.log_history if "eval_attention_loss" in entry
    )


def test_a_head_that_follows_may_judge(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    best = {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 1, "save_steps": 1, "max_steps": 4}
    trainer = trainer_of(tmp_path, tiny_tokenizer, metric_for_best_model="accuracy", learning_rate=0.1, **best)
    trainer.compute_metrics = accuracy
    trainer.train()
    found = [entry["eval_accuracy"] for entry in trainer.state.log_history if "eval_accuracy" in entry]
    assert len(found) == 4
    assert trainer.state.best_metric == max(found)
    assert trainer.state.best_global_step == 1 + found.index(max(found))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"save_strategy": "steps"}, "Leave save_strategy out"),
        ({"save_strategy": "no"}, "Leave save_strategy out"),
        ({"eval_strategy": "no"}, "eval_strategy is 'no'"),
        ({"eval_strategy": "steps", "eval_steps": 2, "save_steps": 3}, "multiple"),
    ],
)
def test_strategies_that_do_not_match(run: Any, tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        run("run", training_arguments={**BEST, **changes})
    assert not (tmp_path / "run").exists(), "before anything is written"


def test_nothing_to_evaluate_on(run: Any, tiny_tokenizer: BertTokenizer, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no rows to evaluate on"):
        run("run", eval_dataset=None)
    with pytest.raises(RecipeError, match="no rows to evaluate on"):
        run("run", (Phase("joint", early_stopping_patience=1),), eval_dataset=None, training_arguments=QUIET)
    with pytest.raises(RecipeError, match="no rows to evaluate on"):
        finetune(
            bert(vocab_size=64),
            FinetuneSettings(epochs=1),
            output_dir=tmp_path / "tuned",
            train_dataset=rows_by_first_token(),
            processing_class=tiny_tokenizer,
            training_arguments=BEST,
        )


def test_a_metric_that_does_not_exist(run: Any, tmp_path: Path) -> None:
    phase = Phase("prediction", epochs=1, batch_size=8)
    with pytest.raises(RecipeError, match=r"'f2', which .* gives: accuracy, distillation_loss, loss, "):
        run("run", (phase,), training_arguments={**BEST, "metric_for_best_model": "f2"})
    assert not list(tmp_path.glob("run/phases/*/checkpoint-*"))
    unlabelled = rows_by_first_token(8).remove_columns("labels")
    with pytest.raises(RecipeError, match=r"needs rows with labels\). It gives: distillation_loss, prediction_loss"):
        run("without", (phase,), eval_dataset=unlabelled, compute_metrics=None)
    _, (result,) = run("layers", (Phase("intermediate", epochs=1, batch_size=8),), eval_dataset=unlabelled)
    assert result.best_step == result.steps


def test_a_metric_that_wants_all_rows_is_looked_for_later(run: Any) -> None:
    def of_all(prediction: Any) -> dict[str, float]:
        assert len(prediction.predictions) == 80
        return accuracy(prediction)

    phase = Phase("prediction", epochs=1, batch_size=8)
    more: dict[str, Any] = {"eval_dataset": rows_by_first_token(80), "compute_metrics": of_all}
    run("run", (phase,), training_arguments={**BEST, "metric_for_best_model": "accuracy"}, **more)
    with pytest.raises(RecipeError, match="'f2'"):
        run("other", (phase,), training_arguments={**BEST, "metric_for_best_model": "f2"}, **more)


STOPPING = Phase("intermediate", epochs=8, early_stopping_patience=2, **RISING)


def test_a_phase_stops_early_and_keeps_its_best(run: Any) -> None:
    _, (result, behind) = run("run", (STOPPING, Phase("prediction", epochs=1, batch_size=8)), training_arguments=QUIET)
    assert result.best_step is not None
    assert result.steps == result.best_step + 2 * 4 < 8 * 4
    assert result.stopped_early
    assert (behind.steps, behind.best_step) == (4, None)


def test_the_threshold(run: Any) -> None:
    slow = Phase(
        "intermediate",
        epochs=5,
        learning_rate=1e-6,
        batch_size=8,
        early_stopping_patience=1,
        early_stopping_threshold=9,
    )
    _, (result,) = run("run", (slow,), training_arguments=QUIET)
    assert (result.steps, result.best_step) == (8, 8)


@pytest.mark.parametrize("own", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_stop_changes_nothing(run: Any, tmp_path: Path, own: bool) -> None:
    """Between the evaluations that count; and after the last, when only the result is missing."""
    phase = Phase("intermediate", epochs=8, learning_rate=0.3, batch_size=8, lr_scheduler_type="constant")
    options: dict[str, Any] = {"training_arguments": {**BEST, "save_total_limit": 20}}

    def begin(folder: str, *more: Any) -> tuple[Any, Any]:
        callbacks = [*more, *([EarlyStoppingCallback(2)] if own else [])]
        return run(folder, (phase if own else STOPPING,), callbacks=callbacks, **options)

    expected, (whole,) = begin("whole")
    assert whole.best_step is not None
    for step in (whole.best_step + 5,) if own else (whole.best_step + 5, whole.steps):
        folder = f"stopped at {step}"
        with pytest.raises(KeyboardInterrupt):
            begin(folder, StopAt(step, "intermediate"))
        _assert_same(begin(folder), expected, whole)
    if own:
        return
    # Killed behind the last checkpoint: all steps are done.
    with pytest.raises(KeyboardInterrupt):
        begin("late", _StopAtEnd())
    assert (tmp_path / "late" / "phases" / "0-intermediate" / f"checkpoint-{whole.steps}").exists()
    _assert_same(begin("late"), expected, whole)


class _StopAtEnd(StopAt):
    def __init__(self) -> None:
        super().__init__(-1, "")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt


def _assert_same(found: tuple[Any, Any], expected: Any, whole: Any) -> None:
    student, (result,) = found
    assert (result.steps, result.best_step, result.losses) == (whole.steps, whole.best_step, whole.losses)
    timed = ("runtime", "_per_second")
    kept = [{k: v for k, v in one.metrics.items() if not k.endswith(timed)} for one in (result, whole)]
    assert kept[0] == kept[1]
    for name, value in expected.state_dict().items():
        assert torch.equal(student.state_dict()[name], value), name


@pytest.mark.slow
def test_a_best_checkpoint_that_is_gone_is_missed(run: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"training_arguments": {**BEST, "save_total_limit": 20}}
    _, (whole,) = run("whole", (STOPPING,), **options)
    with pytest.raises(KeyboardInterrupt):
        run("run", (STOPPING,), callbacks=[StopAt(whole.best_step + 5, "intermediate")], **options)
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "run", moved)
    shutil.rmtree(tmp_path / "run")
    _, (result,) = run("moved", (STOPPING,), **options)
    assert (result.steps, result.best_step) == (whole.steps, whole.best_step)
    with pytest.raises(KeyboardInterrupt):
        run("run", (STOPPING,), callbacks=[StopAt(whole.best_step + 5, "intermediate")], **options)
    shutil.rmtree(tmp_path / "run" / "phases" / "0-intermediate" / f"checkpoint-{whole.best_step}")
    with pytest.raises(OutputFolderError, match=f"checkpoint-{whole.best_step}"):
        run("run", (STOPPING,), **options)


@pytest.mark.parametrize(
    "values",
    [
        {"early_stopping_patience": 0},
        {"early_stopping_threshold": 0.1},
        {"early_stopping_patience": 1, "early_stopping_threshold": -1.0},
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="early_stopping"):
        Phase("joint", **values)


def test_finetuning_keeps_its_best(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    def train(rows_to_see: Dataset) -> tuple[Any, dict[str, float]]:
        model = bert(vocab_size=64)
        return model, finetune(
            model,
            FinetuneSettings(epochs=5, learning_rate=0.3, batch_size=8, lr_scheduler_type="constant"),
            output_dir=tmp_path / "tuned",
            train_dataset=rows_by_first_token(),
            eval_dataset=rows_to_see,
            processing_class=tiny_tokenizer,
            training_arguments=BEST,
        )

    model, metrics = train(rows_by_first_token(8))
    batch = {name: torch.tensor(rows_by_first_token(8)[name]) for name in ("input_ids", "attention_mask", "labels")}
    with torch.no_grad():
        assert metrics["loss"] == pytest.approx(float(model.eval()(**batch).loss), rel=1e-5)
