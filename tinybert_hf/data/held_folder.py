"""One run a folder: whoever comes second is told who holds it.

The lock is one of the operating system, so that it ends with its process, however that ends; who holds it stands
beside it. Where a file system has no locks, what stands there is believed as long as that process lives on this
machine.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tinybert_hf.errors import OutputFolderError

LOCK, HOLDER = "writing.lock", "writing.json"
LOCK_FILES = (LOCK, HOLDER)


def is_first_process() -> bool:
    """Whether this is the one of several processes that writes and speaks."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def held_folder(folder: str | Path, shown: str | None = None) -> Iterator[None]:
    """Hold a folder while the block runs; of several processes of one run the first one does.

    The folder is made where it is not there, and removed again where nothing was put into it.

    Args:
        folder: that is written.
        shown: how a message names it; None: by its path.

    Raises:
        OutputFolderError: another run holds it; the message says which process, where, and since when.
    """
    path = Path(folder)
    if not is_first_process():
        yield
        return
    made = _make(path)
    try:
        lock = _acquire(path, shown or str(path))
        try:
            yield
        finally:
            for name in LOCK_FILES:
                with suppress(OSError):
                    (path / name).unlink()
            if lock is not None:
                lock.release()
    finally:
        for parent in made:
            with suppress(OSError):  # something was written
                parent.rmdir()


def _make(path: Path) -> list[Path]:
    """Make a folder; what was made, the innermost first. What cannot be made is said by whoever writes there."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        missing = [each for each in missing if each.exists()]
    return missing


def _acquire(path: Path, shown: str) -> Any:
    """The lock; None where this file system has none, or nothing can be written."""
    from filelock import FileLock, Timeout

    file, lock = path / LOCK, None
    for _ in range(3):
        lock = FileLock(file, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            holder = _read(path)
            if not _is_gone(holder):
                raise OutputFolderError(_busy(shown, holder)) from None
            # Killed, and a process that it started still has its open files.
            with suppress(OSError):
                file.unlink()
            continue
        except (OSError, NotImplementedError):
            holder = _read(path)
            if holder and holder.get("host") == socket.gethostname() and not _is_gone(holder):
                raise OutputFolderError(_busy(shown, holder)) from None
            lock = None
            break
        if file.exists():
            break
        lock.release()  # of a run that ended right here, and took its file away
    with suppress(OSError):
        (path / HOLDER).write_text(json.dumps(_this_process()), encoding="utf-8")
    return lock


def _busy(shown: str, holder: dict[str, Any]) -> str:
    who = "another run"
    if holder:
        who += f": process {holder.get('pid')} on {holder.get('host')}, since {holder.get('since')}"
    return (
        f"{shown} is being written by {who}. Wait until it has ended and give the same again, or choose another "
        "output folder."
    )


def _this_process() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "started": _started(os.getpid()),
        "namespace": _namespace(),
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        holder = json.loads((path / HOLDER).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _is_gone(holder: dict[str, Any]) -> bool:
    """Whether a holder is known to have ended: a process of this machine that is not there, or not that one."""
    pid = holder.get("pid")
    if not isinstance(pid, int) or pid <= 0 or os.name != "posix":
        return False
    if holder.get("host") != socket.gethostname() or holder.get("namespace") != _namespace():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    started = _started(pid)
    return started is not None and holder.get("started") is not None and started != holder["started"]


def _started(pid: int) -> str | None:
    """When a process began, in the system's own count: numbers of processes are given out again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _namespace() -> str | None:
    """In which world of process numbers this one lives: a container has its own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None
