"""What the shell offers for a value: nothing is imported for it but the standard library."""

from __future__ import annotations

from pathlib import Path


def recipe_names() -> list[str]:
    """The shipped recipes; typer keeps those that begin like what was typed."""
    folder = Path(__file__).parent.parent / "recipes"
    return sorted(file.stem for file in folder.glob("*.yaml"))
