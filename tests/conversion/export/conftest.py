"""Small models in folders, and a way to compare an export with the model that it was made from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tinybert_hf.model import (
    TinyBertForQuestionAnswering,
    TinyBertForSequenceClassification,
    TinyBertForTokenClassification,
    TinyBertModel,
)

CLASSES: dict[str, Any] = {
    "text-classification": TinyBertForSequenceClassification,
    "token-classification": TinyBertForTokenClassification,
    "question-answering": TinyBertForQuestionAnswering,
    "encoder": TinyBertModel,
}


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory, tiny_config: Any, tiny_tokenizer: Any) -> Callable[..., str]:
    """Folder of a TinyBERT with a head, and its tokenizer; made once for each shape."""
    made: dict[Any, str] = {}

    def save(task: str, **config: Any) -> str:
        key = (task, *config.items())
        if key not in made:
            torch.manual_seed(1)
            folder = tmp_path_factory.mktemp(task)
            CLASSES[task](tiny_config(**config)).save_pretrained(folder)
            tiny_tokenizer.save_pretrained(folder)
            made[key] = str(folder)
        return made[key]

    return save


@pytest.fixture
def leftovers(work: Path) -> Callable[[], list[str]]:
    """Names in the current folder, hidden ones too."""
    return lambda: sorted(path.name for path in work.iterdir())
