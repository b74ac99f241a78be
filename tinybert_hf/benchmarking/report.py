"""What a benchmark has found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tinybert_hf.benchmarking.memory import MemoryUse
from tinybert_hf.benchmarking.spread import Ratio, percentile
from tinybert_hf.evaluation.rounds import Times

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
class ModelFigures:
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
        ratios = [theirs / max(own, 1e-9) for theirs, own in zip(baseline_rounds or [], rounds, strict=False)]
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
    models: list[ModelFigures]
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
