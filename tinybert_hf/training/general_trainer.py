"""The trainer of a general distillation: no task, no labels; held-out text instead, and tokens per second."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback

from tinybert_hf.distillation.batch import attention_mask
from tinybert_hf.training.arguments import DISTILLATION_LOSS, plain_name
from tinybert_hf.training.logs import held_out_losses
from tinybert_hf.training.trainer import DistillationTrainer


class GeneralDistillationTrainer(DistillationTrainer):
    """DistillationTrainer whose evaluation gives the losses between the models on held-out text.

    It is taken before the first step and after each epoch: eval_hidden_state_loss, ... and `eval_loss`, their weighted
    sum. The training log has tokens_per_second: real tokens of all processes, without the time of evaluations and
    checkpoints.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if plain_name(self.args.metric_for_best_model) == DISTILLATION_LOSS:
            self.args.metric_for_best_model = "loss"  # what its evaluation calls that sum
        self.add_callback(_AtBothEnds(self))
        self._tokens: Tensor | None = None  # on the device, since the last log
        self._places = 0
        self._since: float | None = None
        self._paused = 0.0
        self._before = 0.0  # seconds since the last log that an earlier start took
        self._seen = {"tokens": 0.0, "places": 0.0, "seconds": 0.0}  # of all processes, up to the last log

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """The losses between the models on held-out rows.

        Args:
            eval_dataset: None: the trainer's.
            ignore_keys: not used; for labels.
            metric_key_prefix: of the names.
        """
        begun = time.perf_counter()
        parts = held_out_losses(self, self.eval_dataset if eval_dataset is None else eval_dataset)
        weights = self.loss_weights
        metrics = {"loss": sum(weights[name] * value for name, value in parts.items()), **parts}
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in metrics.items()}
        self.log(metrics)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self._paused += time.perf_counter() - begun
        return metrics

    def evaluation_metrics(self) -> set[str] | None:
        """The sum, and each loss."""
        return {"loss", *self.loss_weights}

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """As in DistillationTrainer; the tokens are counted."""
        if self._since is None:
            self._since, self._paused = time.perf_counter() - self._before, 0.0
        mask = attention_mask(inputs)
        loss = super().training_step(model, inputs, num_items_in_batch)
        tokens = mask.sum()
        self._tokens = tokens if self._tokens is None else self._tokens + tokens.to(self._tokens.device)
        self._places += mask.numel()
        return loss

    @property
    def throughput(self) -> dict[str, float]:
        """Of the whole training: tokens, tokens_per_second, and the share of padding."""
        seen = self._seen
        if not seen["seconds"]:
            return {}
        return {
            "tokens": seen["tokens"],
            "tokens_per_second": seen["tokens"] / seen["seconds"],
            "padding": 1 - seen["tokens"] / seen["places"],
        }

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Add the speed to the training log."""
        if "loss" in logs:
            speed = self.add_up()
            logs = logs if speed is None else {**logs, "tokens_per_second": speed}
        super().log(logs, *args, **kwargs)

    def add_up(self) -> float | None:
        """Close the count since the last log; every process has to call this.

        Returns:
            Tokens per second since then; None where nothing was read.
        """
        if self._tokens is None or self._since is None:
            return None
        places = torch.tensor(float(self._places), device=self._tokens.device)
        counted = self.accelerator.reduce(torch.stack([self._tokens.float(), places]), "sum").tolist()
        now = time.perf_counter()
        seconds = max(now - self._since - self._paused, 1e-9)
        for name, value in zip(self._seen, (*counted, seconds), strict=True):
            self._seen[name] += value
        self._tokens, self._places, self._since, self._paused = None, 0, now, 0.0
        return float(counted[0] / seconds)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        begun = time.perf_counter()
        super()._save_checkpoint(model, trial)
        self._paused += time.perf_counter() - begun

    def running_sums(self) -> dict[str, Any]:
        """What was read, too."""
        seconds = 0.0 if self._since is None else time.perf_counter() - self._since - self._paused
        tokens = 0 if self._tokens is None else int(self._tokens)
        read = {"seen": self._seen, "tokens": tokens, "places": self._places, "seconds": seconds}
        return {**super().running_sums(), "read": read}

    def set_running_sums(self, sums: Mapping[str, Any]) -> None:
        """What was read, too."""
        super().set_running_sums(sums)
        read = sums["read"]
        self._seen, self._places, self._before = dict(read["seen"]), read["places"], read["seconds"]
        self._tokens = torch.tensor(read["tokens"], device=self.args.device) if read["tokens"] else None


class _AtBothEnds(TrainerCallback):
    """Evaluates before the first step, not again when a run goes on; at the end it closes the count of tokens."""

    def __init__(self, trainer: GeneralDistillationTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 0 and self.trainer.eval_dataset is not None:
            self.trainer.evaluate()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.add_up()
