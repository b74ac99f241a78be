"""A fine-tuning run of its own: stopped, it goes on, and says so."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from tiny_run import rows, stop_at_step, write_rows

from tinybert_hf.data import DataSettings
from tinybert_hf.recipes import finetuning
from tinybert_hf.training import FinetuneSettings
from tinybert_hf.training.finetuning import FinetuneTrainer


def tune(folder: Path, model: str, epochs: float | None = 1) -> str:
    console = Console(record=True, width=120, file=io.StringIO())
    data = DataSettings(
        train_file=write_rows(folder / "train.jsonl", rows(16)),
        validation_file=write_rows(folder / "validation.jsonl", rows(16)),
        max_length=16,
    )
    settings = FinetuneSettings(epochs=epochs, batch_size=16)
    finetuning.finetune_pretrained(
        model, data, settings, folder / "tuned", training_arguments={"use_cpu": True}, console=console
    )
    return console.export_text()


def test_a_stopped_run_says_that_it_goes_on(work: Path, headless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(finetuning, "predicted_logits", stop)
        with pytest.raises(KeyboardInterrupt):
            tune(work, headless)
    assert "Going on with the run in" in tune(work, headless)
    assert "holds this run already" in tune(work, headless)


def test_a_new_run_does_not_say_so(work: Path, headless: str) -> None:
    assert "Going on" not in tune(work, headless)


def test_the_epochs_follow_the_rows_and_are_said(work: Path, headless: str) -> None:
    assert "Training on 16 rows: 10 epochs at 5e-05." in tune(work, headless, epochs=None)
    kept = json.loads((work / "tuned" / "run.json").read_text())["recipe"]["finetune"]
    assert (kept["epochs"], kept["batch_size"]) == (10, 16)


def test_a_training_that_was_stopped_says_from_which_step_it_goes_on(
    work: Path, headless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_at_step(monkeypatch, FinetuneTrainer, 7)
    with pytest.raises(KeyboardInterrupt):
        tune(work, headless, epochs=10)
    monkeypatch.undo()
    assert "It goes on from step 6." in tune(work, headless, epochs=10)


@pytest.mark.parametrize(
    ("labels", "chosen", "problem", "said"),
    [
        ((0.0, 1.0), None, "single_label_classification", "is a classifier with 2 labels"),
        ((0.0, 1.0), "regression", "regression", ""),
        ((0.0, 0.5), None, "regression", ""),
        ((0.0, 1.0, 2.0), None, "regression", "--problem-type single_label_classification"),
    ],
)
def test_decimals_are_classes_where_the_model_is_a_classifier_of_as_many(
    work: Path, teacher: str, labels: tuple[float, ...], chosen: str | None, problem: str, said: str
) -> None:
    file = write_rows(
        work / "train.jsonl", [{**row, "label": labels[index % len(labels)]} for index, row in enumerate(rows(12))]
    )
    data = DataSettings(train_file=file, validation_file=file, max_length=16, problem_type=chosen)
    console = Console(record=True, width=400, file=io.StringIO())
    finetuning.finetune_pretrained(
        teacher,
        data,
        FinetuneSettings(epochs=1, batch_size=16),
        work / "tuned",
        training_arguments={"use_cpu": True},
        console=console,
    )
    config = json.loads((work / "tuned" / "config.json").read_text())
    assert config["problem_type"] == problem
    assert said in console.export_text()
