"""Models measured against each other: size, speed, memory, and how good they are."""

from tinybert_hf.benchmarking.benchmark import benchmark_models
from tinybert_hf.benchmarking.report import BenchmarkReport, Entry, Latency, Measurement, ModelFigures
from tinybert_hf.benchmarking.settings import BACKENDS, BenchmarkSettings
from tinybert_hf.benchmarking.spread import Ratio

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
