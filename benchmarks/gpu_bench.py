"""How benchmarks/gpu.py measures: sizes, device, runs that take turns, and the rate of matrix products."""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, NamedTuple

import torch
from transformers.utils import logging

import tinybert_hf
from tinybert_hf.evaluation.cost import wait_for


@dataclass(frozen=True)
class Sizes:
    """What is measured, of which size.

    Attributes:
        teacher: fields of its configuration, besides those of BERT-base.
        students: preset -> fields besides those of the preset.
        batches: rows and tokens of a row.
        lengths: tokens of a row, in batches of `tokens` tokens.
        tokens: of a batch of `lengths`.
        shortest: tokens of the shortest row, where rows are of unequal length.
        warm: steps before the timed ones.
        steps: timed steps of a training.
        long_steps: likewise, over `lengths`.
        rounds: of each row of a table; `compile_rounds` of those that compile, `long_rounds` over `lengths`.
        compiled: the students of those that compile, by `backend`.
        matrix: rows and columns of the matrices whose product gives the rate.
        inference: rows of a batch of 128 tokens.
        calls: timed forwards of a model in a round.
    """

    teacher: dict[str, int] = field(default_factory=dict)
    students: dict[str, dict[str, int]] = field(default_factory=lambda: {"4l-312d": {}, "6l-768d": {}})
    batches: tuple[tuple[int, int], ...] = ((256, 128), (64, 512))
    lengths: tuple[int, ...] = (512, 1024, 2048, 4096, 8192)
    tokens: int = 32768
    shortest: int = 96
    warm: int = 5
    steps: int = 20
    long_steps: int = 8
    rounds: int = 4
    long_rounds: int = 2
    compile_rounds: int = 2
    compiled: tuple[str, ...] = ("4l-312d", "6l-768d")
    backend: str = "inductor"
    matrix: int = 8192
    inference: tuple[int, ...] = (1, 256)
    calls: int = 30


_SMALL = {"intermediate_size": 64, "num_attention_heads": 4, "vocab_size": 1000}
TINY = Sizes(
    teacher={"hidden_size": 32, "num_hidden_layers": 2, **_SMALL},
    students={
        "4l-312d": {"hidden_size": 16, "num_hidden_layers": 1, **_SMALL},
        "6l-768d": {"hidden_size": 32, "num_hidden_layers": 2, **_SMALL},
    },
    batches=((8, 32), (2, 64)),
    lengths=(64, 128),
    tokens=256,
    shortest=24,
    warm=2,
    steps=3,
    long_steps=2,
    rounds=2,
    compile_rounds=1,
    compiled=("4l-312d",),
    backend="aot_eager",
    matrix=256,
    inference=(1, 4),
    calls=3,
)


class Device:
    """A GPU, or a CPU, on which memory is not measured."""

    def __init__(self, name: str) -> None:
        self.torch = torch.device(name)
        self.is_gpu = self.torch.type == "cuda"

    def reset_peak(self) -> None:
        """Count the peak from here on."""
        if self.is_gpu:
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> int | None:
        """Bytes of tensors at most, since `reset_peak`."""
        return torch.cuda.max_memory_allocated() if self.is_gpu else None

    def free(self) -> None:
        """Give back what no tensor holds any more."""
        gc.collect()
        if self.is_gpu:
            torch.cuda.empty_cache()

    def describe(self) -> dict[str, Any]:
        """The machine and its libraries."""
        name, memory, capability = platform.machine(), None, None
        if self.is_gpu:
            properties = torch.cuda.get_device_properties(0)
            name, memory = properties.name, properties.total_memory
            capability = f"{properties.major}.{properties.minor}"
        libraries = {one: version(one) for one in ("transformers", "accelerate")}
        return {
            "device": self.torch.type,
            "name": name,
            "memory_bytes": memory,
            "capability": capability,
            "cuda": torch.version.cuda,
            "python": platform.python_version(),
            "torch": torch.__version__,
            **libraries,
            "tinybert_hf": tinybert_hf.__version__,
            "fp32_products": torch.get_float32_matmul_precision(),
        }


class Run(NamedTuple):
    """Of one training, or of the forwards of one round: seconds of a step, peak in bytes, seconds of the warm-up."""

    seconds: float
    peak: int | None
    warm_seconds: float


@dataclass
class Bench:
    """What the parts share.

    Attributes:
        sizes: what is measured.
        device: where.
        rate: operations per second of a product of matrices in bf16, in this run.
        ends: when the part has to, as `time.monotonic` counts.
        note: called with each row of a table, once it is measured.
        pending: names of the rows that are not measured yet.
        skipped: of those that will not be, for want of time.
    """

    sizes: Sizes
    device: Device
    rate: float
    ends: float
    note: Callable[[dict[str, Any]], None]
    pending: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    _row_ends: float = 0.0

    def left(self) -> float:
        """Seconds that the part still has."""
        return self.ends - time.monotonic()

    def measure_each(self, rows: dict[str, Callable[[], dict[str, Any]]]) -> None:
        """Measure rows one after the other, each in its share of the time; those that do not fit are skipped."""
        self.pending, least = list(rows), 0.0
        for name, measure in rows.items():
            if self.left() <= least:
                self.skipped.append(name)
            else:
                started = time.monotonic()
                self._row_ends = started + self.left() / len(self.pending)
                row = measure()
                rounds = max((len(way.get("rounds", ())) for way in row["ways"].values()), default=0)
                least = (time.monotonic() - started) / max(rounds, 1)
                self.note({"name": name, **row})
            self.pending.remove(name)

    def interleaved(self, ways: Mapping[str, Callable[[], Run]], rounds: int) -> dict[str, dict[str, Any]]:
        """Runs of each way, taking turns, every other round backwards; fewer rounds where the time is short.

        Args:
            ways: by name.
            rounds: at most; there is one at least.

        Returns:
            Of each way its median `seconds`, those of all `rounds`, `peak_bytes` and `warm_seconds` of the first; or
            `out_of_memory`, or `error`, with what was said.
        """
        runs: dict[str, list[Run]] = {name: [] for name in ways}
        said: dict[str, dict[str, Any]] = {name: {} for name in ways}
        taken: dict[str, float] = {}
        for number in range(rounds):
            going = [name for name in ways if not said[name]]
            if number and sum(taken[name] for name in going) > self._row_ends - time.monotonic():
                break
            for name in going if number % 2 == 0 else reversed(going):
                started = time.monotonic()
                result = attempt(ways[name], self.device)
                taken[name] = time.monotonic() - started
                if isinstance(result, Run):
                    runs[name].append(result)
                else:
                    said[name] = result
        return {name: {**_summary(runs[name]), **said[name]} for name in ways}

    def with_rates(self, ways: dict[str, dict[str, Any]], tokens: float, operations: float) -> dict[str, Any]:
        """Tokens per second, and the share of the rate of matrix products, beside the seconds of each way."""
        for way in ways.values():
            if "seconds" in way:
                way["tokens_per_second"] = tokens / way["seconds"]
                way["share_of_matrix_rate"] = operations / way["seconds"] / self.rate
        return {"tokens": tokens, "operations": operations, "ways": ways}


def attempt(work: Callable[[], Run], device: Device) -> Run | dict[str, Any]:
    """A run, or what was said when it failed; either way its memory is free afterwards."""
    try:
        return work()
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        full = isinstance(error, torch.OutOfMemoryError) or "ALLOC_FAILED" in lines[0]
        return {"out_of_memory" if full else "error": f"{type(error).__name__}: {lines[0]}"[:500]}
    finally:
        device.free()


def _summary(runs: list[Run]) -> dict[str, Any]:
    if not runs:
        return {}
    peaks = [run.peak for run in runs if run.peak is not None]
    return {
        "seconds": statistics.median(run.seconds for run in runs),
        "rounds": [run.seconds for run in runs],
        "peak_bytes": max(peaks, default=None),
        "warm_seconds": runs[0].warm_seconds,
    }


def matrix_rate(device: Device, size: int) -> float:
    """Operations per second of a product of two matrices of random numbers in bf16.

    Args:
        device: where.
        size: rows and columns of both.

    Returns:
        The median over five blocks of ten products.
    """
    left, right = (torch.randn(size, size, device=device.torch).bfloat16() for _ in range(2))
    found = []
    for _ in range(6):  # the first block warms up
        wait_for(device.torch)
        started = time.perf_counter()
        for _ in range(10):
            left @ right
        wait_for(device.torch)
        found.append(10 * 2 * size**3 / (time.perf_counter() - started))
    return statistics.median(found[1:])


def settle() -> None:
    """No progress bars and no notices; `quiet_libraries` would need datasets, too."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
