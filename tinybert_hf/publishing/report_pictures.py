"""The pictures of the report as SVG: curves, bars, heat maps; every text escaped, every colour a class of the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from tinybert_hf.checkpoints.run_record import LOSSES, metric_name, metric_value
from tinybert_hf.distillation.layer_map import compares_nothing, resolve_layer_map
from tinybert_hf.errors import TinyBertError
from tinybert_hf.tasks import spec_of
from tinybert_hf.training import Phase

# Pictures as SVG: the few shapes that they need, every text escaped, every colour a class of the page's style.
#
# Written by hand and not by a plotting library: colours then follow the reader's light or dark mode through CSS, the
# texts stay texts, a picture takes some kilobytes and a millisecond, and nothing has to be installed for it.

Point = tuple[float, float]


class Drawing:
    """A picture whose units are about a pixel on a phone."""

    def __init__(self, width: float, height: float, title: str, *, natural_size: bool = False) -> None:
        """Begin a picture.

        Args:
            width: of the picture.
            height: of the picture.
            title: what it shows; read out by screen readers.
            natural_size: it does not shrink below its size, and scrolls where the page is narrower.
        """
        self.width, self.height, self.title, self.natural_size = width, height, title, natural_size
        self._parts: list[str] = []

    def _add(self, shape: str, style: str, inside: str = "", hint: str = "", **where: float | str) -> None:
        said = (f'{name}="{one if isinstance(one, str) else format(one, ".1f")}"' for name, one in where.items())
        inside = f"<title>{escape(hint)}</title>" if hint else escape(inside)
        self._parts.append(f'<{shape} {" ".join(said)} class="{style}">{inside}</{shape}>')

    def line(self, start: Point, end: Point, style: str) -> None:
        """A straight line."""
        self._add("line", style, x1=start[0], y1=start[1], x2=end[0], y2=end[1])

    def path(self, points: Sequence[Point], style: str) -> None:
        """Points joined by lines."""
        self._add("polyline", style, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points))

    def disc(self, place: Point, radius: float, style: str, hint: str = "") -> None:
        """A filled circle; the hint shows under the pointer."""
        self._add("circle", style, hint=hint, cx=place[0], cy=place[1], r=radius)

    def box(self, place: Point, size: Point, style: str, opacity: float | None = None, hint: str = "") -> None:
        """A rectangle; the hint shows under the pointer."""
        filled = {} if opacity is None else {"fill-opacity": f"{opacity:.3f}"}
        self._add("rect", style, hint=hint, x=place[0], y=place[1], width=max(size[0], 0.0), height=size[1], **filled)

    def text(self, place: Point, words: str, style: str = "", anchor: str = "start") -> None:
        """A text on one line."""
        self._add("text", style, words, x=place[0], y=place[1], **{"text-anchor": anchor})

    def markup(self) -> str:
        """The picture as it stands in the page."""
        width = self.width
        size = f'style="width:{1.35 * width:.0f}px;min-width:{width:.0f}px"' if self.natural_size else ""
        return self._svg(size, "")

    def file(self) -> str:
        """The picture as a file of its own, with the page's colours, which follow light and dark mode."""
        style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
        size = f'width="{1.6 * self.width:.0f}" height="{1.6 * self.height:.0f}"'
        own = "svg { width: auto; max-width: none; }"
        paper = f'<style>{style}{own}</style><rect width="100%" height="100%" class="paper"/>'
        return self._svg(f'xmlns="http://www.w3.org/2000/svg" {size}', paper) + "\n"

    def _svg(self, attributes: str, before: str) -> str:
        box = f'viewBox="0 0 {self.width:.0f} {self.height:.0f}"'
        head = f'<svg {box} role="img" aria-label="{escape(self.title)}" {attributes}>'
        return f"{head}{before}{''.join(self._parts)}</svg>"


@dataclass(frozen=True)
class Scale:
    """Where a value stands: `low` at the place `start`, `high` at `end`, between them evenly or by their factors."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        if self.logarithmic:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        return self.start + share * (self.end - self.start)

    def steps(self, about: int) -> list[float]:
        """Round numbers of the scale, about so many where it is not logarithmic."""
        return log_steps(self.low, self.high) if self.logarithmic else round_steps(self.low, self.high, about)


def draw_scales(
    drawing: Drawing, across: Scale, up: Scale, said: Callable[[float], str], about: tuple[int, int], bottom: float
) -> None:
    """Draw a grid with the numbers beside it, the line at its foot, and the numbers below that.

    Args:
        drawing: the picture.
        across: from left to right.
        up: from the foot to the head.
        said: a value of `up` in words.
        about: so many numbers below and beside the grid; 0: none.
        bottom: where the line lies.
    """
    left, right = across.start, across.end
    for step in up.steps(about[1]):
        drawing.line((left, up(step)), (right, up(step)), "grid")
        drawing.text((left - 6, up(step) + 3.5), said(step), "tick", "end")
    for step in across.steps(about[0]) if about[0] else ():
        drawing.line((across(step), bottom), (across(step), bottom + 4), "axis")
        drawing.text((across(step), bottom + 15), short_number(step), "tick", "middle")
    drawing.line((left, bottom), (right, bottom), "axis")


def round_steps(low: float, high: float, about: int) -> list[float]:
    """Round numbers from low to high, about so many."""
    if not high > low:
        return [low]
    raw = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def log_steps(low: float, high: float) -> list[float]:
    """Round numbers for a logarithmic scale: powers of ten, with 2 and 5 between them where there are few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(decades) <= 3 else (1,)
    steps = [factor * 10.0**decade for decade in decades for factor in factors]
    return [step for step in steps if low * 0.999 <= step <= high * 1.001]


def short_number(value: float) -> str:
    """At most four digits: 1,200, 34.5, 0.0021."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


# What the models reach and cost beside each other, as bars.

_BARS_WIDTH, _NAME, _VALUE, _BAR_ROW, _HEADING, _GAP = 360.0, 96.0, 62.0, 22.0, 20.0, 12.0


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
    each = _HEADING + _BAR_ROW * len(names) + _GAP
    drawing = Drawing(_BARS_WIDTH, each * len(groups), title)
    for index, group in enumerate(groups):
        top = index * each
        drawing.text((0, top + 13), group.title, "heading")
        longest = max(*group.values, 0.0) or 1.0
        room = _BARS_WIDTH - _NAME - _VALUE
        for row, (name, value, words) in enumerate(zip(names, group.values, group.words, strict=True)):
            y = top + _HEADING + row * _BAR_ROW
            length = max(value, 0.0) / longest * room
            drawing.text((_NAME - 8, y + 14), name, "label", "end")
            drawing.box((_NAME, y + 3), (max(length, 1.0), _BAR_ROW - 7), f"bar bar{row}")
            drawing.text((_NAME + length + 6, y + 14), words, "value")
        drawing.line((_NAME, top + _HEADING), (_NAME, top + each - _GAP), "axis")
    return drawing.markup()


# The course of a phase as a picture: each loss over the steps, and what was measured on the way.

_LEFT, _RIGHT, _WIDTH = 46.0, 12.0, 360.0
_PLOT, _MEASURED, _LEGEND_LINE, _TOP, _AXIS = 170.0, 70.0, 17.0, 22.0, 34.0
# Above this factor between the largest and the smallest loss, the small ones would lie on the axis.
_LOG_FROM = 8.0


def phase_picture(log: Mapping[str, Any], main_metric: str, title: str) -> str | None:
    """Draw a phase.

    Args:
        log: log.json of the phase.
        main_metric: what is drawn below the losses, where it was measured; else the validation loss.
        title: what the picture shows.

    Returns:
        The picture; None where the log holds no point.
    """
    steps = [float(step) for step in log["losses"].get("step", ())]
    names = [name for name in LOSSES if log["losses"].get(name)]
    if not steps or not names:
        return None
    measured = _measured(log["evaluation"], main_metric)
    end = max(steps[-1], *(step for step, _ in measured[1])) if measured else steps[-1]
    below = _MEASURED + _TOP + 14 if measured else 0.0
    drawing = Drawing(_WIDTH, _TOP + _PLOT + below + _AXIS + _LEGEND_LINE * len(names) + 4, title)
    across, bottom = Scale(0.0, end, _LEFT, _WIDTH - _RIGHT), _TOP + _PLOT
    losses = {name: log["losses"][name] for name in names}
    _draw_losses(drawing, across, steps, losses, 0 if measured else 4)
    if measured:
        _draw_measured(drawing, across, *measured, top=bottom + _TOP + 14)
        bottom += below
    drawing.text(((_LEFT + _WIDTH - _RIGHT) / 2, bottom + 29), "training step", "label", "middle")
    _draw_legend(drawing, losses, bottom + _AXIS + 12)
    return drawing.markup()


def _measured(
    evaluations: Sequence[Mapping[str, Any]], main_metric: str
) -> tuple[str, list[tuple[float, float]]] | None:
    """Name and points of the figure on the validation rows."""
    for name in (main_metric, "loss"):
        points = [(float(one["step"]), float(one[name])) for one in evaluations if name in one]
        if points:
            return name, points
    return None


def _draw_losses(
    drawing: Drawing, across: Scale, steps: list[float], losses: Mapping[str, list[float]], steps_across: int
) -> None:
    values = [value for curve in losses.values() for value in curve if math.isfinite(value)]
    positive = [value for value in values if value > 0]
    logarithmic = bool(positive) and max(positive) / min(positive) > _LOG_FROM
    low, high = (min(positive), max(positive)) if logarithmic else (min(0.0, *values), max(values) or 1.0)
    up = Scale(low, high, _TOP + _PLOT - 4, _TOP + 4, logarithmic)
    drawing.text((0, 12), "loss, logarithmic scale" if logarithmic else "loss", "label")
    draw_scales(drawing, across, up, short_number, (steps_across, 4), _TOP + _PLOT)
    for name, curve in losses.items():
        points = [(across(step), up(value)) for step, value in zip(steps, curve, strict=True) if math.isfinite(value)]
        drawing.path(points, f"curve {_style(name)}")


def _draw_measured(
    drawing: Drawing, across: Scale, name: str, points: list[tuple[float, float]], *, top: float
) -> None:
    values = [value for _, value in points]
    room = (max(values) - min(values)) * 0.2 or abs(values[0]) * 0.05 or 1.0
    up = Scale(min(values) - room, max(values) + room, top + _MEASURED, top)
    said = short_number if name == "loss" else partial(metric_value, name)
    title = "loss" if name == "loss" else metric_name(name)
    drawing.text((0, top - 10), f"{title} on the validation rows", "label")
    draw_scales(drawing, across, up, said, (4, 3), top + _MEASURED)
    places = [(across(step), up(value)) for step, value in points]
    drawing.path(places, "curve measured")
    for (x, y), value in zip(places, values, strict=True):
        drawing.disc((x, y), 3, "measured")
        anchor = "end" if x > _WIDTH - 60 else "start" if x < _LEFT + 20 else "middle"
        drawing.text((x, y - 7), said(value), "value", anchor)


def _draw_legend(drawing: Drawing, losses: Mapping[str, list[float]], top: float) -> None:
    for index, (name, curve) in enumerate(losses.items()):
        y = top + index * _LEGEND_LINE
        drawing.line((_LEFT - 40, y), (_LEFT - 10, y), f"curve {_style(name)}")
        drawing.text((_LEFT, y + 4), LOSSES[name], "label")
        drawing.text(
            (_WIDTH - _RIGHT, y + 4), f"{short_number(curve[0])} → {short_number(_end(curve))}", "value", "end"
        )


def _end(curve: Sequence[float]) -> float:
    """The mean over the last quarter of the steps: what the screen and the card call the loss at the end."""
    last = curve[-max(1, round(len(curve) / 4)) :]
    return sum(last) / len(last)


def _style(name: str) -> str:
    """A colour and a pattern of its own for each loss, the same in every picture."""
    return f"line{list(LOSSES).index(name)}"


# How far each student layer is from each teacher layer, before and after, as maps of cells.

Matrix = Sequence[Sequence[float]]
_MAP_LEFT, _MAP_TOP, _BELOW = 34.0, 40.0, 46.0
_WIDE_CELL, _NARROW_CELL, _MAP_ROW = 42.0, 25.0, 25.0
# The palest and the strongest cell; in between, texts can be read on every one of them.
_PALEST, _STRONGEST = 0.06, 0.95
# Half of the model -> loss between layers -> the field of a phase that maps its layers.
_MAPS = {
    "encoder": {"hidden_state_loss": "layer_map", "attention_loss": "attention_layer_map"},
    "decoder": {
        "decoder_hidden_state_loss": "decoder_layer_map",
        "decoder_attention_loss": "decoder_attention_layer_map",
        "cross_attention_loss": "cross_attention_layer_map",
    },
}


def mapped_cells(recipe: Mapping[str, Any], half: str, students: int, teachers: int) -> set[tuple[int, int]]:
    """The pairs of layers that some phase compared, (student, teacher).

    Args:
        recipe: of the run.
        half: "encoder" or "decoder".
        students: layers of the student, the embedding output not counted.
        teachers: of the teacher.
    """
    own = recipe["teacher"].get("layer_map")
    cells: set[tuple[int, int]] = set()
    for phase in (Phase(**settings) for settings in recipe["phases"] if not compares_nothing(own)):
        losses = phase.loss_weights(has_decoder=spec_of(recipe["task"]).has_decoder)
        for loss, field in _MAPS[half].items():
            if loss in losses:
                spec = own or getattr(phase, field) or getattr(phase, next(iter(_MAPS[half].values())))
                with suppress(TinyBertError):  # the matrix is of other models than the recipe's
                    cells |= set(resolve_layer_map(spec, students, teachers).pairs)
        if half == "encoder" and "embedding_loss" in losses:
            cells.add((0, 0))
    return cells


def heat_map(matrix: Matrix, mapped: Collection[tuple[int, int]], title: str) -> str:
    """Draw the distances.

    Args:
        matrix: of each student layer the distance to each teacher layer, 0 to 1; first the embedding outputs.
        mapped: the cells to outline.
        title: over the picture.
    """
    columns = len(matrix[0])
    cell = _WIDE_CELL if columns <= 7 else _NARROW_CELL
    width = max(_MAP_LEFT + columns * cell + 4, 190.0)
    height = _MAP_TOP + len(matrix) * _MAP_ROW + _BELOW
    drawing = Drawing(width, height, title, natural_size=True)
    drawing.text((0, 12), title, "heading")
    for row, values in enumerate(matrix):
        y = _MAP_TOP + row * _MAP_ROW
        drawing.text((_MAP_LEFT - 6, y + _MAP_ROW / 2 + 4), _layer(row), "tick", "end")
        for column, value in enumerate(values):
            x = _MAP_LEFT + column * cell
            place, size = (x + 1, y + 1), (cell - 2, _MAP_ROW - 2)
            hint = f"student layer {_layer(row)}, teacher layer {_layer(column)}: {value:.3f}"
            strength = _PALEST + min(max(value, 0.0), 1.0) * (_STRONGEST - _PALEST)
            drawing.box(place, size, "heat", strength, hint)
            if (row, column) in mapped:
                drawing.box(place, size, "outline")
            said = f"{value:.2f}" if cell == _WIDE_CELL else f"{value:.2f}".removeprefix("0")
            drawing.text((x + cell / 2, y + _MAP_ROW / 2 + 4), said, "cell", "middle")
    bottom = _MAP_TOP + len(matrix) * _MAP_ROW
    for column in range(columns):
        drawing.text((_MAP_LEFT + (column + 0.5) * cell, bottom + 14), _layer(column), "tick", "middle")
    drawing.text((0, _MAP_TOP - 8), "student layer ↓", "label")
    drawing.text((_MAP_LEFT + columns * cell, bottom + 32), "teacher layer →", "label", "end")
    return drawing.markup()


def _layer(index: int) -> str:
    return "emb" if index == 0 else str(index)
