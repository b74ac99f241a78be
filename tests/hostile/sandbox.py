"""Runs cases in a process of their own, with limits on the time and the memory of each."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from tinybert_hf.errors import ChangedFilesWarning

SECONDS = 20
# Room for what opening a tiny model takes; a bomb asks for far more.
MEMORY = 3 << 30
RESIDENT = 512 << 20

SAME, DIFFERENT, REFUSED, FAILED = "same", "legit different", "our error", "failure"


def run_cases(works: Sequence[Callable[[], Any]]) -> list[dict[str, Any]]:
    """Do each work in a process beside this one; a process that dies takes one case with it, and a new one goes on.

    Args:
        works: each gives something that JSON can hold.

    Returns:
        For each `value` and `notices`, or `error` (the class, its family, the text), or `killed` (how it ended).
    """
    reports: list[dict[str, Any]] = []
    while len(reports) < len(works):
        reports += _in_one_process(works[len(reports) :])
    return reports


def _in_one_process(works: Sequence[Callable[[], Any]]) -> list[dict[str, Any]]:
    """The reports up to the first case that ends the process, at least one."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _in_child(works, writer)
    os.close(writer)
    reports: list[dict[str, Any]] = []
    buffer = b""
    until = time.monotonic() + SECONDS
    try:
        while True:
            ready, _, _ = select.select([reader], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                os.kill(child, signal.SIGKILL)
                reports.append({"killed": f"no answer in {SECONDS} s"})
                break
            block = os.read(reader, 1 << 16)
            if not block:
                break
            *lines, buffer = (buffer + block).split(b"\n")
            if lines:
                reports += [json.loads(line) for line in lines]
                until = time.monotonic() + SECONDS
    finally:
        os.close(reader)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        reports.append({"killed": f"ended with signal {os.WTERMSIG(status)}"})
    return reports or [{"killed": "ended without a word"}]


def _in_child(works: Sequence[Callable[[], Any]], writer: int) -> None:
    """Does not return: the process ends here, without the cleaning up of the parent's tests."""
    try:
        with open(os.devnull, "w") as nowhere:
            for stream in (1, 2):
                os.dup2(nowhere.fileno(), stream)
        with open("/proc/self/statm") as statm:
            size = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        for work in works:
            content = json.dumps(_report(work)).encode() + b"\n"
            while content:
                content = content[os.write(writer, content) :]
    finally:
        os._exit(0)


def _report(work: Callable[[], Any]) -> dict[str, Any]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            value = work()
    except BaseException as error:
        report: dict[str, Any] = {
            "error": [type(error).__name__, [one.__name__ for one in type(error).__mro__], str(error)]
        }
    else:
        notices = [str(one.message) for one in caught if issubclass(one.category, ChangedFilesWarning)]
        report = {"value": value, "notices": notices}
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    return report if grown <= RESIDENT else {"killed": f"took {grown >> 20} MB"}
