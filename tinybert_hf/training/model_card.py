"""The model card that a DistillationTrainer writes beside its student."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.cards import CARD_FILE, MARK, trainer_card
from tinybert_hf.cards.parts import place_of
from tinybert_hf.data.shard_folder import replace_file
from tinybert_hf.distillation.teachers import each_teacher

if TYPE_CHECKING:
    from tinybert_hf.training.trainer import DistillationTrainer

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
        trainer: in any state; figures are those that were logged last.
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
    replace_file(file, lambda handle: handle.write(text.encode()))


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
