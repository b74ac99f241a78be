"""Ctrl-C at any moment of a command: one line, exit status 130, no traceback."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from tinybert_hf.cli import screen
from tinybert_hf.cli.screen import (
    answers_ctrl_c,
    answers_failures,
    ctrl_c_came,
    inside_command,
    is_importing,
    is_interrupt,
)

# Runs a command in which the real Ctrl-C comes while a module is imported, and shows what becomes of it.
SCRIPT = """
import os, signal, sys
import tinybert_hf.cli as cli
import tinybert_hf.cli.screen as quiet
sys.path.insert(0, {folder!r})
def stop():
    import interrupted
    print("went on")
quiet.quiet_libraries = stop
sys.argv = ["tinybert", "evaluate", {folder!r}, "--validation-file", "rows.jsonl"]
cli.main()
"""
MODULES = {
    "an import": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport json.tool\n",
    # What the start of a C extension makes of an interrupt, and what the search for an optional library makes of that.
    "an import that is given up": (
        "import os, signal\n"
        "try:\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        import json.tool\n"
        "    except BaseException as error:\n"
        "        raise ImportError('initialization failed') from None\n"
        "except ImportError:\n"
        "    pass\n"
    ),
}


def run(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=280, cwd=folder, check=False
    )


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_ctrl_c_inside_an_import(tmp_path: Path, module: str) -> None:
    (tmp_path / "interrupted.py").write_text(module)
    (tmp_path / "rows.jsonl").write_text("{}\n")
    process = run(SCRIPT.format(folder=str(tmp_path)), tmp_path)
    assert process.returncode == 130, process.stderr
    assert process.stderr.split() == ["Stopped."]
    assert "went on" not in process.stdout


@pytest.mark.parametrize("place", [pytest.param("before", marks=pytest.mark.slow), "after"])
def test_ctrl_c_before_and_after_a_command(tmp_path: Path, place: str) -> None:
    script = (
        "import signal, sys\n"
        "import tinybert_hf.cli as cli\n"
        "def app():\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('went on')\n"
        "if {before}:\n"
        "    cli.app = app\n"
        "else:\n"
        "    real = cli.app\n"
        "    cli.app = lambda: (real(standalone_mode=False), app())\n"
        "sys.argv = ['tinybert', 'recipes', 'demo']\n"
        "cli.main()\n"
    )
    process = run(script.format(before=place == "before"), tmp_path)
    assert process.returncode == 130, process.stderr
    assert process.stderr.split() == ["Stopped."]
    assert ("name: demo" in process.stdout) == (place == "after")
    assert "went on" not in process.stdout


def test_ctrl_c_from_outside_while_libraries_are_imported(tmp_path: Path) -> None:
    """The signal comes from another process, as from a terminal, during `import torch` and its like."""
    script = (
        "import sys\n"
        "import tinybert_hf.cli as cli\n"
        "print('begins', flush=True)\n"
        "sys.argv = ['tinybert', 'distill', 'demo', '--dry-run', '--output-dir', 'out']\n"
        "cli.main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=280)
    assert process.returncode == 130, said
    assert said.strip().startswith("Stopped.")
    assert len(said.strip().splitlines()) == 1, said


@pytest.fixture
def handled() -> Iterator[None]:
    """The handler of a command, in this process, with nothing left behind."""
    with answers_ctrl_c():
        yield
    screen._came = False


def answered(error: BaseException) -> int:
    """The exit status of a command that ends with this error."""

    def distill() -> None:
        raise error

    with pytest.raises(typer.Exit) as stopped:
        answers_failures(distill)()
    return stopped.value.exit_code


def because_of(cause: BaseException) -> RuntimeError:
    error = RuntimeError("a library's own")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), because_of(KeyboardInterrupt()), because_of(because_of(KeyboardInterrupt()))],
    ids=["itself", "as a cause", "as the cause of a cause"],
)
def test_an_interrupt_in_another_errors_clothes(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert is_interrupt(error)
    assert answered(error) == 130
    assert capsys.readouterr().err.startswith("\nStopped. The same command goes on")


def test_an_interrupt_that_left_no_trace_in_the_error(handled: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), inside_command():
        signal.raise_signal(signal.SIGINT)
    assert ctrl_c_came()
    assert answered(SystemError("initialization failed without an exception")) == 130
    assert "Stopped." in capsys.readouterr().err


def test_an_error_of_its_own_is_no_interrupt() -> None:
    assert not is_interrupt(because_of(ValueError("x")))
    with pytest.raises(RuntimeError):
        answers_failures(failing_by_itself)()


def failing_by_itself() -> None:
    raise because_of(ValueError("x"))


def test_the_handler_is_there_for_the_command_only() -> None:
    before = signal.getsignal(signal.SIGINT)
    with answers_ctrl_c():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
    # A process in the background ignores Ctrl-C, and goes on ignoring it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with answers_ctrl_c():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_counts_as_importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_importing(sys._getframe())
    (tmp_path / "asks_while_imported.py").write_text(
        "import sys\nfrom tinybert_hf.cli.screen import is_importing\nanswer = is_importing(sys._getframe())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import asks_while_imported

    assert asks_while_imported.answer


def test_only_what_can_go_on_says_so() -> None:
    assert screen._GOES_ON.keys() >= {"distill", "finetune"}
    assert "evaluate" not in screen._GOES_ON
