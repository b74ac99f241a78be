"""Models measured against each other: size, speed, memory, and how good they are."""

from typing import TYPE_CHECKING

from tinybert_hf.lazy_names import lazy_names

if TYPE_CHECKING:
    from tinybert_hf.benchmark.benchmark import benchmark_models
    from tinybert_hf.benchmark.report import BenchmarkReport, Entry, Latency, Measurement, ModelFigures, Ratio
    from tinybert_hf.benchmark.settings import BACKENDS, BenchmarkSettings

__all__ = [
    "BACKENDS",
    "BenchmarkReport",
    "BenchmarkSettings",
    "Entry",
    "Latency",
    "Measurement",
    "ModelFigures",
    "Ratio",
    "benchmark_models",
]

_REPORT = ("BenchmarkReport", "Entry", "Latency", "Measurement", "ModelFigures")
# Late, so that the command line can look at its settings before torch is loaded.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BACKENDS": "tinybert_hf.benchmark.settings",
        "BenchmarkSettings": "tinybert_hf.benchmark.settings",
        "Ratio": "tinybert_hf.benchmark.report",
        "benchmark_models": "tinybert_hf.benchmark.benchmark",
        **dict.fromkeys(_REPORT, "tinybert_hf.benchmark.report"),
    },
)
