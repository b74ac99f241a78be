"""How far a long translation or a large corpus is, and how fast it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def row_progress(
    console: Console, title: str, total: int | None = None, *, seconds_between_lines: float = SECONDS_BETWEEN_LINES
) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; elsewhere, as in a log file, a line from time to time.

    Args:
        console: where to print.
        title: what is done.
        total: rows, where it is known before.
        seconds_between_lines: without a terminal.

    Yields:
        A function to call with (rows done, rows in all). The rate counts from its first call, so rows that an earlier
        start has done do not flatter it.
    """
    if not console.is_terminal:
        yield _lines(console, title, seconds_between_lines)
        return
    progress = _bar(console)
    with progress:
        bar = progress.add_task(title, total=total, rate="")
        begun: list[tuple[float, int]] = []

        def update(done: int, rows: int) -> None:
            progress.update(bar, completed=done, total=rows, rate=_rate(begun, done))

        yield update


@contextmanager
def share_progress(
    console: Console, title: str, *, seconds_between_lines: float = SECONDS_BETWEEN_LINES
) -> Iterator[Callable[[float, int], None]]:
    """The same for a corpus, whose length is only known at the end.

    Args:
        console: where to print.
        title: what is done.
        seconds_between_lines: without a terminal.

    Yields:
        A function to call with (share that is done, tokens so far). The rate counts from its first call.
    """
    begun: list[tuple[float, int]] = []
    said = time.perf_counter()

    def words(tokens: int) -> str:
        rate = _rate(begun, tokens, "tokens/s")
        return f"{tokens / 1e6:,.1f} M tokens{f', {rate}' if rate else ''}"

    if not console.is_terminal:

        def line(share: float, tokens: int) -> None:
            nonlocal said
            told = words(tokens)
            if time.perf_counter() - said >= seconds_between_lines:
                said = time.perf_counter()
                console.print(f"{title}: {share:.0%} of the text, {told}", highlight=False, markup=False)

        yield line
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    told = TextColumn("{task.fields[words]}")
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), told, TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(title, total=1.0, words="")
        yield lambda share, tokens: progress.update(bar, completed=share, words=words(tokens))


def counting(update: Callable[[int, int], None], total: int) -> Callable[[int], None]:
    """From a function of (rows done, rows in all) to one of the rows of a batch."""
    done = 0

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        update(done, total)

    update(0, total)
    return advance


def _bar(console: Console) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]}")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn()

    return Progress(*columns, console=console, transient=True)


def _lines(console: Console, title: str, seconds_between: float) -> Callable[[int, int], None]:
    begun: list[tuple[float, int]] = []
    said = time.perf_counter()

    def update(done: int, rows: int) -> None:
        nonlocal said
        rate = _rate(begun, done)
        if time.perf_counter() - said >= seconds_between and rate:
            said = time.perf_counter()
            console.print(f"{title}: {done:,} of {rows:,} rows, {rate}", highlight=False, markup=False)

    return update


def _rate(begun: list[tuple[float, int]], done: int, unit: str = "rows/s") -> str:
    now = time.perf_counter()
    if not begun:
        begun.append((now, done))
    since, before = begun[0]
    if done <= before or now <= since:
        return ""
    rate = (done - before) / (now - since)
    return f"{rate:.1f} {unit}" if rate < 1000 else f"{rate:,.0f} {unit}"
