"""Who has a turn when, and what is timed; the clock is made up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tinybert_hf.evaluation.cost import Clock, is_full_memory, repeats, timed_rounds


class Hours:
    """A machine whose time passes only where a test says so."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.now = self.computed = 0.0
        self.calls: list[str] = []

    def forward(self, name: str, seconds: float, slowed: Callable[[], float] = lambda: 1.0) -> Callable[[], None]:
        """A forward that takes so long, and longer while the machine is busy; half of it is computed."""

        def run() -> None:
            self.calls.append(name)
            self.now += seconds * slowed()
            self.computed += seconds / 2

        return run

    @property
    def clock(self) -> Clock:
        """Reads the time."""
        return Clock(lambda: self.now, lambda: self.computed)


def test_every_round_gives_each_a_turn_and_every_other_one_goes_backwards() -> None:
    hours = Hours()
    forwards = {name: hours.forward(name, 1.0) for name in "abc"}
    times, failed = timed_rounds(forwards, seconds=99, rounds=3, clock=hours.clock)
    # A long forward is timed at once, apart from the very first, which tells that it is long.
    assert "".join(hours.calls) == "aabbcc" + "cba" + "abc"
    assert failed == {}
    assert [len(one.wall) for one in times.values()] == [3, 3, 3]
    assert times["a"].wall_of_rounds == [1.0] * 3
    assert times["a"].cpu_of_rounds == [0.5] * 3


def test_a_short_forward_is_repeated_after_one_that_is_not_timed() -> None:
    hours = Hours()
    times, _ = timed_rounds({"a": hours.forward("a", 0.02)}, seconds=1, rounds=2, clock=hours.clock)
    assert len(hours.calls) == 2 * (1 + 2)
    assert [len(turn) for turn in times["a"].wall] == [2, 2]
    assert times["a"].all_wall == pytest.approx([0.02] * 4)


def test_once_is_one_timed_call_a_turn_and_nothing_else() -> None:
    hours = Hours()
    forwards = {name: hours.forward(name, seconds) for name, seconds in (("short", 0.001), ("long", 9.0))}
    times, _ = timed_rounds(forwards, rounds=3, once=True, clock=hours.clock)
    assert hours.calls == ["short", "long", "long", "short", "short", "long"]
    assert times["short"].all_wall == pytest.approx([0.001] * 3)


@pytest.mark.parametrize(("seconds", "count"), [(0.0, 5), (0.001, 5), (0.02, 2), (0.05, 1), (3.0, 1)])
def test_repeats(seconds: float, count: int) -> None:
    assert repeats(seconds) == count


@pytest.mark.parametrize(("budget", "rounds"), [(0.5, 3), (10.0, 9), (1e9, 200)])
def test_rounds_fill_the_time_but_are_three_at_least(budget: float, rounds: int) -> None:
    hours = Hours()
    times, _ = timed_rounds({"a": hours.forward("a", 1.0)}, seconds=budget, clock=hours.clock)
    assert len(times["a"].wall) == rounds
    few, _ = timed_rounds({"a": hours.forward("a", 1.0)}, seconds=budget, most=4, clock=hours.clock)
    assert len(few["a"].wall) == min(rounds, 4)


def test_a_busy_machine_slows_all_alike() -> None:
    hours = Hours()

    def busy() -> float:
        return 1.0 + (int(hours.now) // 40) % 5  # load that comes and goes over several rounds

    forwards = {"slow": hours.forward("slow", 4.0, busy), "fast": hours.forward("fast", 1.0, busy)}
    times, _ = timed_rounds(forwards, seconds=1, rounds=31, clock=hours.clock)
    assert max(times["slow"].wall_of_rounds) > 3 * min(times["slow"].wall_of_rounds)
    ratios = [a / b for a, b in zip(times["slow"].wall_of_rounds, times["fast"].wall_of_rounds, strict=True)]
    assert sorted(ratios)[15] == 4.0


def test_one_whose_memory_does_not_suffice_leaves_and_the_others_go_on() -> None:
    hours = Hours()

    def hungry() -> None:
        if hours.calls.count("a") > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    times, failed = timed_rounds(
        {"a": hours.forward("a", 1.0), "hungry": hungry}, seconds=1, rounds=5, clock=hours.clock
    )
    assert set(times) == {"a"}
    assert failed == {"hungry": "no memory: RuntimeError"}
    assert len(times["a"].wall) == 5


def test_other_errors_are_not_hidden() -> None:
    def broken() -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        timed_rounds({"a": broken}, seconds=1)


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("Failed to allocate memory for requested buffer of size 9"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_which_errors_mean_full_memory(error: Exception, full: bool) -> None:
    assert is_full_memory(error) is full
