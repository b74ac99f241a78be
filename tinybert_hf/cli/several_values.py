"""An option that takes all that follows it, as the shell writes a pattern such as text/*.txt out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand


def spread(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """`--corpus a b` as `--corpus a --corpus b`, up to the next option.

    Args:
        words: of a command line.
        options: that take several values.
    """
    spread_out: list[str] = []
    current: str | None = None
    for word in words:
        if word.startswith("-") and word != "-":
            current = word if word in options else None
            first = True
        elif current is not None:
            if not first:
                spread_out.append(current)
            first = False
        spread_out.append(word)
    return spread_out


class SeveralValues(TyperCommand):
    """A command with the option --corpus, which takes several values."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As in typer, after the values were spread."""
        return super().parse_args(ctx, spread(args, ("--corpus",)))
