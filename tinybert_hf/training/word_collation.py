"""Batches of rows whose words have labels."""

from __future__ import annotations

from typing import Any

import torch

from tinybert_hf.distillation.batches import WORD_STARTS

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
