"""One run a folder: the second is told who holds it, and a process that has ended holds nothing."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import filelock
import pytest
from killed_runs import in_child, wait

from tinybert_hf.data.shards import HOLDER, LOCK, held_folder
from tinybert_hf.errors import OutputFolderError


def hold_until_killed(folder: Path, *, with_child: bool = False) -> int:
    """A process that holds the folder; with a child of its own that lives on and has the same open files."""

    def job() -> None:
        with held_folder(folder):
            if with_child and os.fork() == 0:
                time.sleep(3)
                os._exit(0)
            (folder.parent / "held").touch()
            time.sleep(60)

    child = in_child(job)
    while not (folder.parent / "held").exists():
        time.sleep(0.01)
    return child


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    child = hold_until_killed(tmp_path / "out")
    try:
        with (
            pytest.raises(OutputFolderError, match=rf"the run is being written by .*: process {child} on .*, since"),
            held_folder(tmp_path / "out", "the run"),
        ):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        wait(child)


@pytest.mark.parametrize("with_child", [False, True])
def test_a_dead_process_holds_nothing(tmp_path: Path, with_child: bool) -> None:
    child = hold_until_killed(tmp_path / "out", with_child=with_child)
    os.kill(child, signal.SIGKILL)
    wait(child)
    with held_folder(tmp_path / "out"):
        assert json.loads((tmp_path / "out" / HOLDER).read_text())["pid"] == os.getpid()


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with held_folder(tmp_path / "a" / "b"):
        pass
    assert list(tmp_path.iterdir()) == []
    with held_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "result").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b", "result"]
    with pytest.raises(KeyboardInterrupt), held_folder(tmp_path / "c"):
        raise KeyboardInterrupt
    assert not (tmp_path / "c").exists()


def test_a_folder_that_was_empty_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with held_folder(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine").is_dir()


def test_a_folder_that_its_run_removes(tmp_path: Path) -> None:
    with held_folder(tmp_path / "out"):
        for file in (tmp_path / "out").iterdir():
            file.unlink()
        (tmp_path / "out").rmdir()


def test_several_processes_of_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with held_folder(tmp_path / "out"):
        monkeypatch.setenv("RANK", "1")
        with held_folder(tmp_path / "out"):
            pass
        assert (tmp_path / "out" / LOCK).exists(), "the others let it be"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EROFS, errno.EACCES])
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refusing(*args: Any, **kwargs: Any) -> None:
        raise OSError(number, os.strerror(number))

    child = hold_until_killed(tmp_path / "out")
    monkeypatch.setattr(filelock.FileLock, "acquire", refusing)
    with pytest.raises(OutputFolderError, match=f"process {child}"), held_folder(tmp_path / "out"):
        pass
    os.kill(child, signal.SIGKILL)
    wait(child)
    with held_folder(tmp_path / "out"):
        pass


@pytest.mark.parametrize("other", [{"host": "another machine"}, {"namespace": "pid:[1]"}])
def test_a_process_that_cannot_be_seen_is_believed(tmp_path: Path, other: dict[str, str]) -> None:
    with held_folder(tmp_path / "out"):
        holder = json.loads((tmp_path / "out" / HOLDER).read_text())
        (tmp_path / "out" / HOLDER).write_text(json.dumps({**holder, "pid": 2**22 + 1, **other}))
        with pytest.raises(OutputFolderError, match="is being written by"), held_folder(tmp_path / "out"):
            pass


def test_a_number_that_was_given_out_again(tmp_path: Path) -> None:
    with held_folder(tmp_path / "out"):
        holder = json.loads((tmp_path / "out" / HOLDER).read_text())
        (tmp_path / "out" / HOLDER).write_text(json.dumps({**holder, "started": "1"}))
        with held_folder(tmp_path / "out"):
            pass
