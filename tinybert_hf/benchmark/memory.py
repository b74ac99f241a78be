"""The peak memory of forwards, each measured in a process that ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import tinybert_hf
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation.cost import is_full_memory

# Asks the process that measures memory.

_PROBE = (sys.executable, "-m", "tinybert_hf.benchmark.memory")


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
            job: see the probe, below.

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


# `python -m tinybert_hf.benchmark.memory`: the peak memory of forwards, each in a process that ends.
#
# Memory that was once taken is not given back, so a process can measure one thing only. Libraries take seconds to
# load: this process loads them, and forks for every line that it reads. Each line is a job as JSON, and so is each
# answer:
#
#     {"given": "bert-base", "backend": "eager", "folder": null, "batch_size": 1, "length": 128, ...}
#     {"model_megabytes": 440.1, "forward_megabytes": 12.5}   or   {"full": "..."}   {"error": "..."}   {"signal": 9}

Measured = Callable[[Mapping[str, Any]], dict[str, Any]]

# Reads a few tokens first, so that what is made at the first call is not counted as the forward's.
_WARM_UP_LENGTH = 8


def resident_megabytes(field: str) -> float:
    """VmRSS (now) or VmHWM (the peak) of this process, 10^6 bytes; Linux."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / 1e6


def peak_megabytes(call: Callable[[], object]) -> float:
    """How far the memory of this process rises during a call, above what it held before; Linux."""
    before = resident_megabytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted from here
    call()
    return max(resident_megabytes("VmHWM") - before, 0.0)


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """What the model and one forward take, in this process."""
    import torch

    from tinybert_hf.benchmark.models import find_model, open_forward

    torch.set_num_threads(job["threads"])
    device = torch.device(job["device"])
    found = find_model(job["given"])
    before = resident_megabytes("VmRSS")
    opened = open_forward(found, job["backend"], job["folder"], threads=job["threads"], device=device)
    with torch.inference_mode():
        opened(1, min(_WARM_UP_LENGTH, job["length"]))()
        model = resident_megabytes("VmRSS") - before
        forward = opened(job["batch_size"], job["length"])
        if device.type == "cuda":
            model = torch.cuda.memory_allocated(device) / 1e6
            torch.cuda.reset_peak_memory_stats(device)
            forward()
            return _answer(model, torch.cuda.max_memory_allocated(device) / 1e6 - model)
        return _answer(model, peak_megabytes(forward))


def answer(
    job: Mapping[str, Any], measured: Callable[[Mapping[str, Any]], dict[str, Any]] = measure
) -> dict[str, Any]:
    """Measures in a forked process.

    Args:
        job: see above.
        measured: what the process does.
    """
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        _be_the_first_to_go()
        try:
            said = measured(job)
        except BaseException as error:
            said = {"full" if is_full_memory(error) else "error": f"{type(error).__name__}: {error}"[:1000]}
        os.write(sending, json.dumps(said).encode())
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if text:
        return dict(json.loads(text))
    return {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0}


def _answer(model: float, forward: float) -> dict[str, Any]:
    return {"model_megabytes": model, "forward_megabytes": forward}


def _be_the_first_to_go() -> None:
    """Where the memory of the machine is full, Linux ends this process and no other."""
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def main() -> None:
    """Answers each line of standard input on standard output, until it ends."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    import torch  # noqa: F401
    import transformers.modeling_utils  # noqa: F401

    import tinybert_hf.evaluation
    import tinybert_hf.model  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=lines, flush=True)


if __name__ == "__main__":
    main()
