"""What a phase keeps of its course: the losses over its steps, and what was measured on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinybert_hf.training.trainer import DistillationTrainer

# How long an evaluation took differs from one start to the next; the log of a run does not.
_LEFT_OUT = ("runtime", "_per_second", "_compilation_time")


def phase_log(trainer: DistillationTrainer) -> dict[str, Any]:
    """The course of a training that has ended; every process has to call this.

    Returns:
        steps, epochs; `teacher_bf16`: whether a teacher multiplied in bfloat16; `weights` of the losses; `losses`:
        for each name a list, beside the list `step` (means over the steps since the entry before, see `LossCurve`);
        `evaluation`: step, epoch and figures of each evaluation.
    """
    losses = trainer.loss_curve.points(trainer.state.global_step, lambda sums: trainer.accelerator.reduce(sums, "sum"))
    history: list[dict[str, Any]] = trainer.state.log_history
    return {
        "steps": trainer.state.global_step,
        "epochs": float(trainer.args.num_train_epochs),
        "teacher_bf16": trainer.teacher_is_bf16,
        "weights": trainer.loss_weights,
        "losses": {name: [_short(value) for value in values] for name, values in losses.items()},
        "evaluation": [_evaluation(entry) for entry in history if "eval_loss" in entry],
    }


def _evaluation(entry: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in entry.items() if not name.endswith(_LEFT_OUT)}
    return {name.removeprefix("eval_"): _short(value) for name, value in kept.items()}


def _short(value: Any) -> Any:
    """Six digits: more than a picture shows, and half the file."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
