"""What a training measures on the way and leaves to read: held-out losses, their curve, the log, the model card."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tinybert_hf.checkpoints.card_parts import CARD_FILE, MARK, place_of
from tinybert_hf.checkpoints.integrity import write_atomically
from tinybert_hf.checkpoints.model_card import trainer_card
from tinybert_hf.distillation.objective import evaluation_mode
from tinybert_hf.distillation.teachers import each_teacher
from tinybert_hf.training.collators import SeededCollator
from tinybert_hf.training.resumable import row_lengths
from tinybert_hf.training.setup import unchanged_randomness

if TYPE_CHECKING:
    from tinybert_hf.training.trainer import DistillationTrainer


# The losses between student and teacher on rows that are not learned from.


def held_out_losses(trainer: DistillationTrainer, rows: Any) -> dict[str, float]:
    """Each loss of the trainer's objective over all rows; every process has to call this.

    The means are over all rows at once, whatever the batches and the number of processes are. Where the collator
    masks, it masks the same tokens in every call.

    Args:
        trainer: with both models on their device.
        rows: tokenised.

    Returns:
        Name -> loss, without its weight.
    """
    objective = trainer.distillation_objective
    with unchanged_randomness(), torch.no_grad(), evaluation_mode(trainer.model):
        batches = list(_own_batches(trainer, rows))
        totals = objective.no_counts.as_tensor(torch.device("cpu"))
        for batch, weight in batches:
            totals += weight * objective.counts_of(batch).as_tensor(torch.device("cpu"))
        totals = _over_processes(trainer, totals)
        counts = objective.no_counts.filled(totals.to(trainer.args.device, torch.float32))
        sums: dict[str, float] = {}
        for plain, weight in batches:
            batch = trainer._prepare_inputs(plain)
            with trainer.compute_loss_context_manager():
                seen = objective.capture_teachers(trainer.teacher, batch)
                parts = trainer.model(dict(batch), teachers=seen, counts=counts)
            for name, part in parts.items():
                sums[name] = sums.get(name, 0.0) + weight * float(part)
        added = _over_processes(trainer, torch.tensor(list(sums.values()), dtype=torch.float64))
    return dict(zip(sums, added.tolist(), strict=True))


def _own_batches(trainer: DistillationTrainer, rows: Any) -> Iterator[tuple[dict[str, Any], float]]:
    """This process's batches of rows of like length, each with its weight; every process has as many.

    A process for which none is left computes its first one again, and counts it as nothing.
    """
    seeded = SeededCollator(trainer.data_collator, trainer.args.seed)
    collate = trainer._get_collator_with_removed_columns(seeded)
    lengths = row_lengths(rows, trainer.args.length_column_name)
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    size, world, rank = trainer.args.per_device_eval_batch_size, trainer.args.world_size, trainer.args.process_index
    starts = range(0, len(order), size)
    for number in range(-(-len(starts) // world)):
        at = number * world + rank
        chosen = order[starts[at] : starts[at] + size] if at < len(starts) else order[:size]
        yield collate([rows[index] for index in chosen]), float(at < len(starts))


def _over_processes(trainer: DistillationTrainer, values: torch.Tensor) -> torch.Tensor:
    if trainer.args.world_size == 1:
        return values
    device = trainer.args.device
    kind = torch.float32 if device.type == "mps" else torch.float64
    total: torch.Tensor = trainer.accelerator.reduce(values.to(device, kind), "sum")
    return total.cpu().double()


# The losses of a phase over its steps: finer than the Trainer's log, and kept without waiting for the device.

POINTS = 100


class LossCurve:
    """Means of each loss over stretches of steps, some 50 to 100 stretches in a training.

    The Trainer's log prints a line and waits for the device whenever it logs. Here the sums stay on the device as they
    are; they are read when a checkpoint is written, which waits anyway, and at the end. A run that goes on from a
    checkpoint takes up the sums of the checkpoint, so that it ends with the same curve.
    """

    def __init__(self) -> None:
        self._closed: list[tuple[int, int, dict[str, Tensor]]] = []  # last step, number of steps, sums
        self._sums: dict[str, Tensor] = {}
        self._since = 0

    def note(self, parts: Mapping[str, Tensor], step: int, max_steps: int) -> None:
        """Add the losses of one batch.

        Args:
            parts: by name, without weights; of several batches in a step, the shares that add up to the step's.
            step: steps that are complete.
            max_steps: of the whole training.
        """
        if self._sums and step - self._since >= -(-max_steps // POINTS):
            self._close(step)
        if not self._sums:
            self._since = step
        for name, part in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + part.detach()

    def _close(self, step: int) -> None:
        self._closed.append((step, step - self._since, self._sums))
        self._sums = {}

    def state(self) -> dict[str, Any]:
        """All of it as plain numbers, for a checkpoint."""
        plain = [[step, steps, _numbers(sums)] for step, steps, sums in self._closed]
        return {"closed": plain, "sums": _numbers(self._sums), "since": self._since}

    def restore(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from what `state` gave."""
        self._closed = [(step, steps, _tensors(sums, device)) for step, steps, sums in state["closed"]]
        self._sums, self._since = _tensors(state["sums"], device), state["since"]

    def points(self, step: int, add_up: Callable[[Tensor], Tensor]) -> dict[str, list[float]]:
        """The curve at the end of a training; every process has to call this.

        Args:
            step: the last one.
            add_up: the sum over all processes of a tensor.

        Returns:
            `step`, the last step of each stretch, and each loss, its mean over the stretch.
        """
        if self._sums and step > self._since:
            self._close(step)
        if not self._closed:
            return {"step": []}
        names = list(self._closed[0][2])
        sums = add_up(torch.stack([torch.stack([each[name] for name in names]) for _, _, each in self._closed]))
        means = sums.double().cpu() / torch.tensor([steps for _, steps, _ in self._closed])[:, None]
        columns = dict(zip(names, means.T.tolist(), strict=True))
        return {"step": [step for step, _, _ in self._closed], **columns}


def _numbers(sums: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in sums.items()}


def _tensors(sums: Mapping[str, float], device: torch.device) -> dict[str, Tensor]:
    return {name: torch.tensor(value, device=device) for name, value in sums.items()}


# What a phase keeps of its course: the losses over its steps, and what was measured on the way.

# How long an evaluation took differs from one start to the next; the log of a run does not.
_LEFT_OUT = ("runtime", "_per_second", "_compilation_time")


def phase_log(trainer: DistillationTrainer) -> dict[str, Any]:
    """The course of a training that has ended; every process has to call this.

    Returns:
        steps, epochs; `teacher_bf16`, `student_bf16`: whether a teacher, and the student, multiplied in bfloat16;
        `weights` of the losses; `losses`: for each name a list, beside the list `step` (means over the steps since
        the entry before, see `LossCurve`); `evaluation`: step, epoch and metrics of each evaluation.
    """
    losses = trainer.loss_curve.points(trainer.state.global_step, lambda sums: trainer.accelerator.reduce(sums, "sum"))
    history: list[dict[str, Any]] = trainer.state.log_history
    return {
        "steps": trainer.state.global_step,
        "epochs": float(trainer.args.num_train_epochs),
        "teacher_bf16": trainer.teacher_is_bf16,
        "student_bf16": trainer.student_is_bf16,
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


# The model card that a DistillationTrainer writes beside its student.

# How the card of transformers' Trainer begins, which no person has written either.
_TRAINERS = "<!-- This model card has been generated automatically according to the information the Trainer"
_SETTINGS = (
    "phase", "layer_map", "attention_layer_map", "decoder_layer_map", "temperature", "projection", "learning_rate",
    "lr_scheduler_type", "num_train_epochs", "max_steps", "per_device_train_batch_size",
    "gradient_accumulation_steps", "weight_decay", "optim", "seed", "bf16", "fp16",
)  # fmt: skip
_NOT_METRICS = ("runtime", "per_second", "epoch", "model_preparation_time")


def write_model_card(trainer: DistillationTrainer, name: str | None, **metadata: Any) -> None:
    """Write README.md into the trainer's output folder; one that a person has written stays.

    Args:
        trainer: in any state; metrics are those that were logged last.
        name: of the model, where it has no repository; None: that of the folder.
        **metadata: see `trainer_card`.
    """
    args: Any = trainer.args
    folder = Path(args.output_dir)
    file = folder / CARD_FILE
    if file.is_file() and not any(mark in file.read_text(encoding="utf-8") for mark in (MARK, _TRAINERS)):
        return
    settings = {key: getattr(args, key, None) for key in _SETTINGS}
    settings.pop("num_train_epochs" if args.max_steps > 0 else "max_steps")
    settings["weights of the losses"] = ", ".join(f"{loss} {one:g}" for loss, one in trainer.loss_weights.items())
    text = trainer_card(
        args.hub_model_id or name or folder.resolve().name,
        {**trainer.student.config.to_dict(), "architectures": [type(trainer.student).__name__]},
        [str(one.config._name_or_path or type(one).__name__) for one in each_teacher(trainer.teacher)],
        settings={
            key: str(getattr(value, "value", value)) for key, value in settings.items() if value not in (None, False)
        },
        losses={key: value for key, value in _last(trainer, "loss").items() if key.endswith("_loss")},
        metrics=_metrics(trainer),
        versions=_versions(),
        place=None if args.hub_model_id or name else place_of(folder),
        **metadata,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(file, text)


def _last(trainer: DistillationTrainer, name: str) -> dict[str, Any]:
    return next((entry for entry in reversed(trainer.state.log_history) if name in entry), {})


def _metrics(trainer: DistillationTrainer) -> dict[str, float]:
    logged = _last(trainer, "eval_loss").items()
    return {
        key.removeprefix("eval_"): value
        for key, value in logged
        if key.startswith("eval_") and isinstance(value, int | float) and not key.endswith(_NOT_METRICS)
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in ("tinybert_hf", "torch", "transformers", "accelerate", "datasets"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # imported from its sources
            continue
    return {**found, "python": platform.python_version()}
