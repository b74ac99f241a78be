"""No tensor of a distillation step grows with the square of the length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tiny_seq2seq
import torch
from tiny_models import batch_of, bert
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from tinybert_hf.distillation import distillation_losses


class Largest(TorchDispatchMode):
    """Notes the largest tensor that is made, the backward included."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for value in tree_iter(made):
            # A view (an expanded mask) takes no memory of its own.
            if isinstance(value, Tensor) and value._base is None:
                self.numbers = max(self.numbers, value.untyped_storage().nbytes())
        return made


def largest(student: nn.Module, teacher: nn.Module, batch: Mapping[str, Tensor], **projections: nn.Module) -> int:
    with Largest() as watch:
        sum(distillation_losses(student, teacher, batch, **projections).values()).backward()
    return watch.numbers


def of_encoders(lengths: list[int]) -> int:
    options = {"max_position_embeddings": 2048, "heads": 2}
    student, teacher = bert(hidden=8, **options), bert(layers=4, hidden=16, **options)
    return largest(student, teacher, batch_of(lengths), projections=nn.Linear(8, 16))


def of_translators(length: int) -> int:
    options = {"max_position_embeddings": 1024, "vocab_size": 60}
    student, teacher = tiny_seq2seq.student(**options), tiny_seq2seq.teacher("marian", **options)
    batch = {name: batch_of([length], seed=seed)["input_ids"] for seed, name in enumerate(("input_ids", "labels"))}
    maps = {"projections": nn.Linear(24, 32), "decoder_projections": nn.Linear(16, 32)}
    return largest(student, teacher, {**batch, "attention_mask": torch.ones(1, length, dtype=torch.long)}, **maps)


def test_twice_the_length_takes_twice_the_memory() -> None:
    assert of_encoders([2048]) < 2.2 * of_encoders([1024])
    assert of_translators(1024) < 2.2 * of_translators(512)


def test_only_the_mask_of_padded_rows_is_square() -> None:
    """transformers makes it for `sdpa`: a number for each pair of tokens of a row, whatever the heads."""
    assert of_encoders([1024, 900]) <= 2 * 1024 * 1024 * 4


def test_models_that_nearly_agree_are_compared_exactly_in_linear_memory() -> None:
    def of_one_model(length: int) -> int:
        options = {"max_position_embeddings": 2048, "heads": 2}
        return largest(bert(hidden=8, **options), bert(hidden=8, **options), batch_of([length]))

    assert of_one_model(2048) < 2.2 * of_one_model(1024)
