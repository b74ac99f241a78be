"""What the pages of docs/results/ are written with; without torch."""

from __future__ import annotations

import textwrap


def paragraph(text: str) -> list[str]:
    """Lines of the usual length."""
    return textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)
