"""What the command line says when something fails: one screen on standard error, and an exit status."""

from __future__ import annotations

import errno
import functools
import shutil
import signal
import sys
from collections.abc import Callable
from typing import ParamSpec

import typer

from tinybert_hf.cli.interruption import EXIT_INTERRUPTED, ctrl_c_came, inside_command, is_interrupt
from tinybert_hf.errors import TinyBertError

Parameters = ParamSpec("Parameters")

EXIT_FAILED = 2
EXIT_TERMINATED = 128 + signal.SIGTERM
# torch reports a full disk as a writer's RuntimeError that names neither the disk nor the error number.
_ALMOST_NOTHING = 20e6
_FROM_CHECKPOINT = "The same command goes on from the last checkpoint; a phase that has none yet begins again."
_GOES_ON = {
    "distill": _FROM_CHECKPOINT,
    "finetune": _FROM_CHECKPOINT,
    "pseudo_label": "The same command goes on where it was.",
    "augment": "The same command goes on where it was.",
}

_debug = False


def show_traceback(on: bool) -> None:
    """Say whether errors keep their traceback."""
    global _debug
    _debug = on


def answers_failures(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Turn the errors that a user can mend into a message and exit status 2, and Ctrl-C into 130."""

    @functools.wraps(command)
    def answering(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            with inside_command():
                command(*args, **kwargs)
        except typer.Exit:
            raise
        except SystemExit as error:
            if error.code == EXIT_TERMINATED:
                _say(f"\nTerminated (SIGTERM). {_GOES_ON.get(command.__name__, '')}".rstrip())
            raise
        except BaseException as error:
            # An interrupt that a library turned into an error of its own may leave only the note that it came.
            if is_interrupt(error) or ctrl_c_came():
                _say(f"\nStopped. {_GOES_ON.get(command.__name__, '')}".rstrip())
                raise typer.Exit(EXIT_INTERRUPTED) from None
            message = explain(error, _GOES_ON.get(command.__name__, ""))
            if message is None or _debug:
                raise
            _say(f"error: {message}")
            raise typer.Exit(EXIT_FAILED) from None

    return answering


def explain(error: BaseException, goes_on: str = "") -> str | None:
    """The message for an error that a user can mend; None for one that is a fault of the program.

    Args:
        error: that ended the command.
        goes_on: what the same command does when it is given again, where it keeps something.
    """
    if isinstance(error, TinyBertError):
        return str(error)
    if _is_full_disk(error):
        return f"the disk is full ({error}). Free some space and give the same command again. {goes_on}".rstrip()
    if isinstance(error, OSError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return (
            "the memory is full. Give a smaller --batch-size or --max-length; in a recipe, batch_size of each phase, "
            "of baseline and of teacher.finetune, and data.max_length."
        )
    return None


def _is_full_disk(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    text = str(error)
    if "No space left on device" in text or "os error 28" in text:
        return True
    writer_failed = isinstance(error, RuntimeError) and ("PytorchStreamWriter" in text or "unexpected pos" in text)
    return writer_failed and shutil.disk_usage(".").free < _ALMOST_NOTHING


def _say(message: str) -> None:
    print(message, file=sys.stderr)
