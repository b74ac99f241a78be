"""The progress of a long translation: a line from time to time in a log, with the rate of this start."""

import io

import pytest
from rich.console import Console

from tinybert_hf.recipes import folder
from tinybert_hf.recipes.folder import counting, row_progress


class Clock:
    """Seconds that pass when they are told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(folder.time, "perf_counter", made)
    return made


def test_a_log_gets_a_line_when_the_time_has_come(clock: Clock) -> None:
    console = Console(record=True, width=100, file=io.StringIO())
    with row_progress(console, "Sources", seconds_between_lines=10) as update:
        update(50, 1300)  # an earlier start has done these: they do not count as fast
        for done in (100, 150, 1250):
            clock.now += 6
            update(done, 1300)
    assert console.export_text() == "Sources: 150 of 1,300 rows, 8.3 rows/s\n"


def test_a_terminal_gets_a_bar() -> None:
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    with row_progress(console, "Sources") as update:
        update(0, 4)
        update(4, 4)
    assert "4/4" in console.export_text()


def test_batches_are_counted() -> None:
    seen: list[tuple[int, int]] = []
    advance = counting(lambda done, rows: seen.append((done, rows)), 5)
    advance(3)
    advance(2)
    assert seen == [(0, 5), (3, 5), (5, 5)]
