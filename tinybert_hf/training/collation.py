"""A collator whose random numbers depend on the rows and the epoch alone."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class SeededCollator:
    """Collates with random numbers drawn from the seed, the epoch and the rows of the batch.

    A collator that masks tokens draws from the global generators. A data loader collates ahead of the step that uses
    the batch, so that a run resumed in mid-epoch would mask other tokens than the run that was not stopped. Here each
    batch is masked in the same way whenever, and in whichever process, it is made; and the generators of the run are
    left as they were. A collator that `takes_row_seeds` gets a seed for each row, so that even other batches of the
    same rows are masked alike.
    """

    def __init__(self, collate: Callable[[list[Any]], Any], seed: int) -> None:
        """Wrap a collator.

        Args:
            collate: makes a batch of rows.
            seed: of the run.
        """
        self.collate = collate
        self.seed = seed
        self._epoch = torch.zeros(1, dtype=torch.long).share_memory_()  # seen by loader processes that live on

    def set_epoch(self, epoch: int) -> None:
        """Called before each epoch."""
        self._epoch[0] = epoch

    def __call__(self, rows: list[Any]) -> Any:
        """A batch of these rows."""
        if getattr(self.collate, "takes_row_seeds", False):
            epoch = int(self._epoch[0])
            seeds = [_seed_of([row], self.seed, epoch) for row in rows]
            return self.collate(rows, seeds)  # type: ignore[call-arg]
        with seeded(_seed_of(rows, self.seed, int(self._epoch[0]))):
            return self.collate(rows)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """For the time of the block the CPU's generators (Python, numpy, torch) start from `seed`."""
    before = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)  # `torch.manual_seed` would start the GPU's dropout anew as well
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.random.set_rng_state(before[2])


def _seed_of(rows: Sequence[Any], seed: int, epoch: int) -> int:
    digest = hashlib.blake2b(f"{seed} {epoch} {len(rows)}".encode(), digest_size=8)
    for row in rows:
        content = row["input_ids"] if isinstance(row, dict) and "input_ids" in row else row
        digest.update(repr(content.tolist() if hasattr(content, "tolist") else content).encode())
    return int.from_bytes(digest.digest(), "big") >> 1
