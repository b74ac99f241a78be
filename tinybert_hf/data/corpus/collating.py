"""Batches of blocks, masked where that is asked for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

NOT_ASKED = -100


class BlockCollator:
    """Pads blocks to the longest of a batch; with a share above 0 it masks tokens, and `labels` hold what was there.

    Of the chosen tokens 80 % become the mask, 10 % another token and 10 % stay, as in BERT's pretraining. Special
    tokens are never chosen. What is masked in a row depends on the row's own seed alone, so that it is the same in
    whatever batch and process the row is.

    Attributes:
        takes_row_seeds: a caller with seeds of its own gives them.
    """

    takes_row_seeds = True

    def __init__(self, tokenizer: Any, masked_share: float = 0.0) -> None:
        """Keeps what is needed of the tokenizer.

        Args:
            tokenizer: with a padding token.
            masked_share: of the tokens; 0: no masking and no labels.
        """
        self.padding = {"input_ids": int(tokenizer.pad_token_id), "labels": NOT_ASKED}
        self.masked_share = masked_share
        self._mask = tokenizer.mask_token_id
        self._size = len(tokenizer)
        self._special = np.array(sorted(tokenizer.all_special_ids))

    def __call__(self, rows: Sequence[dict[str, Any]], seeds: Sequence[int] | None = None) -> dict[str, Tensor]:
        """A batch.

        Args:
            rows: of `CorpusBlocks`.
            seeds: of the masking, one a row; None: drawn from torch's global generator.
        """
        if self.masked_share:
            if seeds is None:
                seeds = torch.randint(2**63 - 1, (len(rows),)).tolist()
            rows = [self._masked(row, seed) for row, seed in zip(rows, seeds, strict=True)]
        longest = max(len(row["input_ids"]) for row in rows)
        batch = {}
        for name in (name for name in rows[0] if name != "length"):
            values = np.full((len(rows), longest), self.padding.get(name, 0), np.int64)
            for place, row in zip(values, rows, strict=True):
                place[: len(row[name])] = row[name]
            batch[name] = torch.from_numpy(values)
        return batch

    def _masked(self, row: dict[str, Any], seed: int) -> dict[str, Any]:
        tokens = np.asarray(row["input_ids"])
        draw = np.random.default_rng(seed)
        chosen = (draw.random(len(tokens)) < self.masked_share) & ~np.isin(tokens, self._special)
        kind = draw.random(len(tokens))
        others = draw.integers(0, self._size, len(tokens))
        seen = np.where(chosen & (kind < 0.8), self._mask, tokens)
        seen = np.where(chosen & (kind >= 0.8) & (kind < 0.9), others, seen)
        return {**row, "input_ids": seen, "labels": np.where(chosen, tokens, NOT_ASKED)}
