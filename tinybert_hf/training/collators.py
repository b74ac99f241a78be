"""Batches: random numbers of rows and epoch alone, labels of words, and tokens of a teacher's own."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tinybert_hf.checkpoints import with_fitting_settings
from tinybert_hf.distillation.batch import WORD_STARTS
from tinybert_hf.distillation.teachers import Teachers, columns_of
from tinybert_hf.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset


# A collator whose random numbers depend on the rows and the epoch alone.


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


# Batches of rows whose words have labels.

_FILL = {"labels": -100, WORD_STARTS: 0}


def labels_tokens(model: Any) -> bool:
    """Whether a model answers at each token, as for named entities."""
    return type(model).__name__.endswith("ForTokenClassification")


def collator_for(model: Any, tokenizer: Any) -> WordCollator | None:
    """The collator that a token classifier needs; None where transformers' own will do."""
    return WordCollator(tokenizer) if tokenizer is not None and labels_tokens(model) else None


class WordCollator:
    """Pads rows with the tokenizer, and what stands beside their tokens to the same width."""

    def __init__(self, tokenizer: Any) -> None:
        """Keep the tokenizer.

        Args:
            tokenizer: that pads.
        """
        self.tokenizer = tokenizer

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """A batch of these rows; labels are filled with -100, word_starts with 0.

        Args:
            rows: of one data set; labels and word_starts may be absent.
        """
        plain = [{name: value for name, value in row.items() if name not in _FILL} for row in rows]
        batch: dict[str, Any] = dict(self.tokenizer.pad(plain, return_tensors="pt"))
        width = batch["input_ids"].shape[-1]
        for name, fill in _FILL.items():
            if name in rows[0]:
                batch[name] = torch.tensor([self._padded(row[name], width, fill) for row in rows], dtype=torch.long)
        return batch

    def _padded(self, values: Any, width: int, fill: int) -> list[int]:
        given = [int(value) for value in values]
        rest = [fill] * (width - len(given))
        return given + rest if self.tokenizer.padding_side == "right" else rest + given


# Rows for a teacher that reads tokens of its own: further columns, padded by its own tokenizer.

_NOT_READ = ("labels", "label", "length")


def own_inputs(index: int, inputs: Collection[str]) -> list[str]:
    """The columns with a teacher's own tokens, by the names of what its forward takes."""
    return [f"{columns_of(index)}{name}" for name in inputs]


def with_teacher_tokens(rows: Dataset, encoded: Mapping[str, Any] | Dataset, *, teacher: int = 0) -> Dataset:
    """Put the tokens of a teacher with another tokenizer beside the student's.

    Args:
        rows: in the student's tokens.
        encoded: the same rows, in the same order, as the teacher's tokenizer gives them (not padded).
        teacher: its place among the teachers, from 0.

    Returns:
        The rows with the columns teacher_0_input_ids, teacher_0_attention_mask, ... more.

    Raises:
        DataError: another number of rows.
    """
    from datasets import Dataset, concatenate_datasets

    own = encoded if isinstance(encoded, Dataset) else Dataset.from_dict(dict(encoded))
    if len(own) != len(rows):
        raise DataError(
            f"There are {len(rows)} rows for the student and {len(own)} for teachers[{teacher}]: tokenise the same "
            "texts twice, in one order."
        )
    own = own.remove_columns([name for name in _NOT_READ if name in own.column_names])
    own = own.rename_columns({name: f"{columns_of(teacher)}{name}" for name in own.column_names})
    return concatenate_datasets([rows, own], axis=1)


class OwnTokensCollator:
    """Pads the student's columns as ever, and each teacher's own with that teacher's tokenizer."""

    def __init__(self, collate: Callable[[list[Any]], Any], teachers: Teachers) -> None:
        self.collate = collate
        self.tokenizers = {
            columns_of(index): with_fitting_settings(tokenizer, teachers.models[index])
            for index, tokenizer in enumerate(teachers.tokenizers)
            if teachers.differences[index]
        }

    def __call__(self, rows: list[Any]) -> dict[str, Any]:
        """A batch of these rows; rows to evaluate on need no columns for a teacher."""
        batch: dict[str, Any] = {}
        for prefix, tokenizer in self.tokenizers.items():
            own = [{name: value for name, value in row.items() if name.startswith(prefix)} for row in rows]
            rows = [{name: value for name, value in row.items() if not name.startswith(prefix)} for row in rows]
            if own and own[0]:
                plain = [{name.removeprefix(prefix): value for name, value in row.items()} for row in own]
                padded = tokenizer.pad(plain, return_tensors="pt")
                batch |= {f"{prefix}{name}": value for name, value in padded.items()}
        return {**self.collate(rows), **batch}
