"""What both trainers of this package have in common: batches of like length, and checkpoints known to be whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer

from tinybert_hf.training.checkpoints import mark_complete

# Rows of this many batches are sorted together: little padding, and still mostly random batches.
WINDOW = 50


class LengthGroupedSampler(Sampler[int]):
    """Rows in groups of like length, the groups in random order; the order depends on the seed and the epoch alone.

    transformers' own sampler walks each window from long to short and draws from the global generator, so that a run
    resumed in its second epoch sees other batches than the run that was not stopped.
    """

    def __init__(self, lengths: Sequence[int], group_size: int, seed: int) -> None:
        """Keep what the order is made from.

        Args:
            lengths: tokens of each row.
            group_size: rows of one optimizer step.
            seed: of the run.
        """
        self.lengths = torch.as_tensor(list(lengths))
        self.group_size = group_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator)
        windows = order.split(WINDOW * self.group_size)
        order = torch.cat([window[self.lengths[window].argsort(stable=True)] for window in windows])
        full = len(order) // self.group_size * self.group_size
        groups = order[:full].view(-1, self.group_size)
        groups = groups[torch.randperm(len(groups), generator=generator)]
        yield from groups.flatten().tolist()
        yield from order[full:].tolist()


class ResumableTrainer(Trainer):
    """transformers' Trainer with the sampler above, and a mark on every checkpoint that was written to the end."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        rows = self.train_dataset if train_dataset is None else train_dataset
        if self.args.train_sampling_strategy != "group_by_length" or not hasattr(rows, "__len__"):
            return super()._get_train_sampler(train_dataset)
        group = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return LengthGroupedSampler(row_lengths(rows, self.args.length_column_name), group, self.args.seed)

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        # transformers would group these by length too, and predictions would come in another order than their rows.
        if self.args.world_size > 1 or not hasattr(eval_dataset, "__len__"):
            return None
        return SequentialSampler(eval_dataset)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        super()._save_checkpoint(*args, **kwargs)
        if self.args.should_save:
            mark_complete(Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}")


def row_lengths(rows: Any, length_column: str) -> list[int]:
    """Tokens of each row, from a column of lengths where there is one."""
    columns = getattr(rows, "column_names", ())
    if length_column in columns:
        return [int(length) for length in rows[length_column]]
    if "input_ids" in columns:
        return [len(ids) for ids in rows.select_columns(["input_ids"])["input_ids"]]
    return [len(row["input_ids"]) for row in rows]
