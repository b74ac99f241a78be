"""Tokenizers of the three kinds, made once, and texts that use some of their pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tiny_vocabularies import KINDS, texts


@pytest.fixture(scope="session", params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of vocabulary in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def tokenizer_of() -> Callable[[str], Any]:
    """A tokenizer of a kind, trained once."""
    made: dict[str, Any] = {}

    def get(kind: str) -> Any:
        if kind not in made:
            made[kind] = KINDS[kind]()
        return made[kind]

    return get


@pytest.fixture
def corpus() -> list[str]:
    """Texts that use a part of the pieces."""
    return texts(7, 25)
