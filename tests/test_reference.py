"""The reference pages say what the code says, of every field and option."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_reference", DOCS / "generate_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["recipe.md", "commands.md"])
def test_a_page_is_as_the_code_is(generator: Any, page: str) -> None:
    assert (DOCS / page).read_text(encoding="utf-8") == generator.PAGES[page](), (
        "run python docs/generate_reference.py"
    )


def test_every_field_and_command_is_there(generator: Any) -> None:
    from tinybert_hf.cli import COMMANDS
    from tinybert_hf.recipes.schema import Recipe

    page = (DOCS / "recipe.md").read_text(encoding="utf-8")
    paths = dict(generator.sections(Recipe))
    assert {"", "data", "teacher", "teacher.finetune", "student", "phases.N", "baseline"} <= paths.keys()
    for name in ("teacher_cache", "layer_map", "max_train_rows", "init", "worst_sentences"):
        assert f"| `{name}` |" in page
    commands = (DOCS / "commands.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"## `tinybert {command.__name__.replace('_', '-')}`" in commands


def test_a_field_without_a_description_is_an_error(generator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "descriptions", lambda kind: {})
    with pytest.raises(SystemExit, match=r"Recipe\.name has no description"):
        generator.recipe_page()
