"""What the command line shows: errors on one screen, Ctrl-C, quiet libraries, JSON, what is wrong at once."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import logging
import math
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, ParamSpec

import typer

from tinybert_hf.errors import FileFormatWarning, OpeningWarning, OutputFolderError, TinyBertError
from tinybert_hf.messages import does_not_exist, nearest_beside

# Ctrl-C: one line and exit status 130, in the middle of an import too.
#
# Only inside a command is an interrupt raised, and not where Python is importing: there, and before and after a
# command, it ends the process at once. Raised inside the start of a C extension it would come out as whatever that
# makes of it (ImportError, SystemError, RuntimeError), or be swallowed by an `except ImportError` around an optional
# library, and leave modules that are half there. Nothing is lost: a run can be ended at any moment and goes on from
# what is on the disk.

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


# What the command line says when something fails: one screen on standard error, and an exit status.

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


# Keep the screen for what the user asked for: progress bars and readable losses, no advice to developers.

# Figures that a reader of the screen does not need; they stay in the logs that report_to writes.
_LEFT_OUT = ("grad_norm", "total_flos", "runtime", "samples_per_second", "steps_per_second", "train_loss", "eval_loss")
_said: set[str] = set()


def quiet_imports() -> None:
    """Silence what is said while transformers is loaded: it loads torchao, where that is; litert-torch brings it."""
    for name in ("torchao", "torch.utils._pytree"):
        logging.getLogger(name).setLevel(logging.ERROR)


def quiet_libraries() -> None:
    """Silence the notes of transformers, datasets and torch, apart from errors; make the Trainer's lines readable.

    Where standard error is no terminal there are no progress bars either: a log file would keep every state of them.
    """
    import datasets
    import transformers
    from huggingface_hub.utils.tqdm import disable_progress_bars
    from transformers import trainer

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()  # of loading weights; the Trainer's own bar stays
    datasets.utils.logging.set_verbosity_error()
    for name in ("httpx", "httpx2", "huggingface_hub", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    for category in (OpeningWarning, FileFormatWarning):
        warnings.filterwarnings("default", category=category)
    warnings.showwarning = _say_once
    _said.clear()
    if sys.stderr.isatty():
        trainer.DEFAULT_PROGRESS_CALLBACK = _readable_bar()
    else:
        datasets.disable_progress_bars()  # of tokenizing and downloading
        disable_progress_bars()  # of downloading models
        trainer.DEFAULT_PROGRESS_CALLBACK = _lines_only()
    # A Trainer without a bar (disable_tqdm, which is the default where transformers is quiet) prints these lines too.
    trainer.PrinterCallback = _lines_only()


def _say_once(message: Warning | str, *args: Any, **kwargs: Any) -> None:
    """Each once: a folder or a file is looked at in the plan and when it is opened."""
    if str(message) not in _said:
        _said.add(str(message))
        print(f"note: {message}", file=sys.stderr)


def _readable_bar() -> type:
    from transformers.trainer_callback import ProgressCallback

    class ReadableProgress(ProgressCallback):
        """The Trainer's progress bar; what it logs as a line of names and numbers."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            line = log_line(logs or {})
            if state.is_world_process_zero and self.training_bar is not None and line:
                self.training_bar.write(line)

    return ReadableProgress


def _lines_only() -> type:
    from transformers import PrinterCallback

    class LinesOnly(PrinterCallback):
        """What the Trainer logs as a line of names and numbers, without a bar."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            line = log_line(logs or {})
            if state.is_world_process_zero and line:
                print(line, flush=True)

    return LinesOnly


def log_line(logs: Mapping[str, Any]) -> str:
    """One line for the screen: "epoch 0.50  loss 9.335  attention 8.69 ..."; empty where nothing is left to say."""
    shown = {name: value for name, value in logs.items() if name != "epoch" and not name.endswith(_LEFT_OUT)}
    if not shown:
        return ""
    parts = [f"epoch {logs['epoch']:.2f}"] if "epoch" in logs else []
    for name, value in shown.items():
        title = name.removeprefix("eval_").removesuffix("_loss").replace("_", " ")
        if isinstance(value, int | float):
            parts.append(f"{title} {value:.4g}" if abs(value) < 1e4 else f"{title} {value:,.0f}")
        else:
            parts.append(f"{title} {value}")
    return "  ".join(parts)


# `--json`: the result alone on standard output, for scripts; what is said on the way goes to standard error.

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON, and everything else to standard error.")
]


@contextlib.contextmanager
def said_aside(wanted: bool) -> Iterator[None]:
    """For the time of the block, where `wanted`, whatever is printed goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield


def print_json(result: Mapping[str, Any]) -> None:
    """One line of JSON; a number that is none, which JSON does not know, is null."""
    print(json.dumps(known_to_json(result), allow_nan=False, ensure_ascii=False, default=str))


def known_to_json(value: Any) -> Any:
    """A value with null for every number that is none."""
    if isinstance(value, Mapping):
        return {str(key): known_to_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [known_to_json(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# The folder of a model that does not exist: said as such, with the name that was probably meant.


@contextmanager
def opens_models(*names: str | None) -> Iterator[None]:
    """Around what opens models: refuse a folder that is not there, before the Hub is asked for it.

    What may be an id on the Hub passes; when it fails, the message ends with the folder of a like name.

    Args:
        *names: folders or Hub ids as they were given; None where none was given.

    Raises:
        TinyBertError: a name that can only be a folder, and none is there; or what the block raises.
    """
    absent = [name for name in names if name is not None and not Path(name).exists()]
    for name in absent:
        if not _may_be_on_the_hub(name):
            raise TinyBertError(
                f"{does_not_exist(name, folders=True)} Give the folder of a saved model, or its id on the Hub."
            )
    try:
        yield
    except OutputFolderError:
        raise  # it may name a model, but the model is not what is wrong
    except TinyBertError as error:
        hints = {_nearest(name) for name in absent if name in str(error)}
        if not any(hints):
            raise
        raise type(error)(f"{error}{''.join(sorted(hints))}") from error


def _may_be_on_the_hub(name: str) -> bool:
    return not name.startswith((".", "/", "~")) and name.count("/") < 2 and not name.endswith("/") and "\\" not in name


def _nearest(name: str) -> str:
    """The folder beside it whose name is the most like it, as a sentence; empty where none is."""
    is_folder_of_hub = _may_be_on_the_hub(name) and not Path(name).parent.is_dir()
    return "" if is_folder_of_hub else nearest_beside(name, folders=True)


# What can be said about a command before torch and transformers are loaded, which takes seconds.


def check_row_files(*files: str | None) -> None:
    """Look at files of rows.

    Args:
        *files: None where none was given.

    Raises:
        DataError: one is missing, a folder, of an unknown kind, or empty.
    """
    from tinybert_hf.data.files import checked_suffix

    for file in files:
        if file is not None:
            checked_suffix(Path(file))


def check_recipe_early(mapping: Mapping[str, Any]) -> None:
    """Look at the files and folders that a recipe names.

    Whatever has another form than a recipe's is passed over: the loader says what is wrong with it.

    Args:
        mapping: of the recipe, with its changes.

    Raises:
        TinyBertError: a file or a folder is not there.
    """
    check_row_files(*_texts(mapping, "data", "train_file", "validation_file"))
    _check_corpus(mapping)
    further = mapping.get("extra_teachers")
    names = [model for one in (further if isinstance(further, list) else ()) for model in _texts(one, "", "model")]
    for section in ("teacher", "augmentation", "student"):
        names += _texts(mapping, section, "model")
    with opens_models(*names):
        pass


def _check_corpus(mapping: Mapping[str, Any]) -> None:
    from tinybert_hf.data.files import files_of

    corpus = mapping.get("corpus")
    if mapping.get("task") != "general" or not isinstance(corpus, Mapping):
        return
    for field in ("files", "validation_files"):
        named = corpus.get(field)
        for name in named if isinstance(named, list | tuple) else ():
            if isinstance(name, str):
                files_of(name)


def _texts(mapping: Any, section: str, *fields: str) -> Iterator[str]:
    """The values of these fields that are texts."""
    part = mapping.get(section) if section and isinstance(mapping, Mapping) else mapping
    values = [part.get(field) for field in fields] if isinstance(part, Mapping) else []
    yield from (value for value in values if isinstance(value, str))
