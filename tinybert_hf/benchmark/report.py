"""What a benchmark has found: figures with their spread, as tables and as a picture."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from tinybert_hf.benchmark.memory import MemoryUse
from tinybert_hf.checkpoints.card_parts import table
from tinybert_hf.checkpoints.run_record import metric_name, metric_value
from tinybert_hf.evaluation.cost import Times
from tinybert_hf.messages import counted
from tinybert_hf.publishing.report_pictures import Drawing, Scale, draw_scales, short_number

# Percentiles, and the median of ratios with its interval; no distribution is assumed.

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """A ratio that was measured in every round.

    Attributes:
        median: of the rounds.
        low: lower end of the interval.
        high: upper end of the interval.
        confidence: that the interval holds the true median, where the rounds are independent; below 0.95 where there
            are fewer than 6, which then span the interval.
        rounds: how many there were.
    """

    median: float
    low: float
    high: float
    confidence: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Ratio:
        """The median of the values, and the interval between two of them that holds the true one."""
        low, high, confidence = median_interval(values)
        return cls(statistics.median(values), low, high, confidence, len(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share lies, interpolated between neighbours as numpy does it.

    Args:
        values: one at least.
        share: 0 to 1.
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def median_interval(values: Sequence[float], confidence: float = _CONFIDENCE) -> tuple[float, float, float]:
    """The narrowest pair of values, as far from both ends, that holds the true median with this confidence.

    Each value lies below the true median with probability 1/2, so how many do is binomial.

    Args:
        values: one at least.
        confidence: that is asked for; too few values give less.

    Returns:
        Lower end, upper end, and the confidence that the two have.

    Source:
        Conover 1999, Practical Nonparametric Statistics, section 3.2.
    """
    ordered, count = sorted(values), len(values)

    def covered(cut: int) -> float:
        """That neither more than count - cut - 1 nor fewer than cut + 1 values lie below the median."""
        return 1 - 2 * sum(math.comb(count, below) for below in range(cut + 1)) / 2**count

    cut = max((one for one in range((count + 1) // 2) if covered(one) >= confidence), default=0)
    return ordered[cut], ordered[count - 1 - cut], max(covered(cut), 0.0)


# What a benchmark has found.

SCHEMA = 1


@dataclass(frozen=True)
class Entry:
    """A model in a backend.

    Attributes:
        model: its short name.
        backend: a name in `BACKENDS`.
    """

    model: str
    backend: str

    def __str__(self) -> str:
        """As `--baseline` takes it."""
        return f"{self.model}@{self.backend}"


@dataclass(frozen=True)
class ModelMetrics:
    """What does not depend on the size of a forward.

    Attributes:
        model: short name.
        backend: a name in `BACKENDS`.
        given: the model as it was named.
        random_weights: it is a shape without weights.
        parameters: all of them, tied ones once.
        megabytes: of the weights as files, 10^6 bytes.
        smaller: the baseline's megabytes as a multiple of these.
        metrics: on the validation rows; None where none were given, or the weights are random.
        main_metric: the one that counts.
    """

    model: str
    backend: str
    given: str
    random_weights: bool
    parameters: int
    megabytes: float
    smaller: float
    metrics: dict[str, Any] | None = None
    main_metric: str | None = None


@dataclass(frozen=True)
class Latency:
    """How long the forwards of one size took.

    Attributes:
        p50_ms: the median of all forwards.
        p95_ms: 95 of 100 were at least as fast.
        faster: the baseline's time as a multiple of this one's, round by round; None where the baseline was skipped.
        round_ms: the median of each round.
    """

    p50_ms: float
    p95_ms: float
    faster: Ratio | None
    round_ms: list[float]

    @classmethod
    def of(cls, seconds: list[float], rounds: list[float], baseline_rounds: list[float] | None) -> Latency:
        """From the times of all forwards, and the medians of each round, in seconds."""
        ratios = [baseline / max(own, 1e-9) for baseline, own in zip(baseline_rounds or [], rounds, strict=False)]
        return cls(
            p50_ms=1000 * percentile(seconds, 0.5),
            p95_ms=1000 * percentile(seconds, 0.95),
            faster=Ratio.of(ratios) if ratios else None,
            round_ms=[1000 * one for one in rounds],
        )


@dataclass(frozen=True)
class Measurement:
    """One size of forward of a model in a backend.

    Attributes:
        model: short name.
        backend: a name in `BACKENDS`.
        batch_size: rows.
        length: tokens of each row.
        flops: of all matrix products of the forward; None where the model cannot be counted.
        skipped: why there are no times; None where there are.
        forwards: how many were timed.
        wall: the time that passed.
        cpu: the time that the processor computed; only with one thread.
        rows_per_second: at the median.
        tokens_per_second: at the median.
        memory: what it takes; None where it was not measured.
    """

    model: str
    backend: str
    batch_size: int
    length: int
    flops: int | None
    skipped: str | None = None
    forwards: int = 0
    wall: Latency | None = None
    cpu: Latency | None = None
    rows_per_second: float | None = None
    tokens_per_second: float | None = None
    memory: MemoryUse | None = None

    def timed(self, own: Times, baseline: Times | None, *, with_cpu: bool) -> dict[str, Any]:
        """The fields that the times fill."""
        wall = Latency.of(own.all_wall, own.wall_of_rounds, baseline.wall_of_rounds if baseline else None)
        cpu = None
        if with_cpu:
            cpu = Latency.of(own.all_cpu, own.cpu_of_rounds, baseline.cpu_of_rounds if baseline else None)
        rows = 1000 * self.batch_size / max(wall.p50_ms, 1e-6)
        return {
            "forwards": len(own.all_wall),
            "wall": wall,
            "cpu": cpu,
            "rows_per_second": rows,
            "tokens_per_second": rows * self.length,
        }


@dataclass(frozen=True)
class BenchmarkReport:
    """The result of `benchmark_models`.

    Attributes:
        baseline: what the ratios compare with.
        models: each model in each backend.
        measurements: each of them in each size.
        notes: what was left out or skipped, and why.
        threads: of the CPU.
        device: of PyTorch.
        processor: as the machine calls it.
        versions: of the libraries.
    """

    baseline: Entry
    models: list[ModelMetrics]
    measurements: list[Measurement]
    notes: list[str]
    threads: int
    device: str
    processor: str
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def main_metric(self) -> str | None:
        """The metric that counts; None where nothing was measured on rows."""
        return next((one.main_metric for one in self.models if one.main_metric), None)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Batch size and length, in the order in which they were measured."""
        return list(dict.fromkeys((one.batch_size, one.length) for one in self.measurements))

    def measurement(self, entry: Entry, batch_size: int, length: int) -> Measurement:
        """One of them.

        Raises:
            KeyError: it was not asked for.
        """
        for one in self.measurements:
            if (one.model, one.backend, one.batch_size, one.length) == (*_names(entry), batch_size, length):
                return one
        raise KeyError(f"{entry}, batch {batch_size} x {length} tokens")

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON knows it."""
        return {"schema": SCHEMA, **asdict(self)}


def _names(entry: Entry) -> tuple[str, str]:
    return entry.model, entry.backend


# The figures as tables, for the screen and for Markdown.

_NOTHING = "-"


@dataclass(frozen=True)
class TextTable:
    """A table of texts; the first two columns are names, the others numbers.

    Attributes:
        title: what it shows.
        columns: their headings.
        rows: as wide as `columns`.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def markdown(self) -> list[str]:
        """As lines of Markdown, the title left out."""
        return list(table(self.columns, self.rows, names=2))


def tables(report: BenchmarkReport) -> list[TextTable]:
    """Size and quality of the models, then a table for each size of forward.

    What no row has a figure for is no column: CPU time with several threads, memory that was not measured.
    """
    return [_models(report), *(_size(report, *size) for size in report.sizes)]


def format_ratio(ratio: Ratio | None) -> str:
    """The median and its interval: 7.9 (7.5-8.2)."""
    if ratio is None:
        return _NOTHING
    return f"{_times(ratio.median)} ({_times(ratio.low)}-{_times(ratio.high)})"


def caption(report: BenchmarkReport) -> str:
    """What the ratios are, in a sentence or two."""
    rounds = [one.wall.faster.rounds for one in report.measurements if one.wall and one.wall.faster]
    spread = f"{min(rounds)} to {max(rounds)}" if rounds and min(rounds) < max(rounds) else f"{max(rounds, default=0)}"
    rounds_word = "round" if spread == "1" else "rounds"
    confidence = [one.wall.faster.confidence for one in report.measurements if one.wall and one.wall.faster]
    weakest = f"{100 * min(confidence, default=0):.0f} %"
    return (
        f"Ratios are to {report.baseline}: the median over {spread} interleaved {rounds_word}, in brackets its "
        f"interval (confidence {weakest} or more). {format_threads(report)}, {report.device}, {report.processor}."
    )


def format_threads(report: BenchmarkReport) -> str:
    """1 thread, 2 threads."""
    return counted(report.threads, "thread")


def _models(report: BenchmarkReport) -> TextTable:
    columns = ["model", "backend", "parameters", "MB", "smaller"]
    if report.main_metric:
        columns.append(report.main_metric)
    return TextTable("Models", tuple(columns), [_model(one, report.main_metric) for one in report.models])


def _model(one: ModelMetrics, metric: str | None) -> tuple[str, ...]:
    cells = [one.model, one.backend, f"{one.parameters / 1e6:.1f} M", f"{one.megabytes:.1f}", _times(one.smaller)]
    if metric:
        cells.append(_NOTHING if one.metrics is None else f"{one.metrics[metric]:.4f}")
    return tuple(cells)


def _size(report: BenchmarkReport, batch_size: int, length: int) -> TextTable:
    found = [one for one in report.measurements if (one.batch_size, one.length) == (batch_size, length)]
    with_cpu = any(one.cpu for one in found)
    with_memory = any(one.memory for one in found)
    columns = ["model", "backend", "GFLOP", "p50 ms", "p95 ms", "rows/s", "faster"]
    columns += ["CPU ms", "CPU: faster"] if with_cpu else []
    columns += ["peak MB", "of a forward"] if with_memory else []
    return TextTable(
        f"Batch {batch_size} x {counted(length, 'token')}",
        tuple(columns),
        [_measurement(one, with_cpu=with_cpu, with_memory=with_memory) for one in found],
    )


def _measurement(one: Measurement, *, with_cpu: bool, with_memory: bool) -> tuple[str, ...]:
    cells = [one.model, one.backend, _NOTHING if one.flops is None else _short(one.flops / 1e9)]
    if one.skipped is not None:
        return (*cells, "skipped", *[_NOTHING] * (3 + 2 * with_cpu + 2 * with_memory))
    cells += [*_latency(one.wall, p95=True), _short(one.rows_per_second or 0.0)]
    cells.append(format_ratio(one.wall.faster if one.wall else None))
    if with_cpu:
        cells += [*_latency(one.cpu), format_ratio(one.cpu.faster if one.cpu else None)]
    if with_memory:
        use = one.memory
        cells += [_NOTHING] * 2 if use is None else [f"{use.peak_megabytes:,.0f}", f"{use.forward_megabytes:,.0f}"]
    return tuple(cells)


def _latency(latency: Latency | None, *, p95: bool = False) -> Sequence[str]:
    if latency is None:
        return [_NOTHING] * (1 + p95)
    return [_short(latency.p50_ms), *([_short(latency.p95_ms)] if p95 else [])]


def _times(value: float) -> str:
    return f"{value:.2f}x" if value < 10 else f"{value:.1f}x"


def _short(value: float) -> str:
    """Three digits at least: 1,234, 56.7, 0.89."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


# Quality against latency, with the size on disk as the area: one picture of what each model costs.

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
    drawing.text((middle, below + 14), f"{format_threads(report)}; area: size on disk", "label", "middle")
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
    across = Scale(min(times) / 1.6, max(times) * 1.6, _LEFT, _WIDTH - _RIGHT, logarithmic=True)
    room = max((max(values) - min(values)) * 0.35, 0.01)
    up = Scale(min(values) - room, max(values) + room, _TOP + _PLOT, _TOP)
    largest = max(one.megabytes for one in points)
    drawing.text((0, 12), metric_name(metric), "label")
    draw_scales(drawing, across, up, partial(metric_value, metric), (5, 5), _TOP + _PLOT)
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
