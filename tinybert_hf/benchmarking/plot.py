"""Quality against latency, with the size on disk as the area: one picture of what each model costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tinybert_hf.benchmarking.report import BenchmarkReport, Entry
from tinybert_hf.benchmarking.tables import threads_in_words
from tinybert_hf.reporting.drawing import Drawing, log_steps, round_steps, short_number
from tinybert_hf.reporting.words import metric_name, metric_value

_LEFT, _RIGHT, _TOP, _WIDTH, _PLOT, _AXIS, _LEGEND = 52.0, 14.0, 24.0, 420.0, 230.0, 56.0, 16.0
_LARGEST, _SMALLEST = 26.0, 3.0


@dataclass(frozen=True)
class _Point:
    name: str
    latency_ms: float
    quality: float
    megabytes: float


def plot(report: BenchmarkReport) -> str | None:
    """Draw the models that were measured on rows, at the smallest size of forward.

    Args:
        report: of models that were measured on validation rows.

    Returns:
        An SVG file; None where no model has a figure and a time.
    """
    metric = report.main_metric
    points = _points(report, metric) if metric else []
    if metric is None or not points:
        return None
    batch_size, length = report.sizes[0]
    left_out = [f"{one.model}@{one.backend}" for one in report.models if one.metrics is None]
    lines = len(points) + (1 if left_out else 0)
    drawing = Drawing(
        _WIDTH,
        _TOP + _PLOT + _AXIS + _LEGEND * lines + 8,
        f"{metric_name(metric)} against latency, batch {batch_size} x {length} tokens; area: megabytes on disk",
    )
    _draw(drawing, points, metric)
    middle, below = (_LEFT + _WIDTH - _RIGHT) / 2, _TOP + _PLOT + 30
    drawing.text(
        (middle, below), f"ms of a forward of {batch_size} x {length} tokens, p50, logarithmic", "label", "middle"
    )
    drawing.text((middle, below + 14), f"{threads_in_words(report)}; area: size on disk", "label", "middle")
    _draw_legend(drawing, points, metric, left_out)
    return drawing.file()


def _points(report: BenchmarkReport, metric: str) -> list[_Point]:
    found = []
    for one in report.models:
        measured = report.measurement(Entry(one.model, one.backend), *report.sizes[0])
        if one.metrics is not None and measured.wall is not None:
            name = f"{one.model}@{one.backend}"
            found.append(_Point(name, measured.wall.p50_ms, float(one.metrics[metric]), one.megabytes))
    return found


def _draw(drawing: Drawing, points: Sequence[_Point], metric: str) -> None:
    times, values = [one.latency_ms for one in points], [one.quality for one in points]
    # Room for the largest circle at every edge.
    low_time, high_time = min(times) / 1.6, max(times) * 1.6
    room = max((max(values) - min(values)) * 0.35, 0.01)
    low, high = min(values) - room, max(values) + room
    largest = max(one.megabytes for one in points)

    def across(value: float) -> float:
        share = math.log(value / low_time) / math.log(high_time / low_time)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def up(value: float) -> float:
        return _TOP + (high - value) / (high - low) * _PLOT

    drawing.text((0, 12), metric_name(metric), "label")
    for tick in round_steps(low, high, 5):
        drawing.line((_LEFT, up(tick)), (_WIDTH - _RIGHT, up(tick)), "grid")
        drawing.text((_LEFT - 6, up(tick) + 3.5), metric_value(metric, tick), "tick", "end")
    for tick in log_steps(low_time, high_time):
        drawing.line((across(tick), _TOP + _PLOT), (across(tick), _TOP + _PLOT + 4), "axis")
        drawing.text((across(tick), _TOP + _PLOT + 15), short_number(tick), "tick", "middle")
    drawing.line((_LEFT, _TOP + _PLOT), (_WIDTH - _RIGHT, _TOP + _PLOT), "axis")
    # Small ones last, so that none is hidden.
    for number, one in sorted(enumerate(points), key=lambda pair: -pair[1].megabytes):
        radius = max(_LARGEST * math.sqrt(one.megabytes / largest), _SMALLEST)
        place = (across(one.latency_ms), up(one.quality))
        drawing.disc(place, radius, f"disc disc{number % 8}", _words(one, metric))
        drawing.text((place[0], place[1] - radius - 4), str(number + 1), "value", "middle")


def _draw_legend(drawing: Drawing, points: Sequence[_Point], metric: str, left_out: Sequence[str]) -> None:
    top = _TOP + _PLOT + _AXIS + 12
    for number, one in enumerate(points):
        y = top + number * _LEGEND
        drawing.disc((8, y - 4), 4, f"disc disc{number % 8}")
        drawing.text((18, y), f"{number + 1}  {_words(one, metric)}", "label")
    if left_out:
        drawing.text((18, top + len(points) * _LEGEND), f"not drawn, no weights: {', '.join(left_out)}", "label")


def _words(one: _Point, metric: str) -> str:
    return (
        f"{one.name}: {metric_value(metric, one.quality)}, {short_number(one.latency_ms)} ms, "
        f"{short_number(one.megabytes)} MB"
    )
