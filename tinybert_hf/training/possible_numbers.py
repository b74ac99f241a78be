"""Which numbers a training can have; with another it would end at once and look like a finished one."""

from __future__ import annotations

from typing import Any

from tinybert_hf.distillation.losses import LOSSES
from tinybert_hf.errors import RecipeError, check_number, check_temperature

_ABOVE_ZERO = ("epochs", "projection_learning_rate", "teacher_cache_limit_gb")
_COUNTS = ("batch_size", "gradient_accumulation_steps", "train_rows", "early_stopping_patience")
_ZERO_OR_MORE = (
    "weight_decay",
    "num_train_epochs",
    "warmup_steps",
    "early_stopping_threshold",
    *(f"{name}_weight" for name in LOSSES),
)


def check_numbers(settings: Any, *, of: str = "", rate_may_be_zero: bool = False) -> None:
    """Refuse settings of a training with a number that none can have, whichever of these fields they have.

    Args:
        settings: a phase, a fine-tuning, or arguments of a trainer.
        of: whose they are, in front of each name in a message.
        rate_may_be_zero: a learning rate of 0 is allowed, as transformers allows it.

    Raises:
        RecipeError: naming the field.
    """
    for name in _ABOVE_ZERO:
        check_number(getattr(settings, name, None), of + name)
    for name in _COUNTS:
        check_number(getattr(settings, name, None), of + name, whole=True)
    check_temperature(getattr(settings, "temperature", None), of + "temperature", error=RecipeError)
    for name in _ZERO_OR_MORE:
        check_number(getattr(settings, name, None), of + name, zero=True)
    check_number(getattr(settings, "learning_rate", None), f"{of}learning_rate", zero=rate_may_be_zero)
    check_number(getattr(settings, "warmup_ratio", None), f"{of}warmup_ratio", zero=True, below=1.0)


def known_epochs(epochs: float | None) -> float:
    """Epochs that are not open any more.

    Raises:
        RecipeError: they are.
    """
    if epochs is None:
        raise RecipeError("The epochs of a training are still open; with_epochs fills them in.")
    return epochs
