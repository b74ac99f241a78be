"""The course of a phase as a picture: each loss over the steps, and what was measured on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from tinybert_hf.reporting.drawing import Drawing, log_steps, round_steps, short_number
from tinybert_hf.reporting.words import LOSSES, metric_name, metric_value

_LEFT, _RIGHT, _WIDTH = 46.0, 12.0, 360.0
_PLOT, _MEASURED, _LEGEND_LINE, _TOP, _AXIS = 170.0, 70.0, 17.0, 22.0, 34.0
# Above this factor between the largest and the smallest loss, the small ones would lie on the axis.
_LOG_FROM = 8.0

Scale = Callable[[float], float]


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

    def across(step: float) -> float:
        return _LEFT + (step / end if end else 0.0) * (_WIDTH - _LEFT - _RIGHT)

    _draw_losses(drawing, across, steps, {name: log["losses"][name] for name in names})
    bottom = _TOP + _PLOT
    if measured:
        _draw_measured(drawing, across, *measured, top=bottom + _TOP + 14)
        bottom += below
    for step in round_steps(0, end, 4):
        drawing.line((across(step), bottom), (across(step), bottom + 4), "axis")
        drawing.text((across(step), bottom + 15), short_number(step), "tick", "middle")
    drawing.text(((_LEFT + _WIDTH - _RIGHT) / 2, bottom + 29), "training step", "label", "middle")
    _draw_legend(drawing, {name: log["losses"][name] for name in names}, bottom + _AXIS + 12)
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


def _draw_losses(drawing: Drawing, across: Scale, steps: list[float], losses: Mapping[str, list[float]]) -> None:
    values = [value for curve in losses.values() for value in curve if math.isfinite(value)]
    positive = [value for value in values if value > 0]
    logarithmic = bool(positive) and max(positive) / min(positive) > _LOG_FROM
    if logarithmic:
        low, high = min(positive), max(positive)
        ticks = log_steps(low, high)
    else:
        low, high = min(0.0, *values), max(values) or 1.0
        ticks = round_steps(low, high, 4)

    def up(value: float) -> float:
        share = math.log(max(value, low) / low) / math.log(high / low) if logarithmic else (value - low) / (high - low)
        return _TOP + 4 + (1 - share) * (_PLOT - 8)

    drawing.text((0, 12), "loss, logarithmic scale" if logarithmic else "loss", "label")
    for tick in ticks:
        drawing.line((_LEFT, up(tick)), (_WIDTH - _RIGHT, up(tick)), "grid")
        drawing.text((_LEFT - 6, up(tick) + 3.5), short_number(tick), "tick", "end")
    drawing.line((_LEFT, _TOP + _PLOT), (_WIDTH - _RIGHT, _TOP + _PLOT), "axis")
    for name, curve in losses.items():
        points = [(across(step), up(value)) for step, value in zip(steps, curve, strict=True) if math.isfinite(value)]
        drawing.path(points, f"curve {_style(name)}")


def _draw_measured(
    drawing: Drawing, across: Scale, name: str, points: list[tuple[float, float]], *, top: float
) -> None:
    values = [value for _, value in points]
    room = (max(values) - min(values)) * 0.2 or abs(values[0]) * 0.05 or 1.0
    low, high = min(values) - room, max(values) + room

    def up(value: float) -> float:
        return top + (high - value) / (high - low) * _MEASURED

    said = short_number if name == "loss" else partial(metric_value, name)
    title = "loss" if name == "loss" else metric_name(name)
    drawing.text((0, top - 10), f"{title} on the validation rows", "label")
    for tick in round_steps(low, high, 3):
        drawing.line((_LEFT, up(tick)), (_WIDTH - _RIGHT, up(tick)), "grid")
        drawing.text((_LEFT - 6, up(tick) + 3.5), said(tick), "tick", "end")
    drawing.line((_LEFT, top + _MEASURED), (_WIDTH - _RIGHT, top + _MEASURED), "axis")
    places = [(across(step), up(value)) for step, value in points]
    drawing.path(places, "curve measured")
    for (x, y), value in zip(places, values, strict=True):
        drawing.dot((x, y), "measured")
        anchor = "end" if x > _WIDTH - 60 else "middle"
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
