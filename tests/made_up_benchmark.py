"""Reports and runners that nothing was measured for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinybert_hf.benchmark.memory import MemoryUse
from tinybert_hf.benchmark.report import BenchmarkReport, Entry, Measurement, ModelMetrics
from tinybert_hf.evaluation.cost import Times

BASE, SMALL = Entry("base", "eager"), Entry("small", "onnx-int8")


def times(*milliseconds: float) -> Times:
    """One forward in each round; half of the time is computed."""
    seconds = [one / 1000 for one in milliseconds]
    return Times([[one] for one in seconds], [[one / 2] for one in seconds])


def report(*, threads: int = 1, quality: bool = True) -> BenchmarkReport:
    """Of a large and a small model at 1 x 32 tokens, and at 8 x 600, which the small one cannot read."""
    base, small = times(10.0, 20.0, 30.0), times(1.0, 1.0, 2.0)
    found = []
    for entry, own in ((BASE, base), (SMALL, small)):
        blank = Measurement(entry.model, entry.backend, 1, 32, 2_000_000_000)
        found.append(blank.__class__(**{**vars(blank), **blank.timed(own, base, with_cpu=threads == 1)}))
    first = Measurement("base", "eager", 8, 600, None, memory=MemoryUse(400.0, 25.5))
    found.append(first.__class__(**{**vars(first), **first.timed(base, base, with_cpu=threads == 1)}))
    found.append(Measurement("small", "onnx-int8", 8, 600, None, skipped="the model reads 512 tokens at most"))
    return BenchmarkReport(
        baseline=BASE,
        models=[_figures(BASE, 400.0, 0.92 if quality else None), _figures(SMALL, 16.0, 0.9 if quality else None)],
        measurements=found,
        notes=["a note"],
        threads=threads,
        device="cpu",
        processor="made up",
        versions={"torch": "0"},
    )


def _figures(entry: Entry, megabytes: float, accuracy: float | None) -> ModelMetrics:
    known: dict[str, Any] = {} if accuracy is None else {"metrics": {"accuracy": accuracy}, "main_metric": "accuracy"}
    return ModelMetrics(
        entry.model, entry.backend, f"/models/{entry.model}", False, 100_000_000, megabytes, 400.0 / megabytes, **known
    )


def counting(calls: list[Any], fails_at: Callable[[int, int], Exception | None]) -> Any:
    """An opener of a model whose forwards note their sizes, and fail where a test says so."""

    def opened(batch_size: int, length: int) -> Callable[[], None]:
        def forward() -> None:
            calls.append((batch_size, length))
            error = fails_at(batch_size, length)
            if error is not None:
                raise error

        return forward

    return lambda: opened
