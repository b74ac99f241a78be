"""Holds back what a library prints while it works, so that the screen keeps to what the user asked for."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any

_LINES = 5


@contextmanager
def held_output() -> Iterator[Callable[[], str]]:
    """Around the calls of a library that prints: nothing reaches the screen, from C++ neither, and nobody is warned.

    Yields:
        Gives the last lines that were held back, on one line.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as held, ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for number in (1, 2):
            _redirect(number, held.fileno(), stack)
        for redirect, own in ((redirect_stdout, sys.stdout), (redirect_stderr, sys.stderr)):
            # The stream of a notebook or a test is not the process's.
            stream = _Stream(held)
            stack.enter_context(redirect(stream))
            stack.callback(setattr, stream, "target", own)
        yield lambda: _end_of(held)


class _Stream(io.TextIOBase):
    """Writes into the held file, and afterwards to where it would have written.

    A logger that was set up in between keeps its stream for good.
    """

    def __init__(self, target: Any) -> None:
        self.target = target

    def write(self, text: str) -> int:
        written: int = self.target.write(text)
        return written

    def flush(self) -> None:
        self.target.flush()


def _redirect(number: int, target: int, stack: ExitStack) -> None:
    """Send what goes to a file descriptor to another one until the stack is left."""
    with suppress(OSError, ValueError, AttributeError):  # closed, or there is none
        (sys.stdout, sys.stderr)[number - 1].flush()
    try:
        kept = os.dup(number)
    except OSError:
        return
    stack.callback(os.close, kept)
    os.dup2(target, number)
    stack.callback(os.dup2, kept, number)


def _end_of(held: Any) -> str:
    held.flush()
    held.seek(0)
    lines = [line.strip() for line in held.read().splitlines() if line.strip()]
    return " / ".join(line[:200] for line in lines[-_LINES:])
