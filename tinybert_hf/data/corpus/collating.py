"""Batches of blocks, masked where that is asked for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class BlockCollator:
    """Pads blocks to the longest of a batch; with a share above 0 it masks tokens, and `labels` hold what was there.

    Of the chosen tokens 80 % become the mask, 10 % another token and 10 % stay, as in BERT's pretraining. Special
    tokens are never chosen. The random numbers are those of torch's global generator.
    """

    def __init__(self, tokenizer: Any, masked_share: float = 0.0) -> None:
        """Keeps what is needed of the tokenizer.

        Args:
            tokenizer: with a padding token.
            masked_share: of the tokens; 0: no masking and no labels.
        """
        self.padding = {"input_ids": int(tokenizer.pad_token_id)}
        self.masked_share = masked_share
        self._masking = None
        if masked_share:
            from transformers import DataCollatorForLanguageModeling

            self._masking = DataCollatorForLanguageModeling(tokenizer, mlm_probability=masked_share)
            self._special = torch.tensor(sorted(tokenizer.all_special_ids))

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """A batch of rows of `CorpusBlocks`."""
        longest = max(len(row["input_ids"]) for row in rows)
        batch = {}
        for name in (name for name in rows[0] if name != "length"):
            values = np.full((len(rows), longest), self.padding.get(name, 0), np.int64)
            for place, row in zip(values, rows, strict=True):
                place[: len(row[name])] = row[name]
            batch[name] = torch.from_numpy(values)
        if self._masking is not None:
            special = torch.isin(batch["input_ids"], self._special)
            batch["input_ids"], batch["labels"] = self._masking.torch_mask_tokens(
                batch["input_ids"], special_tokens_mask=special
            )
        return batch
