"""The losses between student and teacher on rows that are not learned from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from tinybert_hf.distillation.objective import evaluation_mode
from tinybert_hf.training.base import row_lengths
from tinybert_hf.training.collation import SeededCollator
from tinybert_hf.training.preparation import unchanged_randomness

if TYPE_CHECKING:
    from tinybert_hf.training.trainer import DistillationTrainer


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
