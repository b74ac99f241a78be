"""Timed rounds: in each one every contestant has its turn, so that a noisy machine treats all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tinybert_hf.benchmarking.allocation import is_full_memory

Forward = Callable[[], object]

MIN_ROUNDS, MAX_ROUNDS = 3, 200
# A forward as long as this is not helped by one before it: caches are filled in a small part of it.
_LONG = 0.25
# Short forwards are repeated within a turn, and the median of the turn counts.
_TURN, _MOST_REPEATS = 0.05, 5


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
    """The timed forwards of one contestant, in seconds: a list for each round."""

    wall: list[list[float]] = field(default_factory=list)
    cpu: list[list[float]] = field(default_factory=list)

    @property
    def all_wall(self) -> list[float]:
        """Of every forward."""
        return [one for turn in self.wall for one in turn]

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
    seconds: float,
    rounds: int | None = None,
    clock: Clock | None = None,
) -> tuple[dict[str, Times], dict[str, str]]:
    """Times contestants against each other.

    In every round each one has a turn, and every other round goes through them backwards. A turn of a short forward
    begins with one that is not timed, since the turns before it have taken the caches.

    Args:
        forwards: name -> what is timed; each has been run before.
        seconds: for all rounds together; the last one is finished.
        rounds: exactly so many, whatever they take. None: as many as fit, 3 at least and 200 at most.
        clock: for tests.

    Returns:
        name -> times; and name -> reason for those whose memory did not suffice, which have no times.
    """
    clock = clock or Clock()
    times = {name: Times() for name in forwards}
    failed: dict[str, str] = {}
    began = clock.wall()
    for number in _numbers(rounds):
        if rounds is None and number >= MIN_ROUNDS and clock.wall() - began >= seconds:
            break
        for name in list(forwards)[:: -1 if number % 2 else 1]:
            if name in failed:
                continue
            try:
                _take_turn(forwards[name], times[name], clock)
            except Exception as error:
                if not is_full_memory(error):
                    raise
                failed[name] = f"no memory: {type(error).__name__}"
    return {name: one for name, one in times.items() if name not in failed}, failed


def _numbers(rounds: int | None) -> Iterator[int]:
    return iter(range(MAX_ROUNDS if rounds is None else rounds))


def _take_turn(forward: Forward, times: Times, clock: Clock) -> None:
    last = statistics.median(times.wall[-1]) if times.wall else None
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
