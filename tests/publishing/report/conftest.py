"""Finished runs to report on: tests copy them before they change anything."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tiny_run import recipe_mapping, rows, write_rows

from tinybert_hf.recipes.loader import build
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe

EVIL = '<script>alert("x")</script> & <b onload=alert(1)>'


@pytest.fixture(scope="session")
def finish_run() -> Callable[..., Path]:
    """Carry out a tiny recipe; returns its folder."""

    def finish(folder: Path, model: str, validation: list[dict[str, Any]] | None = None, **changes: Any) -> Path:
        mapping = recipe_mapping(folder, model, **{"baseline": None, **changes})
        if validation is not None:
            write_rows(folder / "validation.jsonl", validation)
        run_recipe(build(Recipe, mapping), Console(file=io.StringIO()))
        return folder / "out"

    return finish


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, teacher: str, finish_run: Callable[..., Path]) -> Path:
    """A classifier's run whose rows hold markup."""
    validation = [*rows(12), {"text": EVIL, "label": "positive"}]
    phases = [
        {"name": "intermediate", "epochs": 2, "batch_size": 8},
        {"name": "prediction", "epochs": 1, "batch_size": 8},
    ]
    return finish_run(tmp_path_factory.mktemp("finished"), teacher, validation, phases=phases, baseline={"epochs": 1})
