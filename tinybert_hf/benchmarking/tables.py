"""The figures as tables, for the screen and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinybert_hf.benchmarking.report import BenchmarkReport, Latency, Measurement, ModelFigures
from tinybert_hf.benchmarking.spread import Ratio
from tinybert_hf.cards.markup import table
from tinybert_hf.wording import counted

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


def ratio_in_words(ratio: Ratio | None) -> str:
    """The median and its interval: 7.9 (7.5-8.2)."""
    if ratio is None:
        return _NOTHING
    return f"{_times(ratio.median)} ({_times(ratio.low)}-{_times(ratio.high)})"


def caption(report: BenchmarkReport) -> str:
    """What the ratios are, in a sentence or two."""
    rounds = [one.wall.faster.rounds for one in report.measurements if one.wall and one.wall.faster]
    spread = f"{min(rounds)} to {max(rounds)}" if rounds and min(rounds) < max(rounds) else f"{max(rounds, default=0)}"
    rounds_in_words = "round" if spread == "1" else "rounds"
    confidence = [one.wall.faster.confidence for one in report.measurements if one.wall and one.wall.faster]
    weakest = f"{100 * min(confidence, default=0):.0f} %"
    return (
        f"Ratios are to {report.baseline}: the median over {spread} interleaved {rounds_in_words}, in brackets its "
        f"interval (confidence {weakest} or more). {threads_in_words(report)}, {report.device}, {report.processor}."
    )


def threads_in_words(report: BenchmarkReport) -> str:
    """1 thread, 2 threads."""
    return counted(report.threads, "thread")


def _models(report: BenchmarkReport) -> TextTable:
    columns = ["model", "backend", "parameters", "MB", "smaller"]
    if report.main_metric:
        columns.append(report.main_metric)
    return TextTable("Models", tuple(columns), [_model(one, report.main_metric) for one in report.models])


def _model(one: ModelFigures, metric: str | None) -> tuple[str, ...]:
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
    cells.append(ratio_in_words(one.wall.faster if one.wall else None))
    if with_cpu:
        cells += [*_latency(one.cpu), ratio_in_words(one.cpu.faster if one.cpu else None)]
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
