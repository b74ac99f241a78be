"""Timed rounds: in each one every model has its turn, so that a noisy machine treats all alike.

Every speed that this package says of two models is measured by `timed_rounds`: that of a run's table and card, of the
report, of translators, and of `tinybert benchmark`.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

Forward = Callable[[], object]

MIN_ROUNDS, MAX_ROUNDS = 3, 200
# A forward as long as this is not helped by one before it: caches are filled in a small part of it.
_LONG = 0.25
# Short forwards are repeated within a turn, and the median of the turn counts.
_TURN, _MOST_REPEATS = 0.05, 5
_FULL_MEMORY = (
    "can't allocate memory",
    "bad_alloc",
    "failed to allocate memory",
    "not enough memory",
    "out of memory",
)


@dataclass(frozen=True)
class Clock:
    """Where the times come from.

    Attributes:
        wall: seconds that pass.
        cpu: seconds that all threads of this process compute.
    """

    wall: Callable[[], float] = time.perf_counter
    cpu: Callable[[], float] = time.process_time


@dataclass
class Times:
    """The timed forwards of one model, in seconds: a list for each round."""

    wall: list[list[float]] = field(default_factory=list)
    cpu: list[list[float]] = field(default_factory=list)

    @property
    def all_wall(self) -> list[float]:
        """Of every forward."""
        return [one for turn in self.wall for one in turn]

    @property
    def latency_ms(self) -> float:
        """The median of every forward, in milliseconds: the p50 of `tinybert benchmark`."""
        return 1000 * statistics.median(self.all_wall)

    @property
    def all_cpu(self) -> list[float]:
        """Likewise."""
        return [one for turn in self.cpu for one in turn]

    @property
    def wall_of_rounds(self) -> list[float]:
        """The median of each round."""
        return [statistics.median(turn) for turn in self.wall]

    @property
    def cpu_of_rounds(self) -> list[float]:
        """Likewise."""
        return [statistics.median(turn) for turn in self.cpu]


def timed_rounds(
    forwards: Mapping[str, Forward],
    *,
    seconds: float = math.inf,
    rounds: int | None = None,
    most: int = MAX_ROUNDS,
    once: bool = False,
    clock: Clock | None = None,
) -> tuple[dict[str, Times], dict[str, str]]:
    """Times models against each other.

    In every round each one has a turn, and every other round goes through them backwards. A turn of a short forward
    begins with one that is not timed, since the turns before it have taken the caches.

    Args:
        forwards: name -> what is timed; each has been run before.
        seconds: for all rounds together; the last one is finished.
        rounds: exactly so many, whatever they take. None: as many as fit, 3 at least and `most` at most.
        most: see `rounds`.
        once: a turn is one timed call and nothing else: for what is long, such as many sentences.
        clock: for tests.

    Returns:
        name -> times; and name -> reason for those whose memory did not suffice, which have no times.
    """
    clock = clock or Clock()
    times = {name: Times() for name in forwards}
    failed: dict[str, str] = {}
    began = clock.wall()
    for number in range(most if rounds is None else rounds):
        if rounds is None and number >= MIN_ROUNDS and clock.wall() - began >= seconds:
            break
        for name in list(forwards)[:: -1 if number % 2 else 1]:
            if name in failed:
                continue
            try:
                _take_turn(forwards[name], times[name], clock, once=once)
            except Exception as error:
                if not is_full_memory(error):
                    raise
                failed[name] = f"no memory: {type(error).__name__}"
    return {name: one for name, one in times.items() if name not in failed}, failed


@contextlib.contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """For the time of the block PyTorch computes with so many threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def usable_threads() -> int:
    """With how many threads PyTorch computes: OMP_NUM_THREADS, or else what the processors of this process allow."""
    import torch

    return torch.get_num_threads()


def is_full_memory(error: BaseException) -> bool:
    """Whether Python, PyTorch (CPU or GPU) or onnxruntime could not get the memory that it asked for."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return any(text in str(error).lower() for text in _FULL_MEMORY)


def _take_turn(forward: Forward, times: Times, clock: Clock, *, once: bool) -> None:
    last = math.inf if once else statistics.median(times.wall[-1]) if times.wall else None
    if last is None or last < _LONG:
        started = clock.wall()
        forward()
        last = clock.wall() - started
    wall: list[float] = []
    cpu: list[float] = []
    for _ in range(repeats(last)):
        cpu_before, wall_before = clock.cpu(), clock.wall()
        forward()
        wall.append(clock.wall() - wall_before)
        cpu.append(clock.cpu() - cpu_before)
    times.wall.append(wall)
    times.cpu.append(cpu)


def repeats(seconds: float) -> int:
    """Timed forwards of a turn, by how long one takes."""
    return max(1, min(_MOST_REPEATS, int(_TURN / max(seconds, 1e-9))))
