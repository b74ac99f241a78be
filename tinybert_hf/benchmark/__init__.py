"""Models measured against each other: size, speed, memory, and how good they are."""

from typing import TYPE_CHECKING

from tinybert_hf.lazy_names import names_of_modules

if TYPE_CHECKING:
    from tinybert_hf.benchmark.benchmark import benchmark_models
    from tinybert_hf.benchmark.report import BenchmarkReport, Entry, Latency, Measurement, ModelMetrics, Ratio
    from tinybert_hf.benchmark.settings import BACKENDS, BenchmarkSettings

__all__ = [
    "BACKENDS",
    "BenchmarkReport",
    "BenchmarkSettings",
    "Entry",
    "Latency",
    "Measurement",
    "ModelMetrics",
    "Ratio",
    "benchmark_models",
]

# Late, so that the command line can look at its settings before torch is loaded.
__getattr__, __dir__ = names_of_modules(
    __name__,
    {
        "benchmark": ("benchmark_models",),
        "report": ("BenchmarkReport", "Entry", "Latency", "Measurement", "ModelMetrics", "Ratio"),
        "settings": ("BACKENDS", "BenchmarkSettings"),
    },
)
