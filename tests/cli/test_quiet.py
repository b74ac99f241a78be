"""What the Trainer's logs look like on the screen."""

import pytest

from tinybert_hf.cli.quiet import log_line


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
