"""Peak memory of allocations that are known; processes that are lost."""

from __future__ import annotations

import mmap
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tinybert_hf.benchmark.memory import (
    FullMemoryError,
    MemoryUse,
    answer,
    can_measure_memory,
    memory_probe,
    peak_megabytes,
)
from tinybert_hf.errors import TinyBertError

pytestmark = [
    pytest.mark.skipif(not can_measure_memory(), reason="only Linux tells the peak of a process"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]
JOB = {
    "backend": "eager", "folder": None, "batch_size": 2, "length": 16, "threads": 1, "device": "cpu",
}  # fmt: skip


def allocate(megabytes: int) -> None:
    """Take memory, write to it, and give it back; from the system, since the heap may have some that is free."""
    with mmap.mmap(-1, megabytes * 1000 * 1000) as memory:
        for start in range(0, len(memory), 4096):
            memory[start] = 1


@pytest.mark.parametrize("megabytes", [50, 100])
def test_the_peak_of_a_known_allocation(megabytes: int) -> None:
    assert peak_megabytes(lambda: allocate(megabytes)) == pytest.approx(megabytes, abs=10)


def test_an_earlier_peak_is_not_counted() -> None:
    allocate(150)
    assert peak_megabytes(lambda: allocate(40)) == pytest.approx(40, abs=10)


def killed(job: Mapping[str, Any]) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def without_memory(job: Mapping[str, Any]) -> dict[str, Any]:
    raise MemoryError("Unable to allocate 3 TiB")


def broken(job: Mapping[str, Any]) -> dict[str, Any]:
    raise ValueError("no such model")


def test_a_process_that_is_lost_is_told_and_this_one_goes_on() -> None:
    assert answer({}, killed) == {"signal": signal.SIGKILL}
    assert answer({}, without_memory) == {"full": "MemoryError: Unable to allocate 3 TiB"}
    assert answer({}, broken) == {"error": "ValueError: no such model"}
    assert answer({}, lambda job: {"here": os.getpid()})["here"] != os.getpid()


def says(line: str) -> tuple[str, ...]:
    """A process that answers every job with this line."""
    return sys.executable, "-c", f"import sys\nfor job in sys.stdin: print({line!r}, flush=True)"


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ('{"signal": 9}', FullMemoryError, "no memory: the system ended the process"),
        ('{"full": "MemoryError: 3 TiB"}', FullMemoryError, "no memory: MemoryError$"),
        ('{"signal": 11}', TinyBertError, "its process ended with signal 11"),
        ('{"error": "ValueError: x"}', TinyBertError, "could not be measured: ValueError: x"),
    ],
)
def test_what_the_process_says(line: str, error: type[Exception], message: str) -> None:
    with memory_probe(says(line)) as probe, pytest.raises(error, match=message):
        probe.measure(JOB)


def test_a_measure_that_arrives_and_a_process_that_is_gone() -> None:
    with memory_probe(says('{"model_megabytes": 4.0, "forward_megabytes": 1.5}')) as probe:
        assert probe.measure(JOB) == MemoryUse(4.0, 1.5)
        assert probe.measure(JOB).peak_megabytes == 5.5
    with memory_probe((sys.executable, "-c", "")) as probe, pytest.raises(TinyBertError, match="has ended"):
        probe.measure(JOB)


@pytest.mark.slow
def test_a_model_in_a_process_of_its_own(teacher: str, tmp_path: Path) -> None:
    with memory_probe() as probe:
        small = probe.measure({**JOB, "given": teacher})
        large = probe.measure({**JOB, "given": teacher, "batch_size": 512, "length": 64})
        with pytest.raises(TinyBertError, match="does not exist"):
            probe.measure({**JOB, "given": str(tmp_path / "nothing")})
        # 8 TB of hidden states: the process says so, and answers again afterwards.
        with pytest.raises(FullMemoryError, match="no memory"):
            probe.measure({**JOB, "given": teacher, "batch_size": 10**9, "length": 64})
        assert probe.measure({**JOB, "given": teacher}).model_megabytes > 0
    # 512 x 64 tokens of 32 and 64 fp32 numbers: one hidden state takes 4 MB, one inner state 8 MB.
    assert 12 < large.forward_megabytes - small.forward_megabytes < 400
