"""What the pages of docs/results/ are written with; without torch."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any


def last_lines(content: Mapping[str, Any], titles: Mapping[str, str]) -> list[str]:
    """Of a page that compares runtimes: their versions, and which were left out and why.

    Args:
        content: with "versions" and "left_out".
        titles: of what may be left out, by its name.
    """
    versions = ", ".join(f"{name} {one}" for name, one in content["versions"].items())
    lines = ["", *paragraph(f"Versions: {versions}.")]
    if content["left_out"]:
        lines += ["", "Left out:", "", *(f"- {titles[name]}: {why}" for name, why in content["left_out"].items())]
    return lines


def paragraph(text: str) -> list[str]:
    """Lines of the usual length."""
    return textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)
