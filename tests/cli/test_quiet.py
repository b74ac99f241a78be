"""What the Trainer's logs look like on the screen, and in a file."""

import io
import sys
import warnings
from types import SimpleNamespace

import datasets
import pytest
from transformers import trainer

from tinybert_hf.cli.screen import log_line, quiet_libraries
from tinybert_hf.errors import ChangedFilesWarning


@pytest.mark.parametrize(
    ("logs", "line"),
    [
        (
            {"loss": 9.3351, "grad_norm": 3.0, "learning_rate": 4e-4, "hidden_state_loss": 0.51234, "epoch": 0.5},
            "epoch 0.50  loss 9.335  learning rate 0.0004  hidden state 0.5123",
        ),
        (
            {
                "eval_loss": 0.3,
                "eval_accuracy": 0.881,
                "eval_runtime": 0.98,
                "eval_steps_per_second": 1.0,
                "epoch": 1.0,
            },
            "epoch 1.00  accuracy 0.881",
        ),
        ({"train_runtime": 1.5, "train_loss": 0.4, "total_flos": 3.0, "epoch": 5.0}, ""),
        ({"note": "text"}, "note text"),
    ],
)
def test_log_line(logs: dict[str, float | str], line: str) -> None:
    assert log_line(logs) == line


class Screen(io.StringIO):
    """Standard error, as a terminal or as a file."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def train_and_tokenize(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> str:
    """What stands on standard error after one step of the Trainer's callback, an evaluation, and a map."""
    screen = Screen(terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    quiet_libraries()
    state = SimpleNamespace(is_world_process_zero=True, max_steps=4, global_step=1)
    callback = trainer.DEFAULT_PROGRESS_CALLBACK()
    callback.on_train_begin(None, state, None)
    callback.on_log(None, state, None, logs={"loss": 0.25, "epoch": 0.5})
    callback.on_step_end(None, state, None)
    callback.on_prediction_step(None, state, None, eval_dataloader=range(3))
    callback.on_evaluate(None, state, None)
    callback.on_train_end(None, state, None)
    rows = datasets.Dataset.from_dict({"text": ["a", "b"]})
    rows.map(lambda row: row, desc="Tokenizing", keep_in_memory=True, load_from_cache_file=False)
    return screen.getvalue()


@pytest.mark.usefixtures("_loud_again")
@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "file"])
def test_bars_are_for_terminals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool
) -> None:
    bars = train_and_tokenize(monkeypatch, terminal)
    assert capsys.readouterr().out.split("\n") == ["epoch 0.50  loss 0.25", ""]
    if terminal:
        assert "Tokenizing" in bars
        assert "/4" in bars
    else:
        assert bars == ""


@pytest.mark.usefixtures("_loud_again")
def test_a_trainer_without_a_bar_prints_lines_too(capsys: pytest.CaptureFixture[str]) -> None:
    quiet_libraries()
    state = SimpleNamespace(is_world_process_zero=True)
    trainer.PrinterCallback().on_log(None, state, None, logs={"loss": 0.25, "epoch": 0.5})
    assert capsys.readouterr().out == "epoch 0.50  loss 0.25\n"


@pytest.mark.usefixtures("_loud_again")
def test_a_changed_file_is_said_once_wherever_it_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    quiet_libraries()
    warnings.warn("config.json was changed", ChangedFilesWarning, stacklevel=1)
    warnings.warn("config.json was changed", ChangedFilesWarning, stacklevel=1)
    warnings.warn("tokenizer.json was changed", ChangedFilesWarning, stacklevel=1)
    assert capsys.readouterr().err.splitlines() == [
        "note: config.json was changed",
        "note: tokenizer.json was changed",
    ]
