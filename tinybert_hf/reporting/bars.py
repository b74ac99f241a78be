"""What the models reach and cost beside each other, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinybert_hf.reporting.drawing import Drawing

_WIDTH, _NAME, _VALUE, _ROW, _HEADING, _GAP = 360.0, 96.0, 62.0, 22.0, 20.0, 12.0


@dataclass(frozen=True)
class BarGroup:
    """One figure of all models.

    Attributes:
        title: what the figure is, and which direction is better.
        values: of each model.
        words: the same as they are written beside the bars.
    """

    title: str
    values: tuple[float, ...]
    words: tuple[str, ...]


def bar_picture(names: Sequence[str], groups: Sequence[BarGroup], title: str) -> str:
    """Draw a group of bars for each figure; every bar begins at 0.

    Args:
        names: of the models.
        groups: the figures.
        title: what the picture shows.
    """
    each = _HEADING + _ROW * len(names) + _GAP
    drawing = Drawing(_WIDTH, each * len(groups), title)
    for index, group in enumerate(groups):
        top = index * each
        drawing.text((0, top + 13), group.title, "heading")
        longest = max(*group.values, 0.0) or 1.0
        room = _WIDTH - _NAME - _VALUE
        for row, (name, value, words) in enumerate(zip(names, group.values, group.words, strict=True)):
            y = top + _HEADING + row * _ROW
            length = max(value, 0.0) / longest * room
            drawing.text((_NAME - 8, y + 14), name, "label", "end")
            drawing.box((_NAME, y + 3), (max(length, 1.0), _ROW - 7), f"bar bar{row}")
            drawing.text((_NAME + length + 6, y + 14), words, "value")
        drawing.line((_NAME, top + _HEADING), (_NAME, top + each - _GAP), "axis")
    return drawing.markup()
