"""Ctrl-C: one line and exit status 130, in the middle of an import too.

Only inside a command is an interrupt raised, and not where Python is importing: there, and before and after a command,
it ends the process at once. Raised inside the start of a C extension it would come out as whatever that makes of it
(ImportError, SystemError, RuntimeError), or be swallowed by an `except ImportError` around an optional library, and
leave modules that are half there. Nothing is lost: a run can be ended at any moment and goes on from what is on the
disk.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

EXIT_INTERRUPTED = 130

_came = False
_in_command = False


@contextmanager
def answers_ctrl_c() -> Iterator[None]:
    """While the block runs, Ctrl-C ends the process with one line, or raises KeyboardInterrupt inside a command."""
    global _came
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:  # started in the background: Ctrl-C is meant for someone else
        yield
        return
    _came = False
    with suppress(ValueError):  # only the main thread may choose what a signal does
        signal.signal(signal.SIGINT, _answer)
    try:
        yield
    finally:
        with suppress(ValueError):
            signal.signal(signal.SIGINT, before)


@contextmanager
def inside_command() -> Iterator[None]:
    """While the block runs, there is someone who answers a KeyboardInterrupt."""
    global _in_command
    _in_command = True
    try:
        yield
    finally:
        _in_command = False


def ctrl_c_came() -> bool:
    """Whether Ctrl-C was pressed, whatever became of its exception since."""
    return _came


def is_interrupt(error: BaseException) -> bool:
    """Whether an error is a KeyboardInterrupt, or was raised because of one or while one was handled."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        if isinstance(current, KeyboardInterrupt):
            return True
        seen.add(id(current))
        current = current.__cause__ or current.__context__
    return False


def is_importing(frame: FrameType | None) -> bool:
    """Whether this frame runs inside an import statement."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _answer(number: int, frame: FrameType | None) -> None:
    global _came
    if not _in_command or is_importing(frame) or _came:  # pressed twice: whoever handles the first takes too long
        with suppress(Exception):  # the signal may have come inside a write to one of these
            sys.stdout.flush()
            print("\nStopped.", file=sys.stderr, flush=True)
        os._exit(EXIT_INTERRUPTED)
    _came = True
    raise KeyboardInterrupt
