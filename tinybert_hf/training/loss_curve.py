"""The losses of a phase over its steps: finer than the Trainer's log, and kept without waiting for the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

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
