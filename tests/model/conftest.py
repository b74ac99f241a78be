"""The heads of the family, each beside BERT's own and with a batch of rows it can learn from."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
import transformers
from torch import Tensor

from tinybert_hf import model as family

ROWS, LENGTH, CHOICES, LABELS, VOCABULARY = 8, 10, 3, 4, 64


def _ids(*shape: int) -> Tensor:
    return torch.randint(5, VOCABULARY, shape)


def _token_labels(highest: int) -> Tensor:
    """Row r has r + 1 labelled tokens: rows differ, so a mean of means is not the mean."""
    labels = torch.randint(0, highest, (ROWS, LENGTH))
    for row in range(ROWS):
        labels[row, row + 1 :] = -100
    return labels


@dataclass(frozen=True)
class Head:
    """One head of the family: its class, BERT's, and what makes labels for it."""

    name: str
    labels: Callable[[], dict[str, Tensor]]
    choices: bool = False

    @property
    def tinybert(self) -> type:
        return getattr(family, f"TinyBertFor{self.name}")

    @property
    def bert(self) -> type:
        return getattr(transformers, f"BertFor{self.name}")

    def inputs(self, length: int = LENGTH) -> dict[str, Tensor]:
        """Token ids, segments and a mask under which the last rows are shorter."""
        shape = (ROWS, CHOICES, length) if self.choices else (ROWS, length)
        mask = torch.ones(shape, dtype=torch.long)
        mask[ROWS // 2 :, ..., length - 3 :] = 0
        segments = torch.zeros(shape, dtype=torch.long)
        segments[..., length // 2 :] = 1
        return {"input_ids": _ids(*shape), "attention_mask": mask, "token_type_ids": segments}

    def batch(self) -> dict[str, Tensor]:
        return {**self.inputs(), **self.labels()}


HEADS = [
    Head("MaskedLM", lambda: {"labels": _token_labels(VOCABULARY)}),
    Head("SequenceClassification", lambda: {"labels": torch.randint(0, LABELS, (ROWS,))}),
    Head("TokenClassification", lambda: {"labels": _token_labels(LABELS)}),
    Head(
        "QuestionAnswering",
        lambda: {"start_positions": torch.randint(0, 4, (ROWS,)), "end_positions": torch.randint(4, 7, (ROWS,))},
    ),
    Head("MultipleChoice", lambda: {"labels": torch.randint(0, CHOICES, (ROWS,))}, choices=True),
]


@pytest.fixture(params=HEADS, ids=lambda head: head.name)
def head(request: pytest.FixtureRequest) -> Head:
    """Each head in turn."""
    return request.param


@pytest.fixture(scope="session")
def heads() -> list[Head]:
    """All heads at once."""
    return HEADS
