"""Asks the process that measures memory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import tinybert_hf
from tinybert_hf.errors import TinyBertError

_PROBE = (sys.executable, "-m", "tinybert_hf.benchmarking.memory_probe")


class FullMemoryError(TinyBertError):
    """The memory does not suffice for this size."""


@dataclass(frozen=True)
class MemoryUse:
    """What a forward takes, in 10^6 bytes of this machine's memory, or of the GPU's where it runs there.

    Attributes:
        model_megabytes: what the open model holds.
        forward_megabytes: the most that a forward takes on top of it.
    """

    model_megabytes: float
    forward_megabytes: float

    @property
    def peak_megabytes(self) -> float:
        """Both together."""
        return self.model_megabytes + self.forward_megabytes


class MemoryProbe:
    """A process that measures on request."""

    def __init__(self, to_it: IO[str], from_it: IO[str]) -> None:
        """Keep the two ends; `memory_probe` opens one."""
        self._to_it, self._from_it = to_it, from_it

    def measure(self, job: dict[str, Any]) -> MemoryUse:
        """The memory of one forward.

        Args:
            job: see memory_probe.py.

        Raises:
            FullMemoryError: the memory did not suffice.
            TinyBertError: it could not be measured, and why.
        """
        try:
            print(json.dumps(job), file=self._to_it, flush=True)
            line = self._from_it.readline()
        except OSError as error:
            raise TinyBertError(f"The process that measures memory has ended ({error}).") from error
        if not line:
            raise TinyBertError("The process that measures memory has ended.")
        said = json.loads(line)
        if said.get("signal") == signal.SIGKILL:
            raise FullMemoryError("no memory: the system ended the process that tried it")
        if "full" in said:
            raise FullMemoryError(f"no memory: {said['full'].partition(':')[0]}")
        if "error" in said or "signal" in said:
            reason = said.get("error", f"its process ended with signal {said.get('signal')}")
            raise TinyBertError(f"Memory could not be measured: {reason}")
        return MemoryUse(**said)


def can_measure_memory() -> bool:
    """Whether this system tells the peak of a process and can fork one: Linux does."""
    return hasattr(os, "fork") and os.access("/proc/self/clear_refs", os.W_OK)


@contextlib.contextmanager
def memory_probe(command: Sequence[str] = _PROBE) -> Iterator[MemoryProbe]:
    """A process that measures memory, for the time of the block."""
    # The package that runs here is the one that is measured there.
    own = str(Path(tinybert_hf.__file__).parent.parent)
    paths = os.pathsep.join([own, *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield MemoryProbe(process.stdin, process.stdout)
    finally:
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        process.kill()
        process.wait()
