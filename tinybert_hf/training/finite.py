"""Stops a run at the first loss, gradient or weight that is not a finite number."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tinybert_hf.errors import TinyBertError
from tinybert_hf.training.sharding import whole

# On a GPU the answer is awaited only when this many steps are unanswered, so that the GPU is never waited for.
_STEPS_BEHIND = 4


@dataclass(frozen=True)
class _Noted:
    step: int
    names: tuple[str, ...]
    finite: Tensor
    event: Any
    inputs: Mapping[str, Any]

    def is_answered(self) -> bool:
        return self.event is None or bool(self.event.query())

    def broken(self) -> list[str]:
        if self.event is not None:
            self.event.synchronize()
        return [name for name, finite in zip(self.names, self.finite.tolist(), strict=True) if not finite]


class FiniteWatch:
    """Looks at the losses of each step: at once on a CPU, a few steps behind on a GPU, where asking would stall it."""

    def __init__(self, stop: Callable[[list[str], int, Mapping[str, Any]], None]) -> None:
        """Keep whom to tell.

        Args:
            stop: called with the names that are not finite, the step (from 1) and the inputs; raises.
        """
        self._stop = stop
        self._noted: deque[_Noted] = deque()

    def note(self, values: Mapping[str, Tensor], step: int, inputs: Mapping[str, Any]) -> None:
        """Look at the scalars of one batch."""
        finite = torch.stack([whole(value.detach()).float().isfinite().all() for value in values.values()])
        event = None
        if finite.is_cuda:
            finite = finite.to("cpu", non_blocking=True)
            event = torch.cuda.Event()
            event.record()
        self._noted.append(_Noted(step, tuple(values), finite, event, inputs))
        while self._noted and (self._noted[0].is_answered() or len(self._noted) > _STEPS_BEHIND):
            self._answer(self._noted.popleft())

    def settle(self) -> None:
        """Wait for all answers: before a checkpoint is written, and at the end."""
        while self._noted:
            self._answer(self._noted.popleft())

    def forget(self) -> None:
        """Drop what was noted: a new run begins."""
        self._noted.clear()

    def _answer(self, noted: _Noted) -> None:
        broken = noted.broken()
        if broken:
            self._stop(broken, noted.step, noted.inputs)


def check_weights(model: nn.Module, when: str) -> None:
    """Refuse to go on with weights that are not finite.

    Args:
        model: whose parameters are looked at.
        when: for the message: "checkpoint-40 was to be written".

    Raises:
        TinyBertError: naming the first such parameter.
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not named:
        return
    with torch.no_grad():
        finite = torch.stack([whole(parameter.detach().isfinite().all()) for _, parameter in named]).tolist()
    broken = [name for (name, _), is_finite in zip(named, finite, strict=True) if not is_finite]
    if broken:
        raise TinyBertError(
            f"{len(broken)} of {len(named)} parameters were no longer finite when {when}, the first is {broken[0]}. "
            "The gradients of a step before overflowed. Nothing was written; go on from the last checkpoint with a "
            "lower learning rate, with bf16 instead of fp16, or with max_grad_norm above 0."
        )


def rows_like(dataset: Any, inputs: Mapping[str, Any], limit: int = 32) -> list[int]:
    """The numbers of the dataset's rows that a batch was made of, found by their tokens; empty where none is found."""
    ids, mask = inputs.get("input_ids"), inputs.get("attention_mask")
    if not isinstance(ids, Tensor) or ids.dim() != 2 or not hasattr(dataset, "__len__"):
        return []
    mask = torch.ones_like(ids) if not isinstance(mask, Tensor) else mask
    wanted = {tuple(row[keep.bool()].tolist()) for row, keep in zip(ids.cpu(), mask.cpu(), strict=True)}
    found = []
    for number, row in enumerate(_token_rows(dataset)):
        if tuple(row) in wanted:
            found.append(number)
            if len(found) == limit:
                break
    return found


def _token_rows(dataset: Any) -> Iterator[list[int]]:
    if "input_ids" in getattr(dataset, "column_names", ()):
        dataset = dataset.select_columns(["input_ids"])
    for row in dataset:
        ids = row["input_ids"]
        yield ids.tolist() if hasattr(ids, "tolist") else ids
