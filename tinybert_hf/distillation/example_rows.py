"""What the modules of a model take in and give out on example rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from tinybert_hf.distillation.batches import attention_mask
from tinybert_hf.distillation.capture import model_inputs
from tinybert_hf.distillation.objective import evaluation_mode
from tinybert_hf.errors import DataError

if TYPE_CHECKING:
    pass

ROWS_AT_ONCE = 32


@dataclass(frozen=True)
class ExampleRows:
    """Rows in batches of like length, and how to see a model's modules at work on them."""

    batches: Sequence[Mapping[str, Tensor]]

    @classmethod
    def of(cls, batches: Sequence[Mapping[str, Any]]) -> ExampleRows:
        """The rows of tokenised batches; only entries of shape (B, L) are kept."""
        return cls(_regrouped(batches))

    def record(self, model: nn.Module, **wanted: tuple[nn.Module, str]) -> dict[str, Tensor]:
        """Inputs or outputs of modules at real tokens: name -> (T, width), fp64."""
        kept: dict[str, list[Tensor]] = {name: [] for name in wanted}
        mask, row = torch.empty(0), 0

        def keep(name: str, tensor: Tensor) -> None:
            kept[name].append(tensor[mask].double())
            if all(len(parts) > row for parts in kept.values()):
                raise _EverythingSeen

        with _hooks(wanted, keep), evaluation_mode(model), torch.no_grad():
            for row, batch in enumerate(self.batches):  # noqa: B007 - read by `keep`
                placed = {k: v.to(model.device) for k, v in model_inputs(model, batch).items()}
                mask = attention_mask(placed).bool()
                with suppress(_EverythingSeen):
                    model(**placed)
        return {name: torch.cat(parts) for name, parts in kept.items()}


class _EverythingSeen(Exception):
    """Ends a forward as soon as the last wanted module has been seen."""


@contextmanager
def _hooks(wanted: Mapping[str, tuple[nn.Module, str]], keep: Callable[[str, Tensor], None]) -> Iterator[None]:
    handles = []
    for name, (module, side) in wanted.items():
        if side == "input":
            handles.append(module.register_forward_pre_hook(lambda _m, args, name=name: keep(name, args[0])))
        else:
            handles.append(module.register_forward_hook(lambda _m, _args, output, name=name: keep(name, output)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _regrouped(batches: Sequence[Mapping[str, Any]]) -> list[dict[str, Tensor]]:
    """The same rows in batches of like length, without the padding that is not needed."""
    rows = []
    for number, batch in enumerate(batches):
        if not isinstance(batch.get("input_ids"), Tensor):
            raise DataError(
                f"Example batch {number} holds no rows of tokens: input_ids must be a tensor (B, L), as "
                'tokenizer(..., padding=True, return_tensors="pt") makes it.'
            )
        mask = attention_mask(batch).bool()
        names = [name for name, value in batch.items() if isinstance(value, Tensor) and value.shape == mask.shape]
        rows += [{name: batch[name][i][mask[i]] for name in names} for i in range(mask.shape[0]) if mask[i].any()]
    rows.sort(key=lambda row: row["input_ids"].shape[0])
    grouped = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        chosen = rows[start : start + ROWS_AT_ONCE]
        padded = {name: pad_sequence([row[name] for row in chosen], batch_first=True) for name in chosen[0]}
        lengths = torch.tensor([row["input_ids"].shape[0] for row in chosen])
        padded["attention_mask"] = (torch.arange(int(lengths.max()))[None] < lengths[:, None]).long()
        grouped.append(padded)
    return grouped
