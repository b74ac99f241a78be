"""Two processes against one with the same rows in each step."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import two_processes

TESTS = Path(two_processes.__file__).parent
# One of each kind; all the others run with -m slow.
FIRST = (
    "joint, accumulated",
    "own losses",
    "answers noted, resumed",
    "sharded, resumed",
    "intermediate, sharded",
    "two rows",
    "translator, accumulated",
)
NAMES = [name if name in FIRST else pytest.param(name, marks=pytest.mark.slow) for name in two_processes.CASES]


@pytest.fixture(scope="module")
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with what each of two processes ended with, of the cases that this session runs."""
    calls = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
    names = [call.params["name"] for call in calls if call is not None]
    folder = tmp_path_factory.mktemp("both")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"}
    done = subprocess.run(
        [*command, str(TESTS / "two_processes.py"), str(folder), *names],
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def apart(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    """The norm of the difference of two sets of tensors, relative to the norm of the first."""
    assert first.keys() == second.keys()
    names = [name for name, value in first.items() if value.is_floating_point()]
    ours, theirs = (torch.cat([each[name].double().flatten() for name in names]) for each in (first, second))
    return ((ours - theirs).norm() / ours.norm()).item()


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_are_one(name: str, both: Path, tmp_path: Path) -> None:
    first, second = (torch.load(both / f"{name}-{rank}.pt") for rank in (0, 1))
    one: dict[str, Any] = two_processes.run_case(name, tmp_path)
    assert apart(one["gradients"], first["gradients"]) < 1e-6
    assert apart(one["weights"], first["weights"]) < 1e-5
    assert apart(first["weights"], second["weights"]) == 0
    assert first["kinds"] == {"DTensor" if "sharded" in name else "Tensor"}
    assert bool(one["answers"]) == name.startswith("answers noted")
    for ours, theirs in zip(one["answers"], first["answers"], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    for parameter, value in first["saved"].items():
        assert torch.equal(value, first["weights"][f"student.{parameter}"])
    assert len(one["logs"]) == len(first["logs"]) > 1
    for ours, theirs in zip(one["logs"], first["logs"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
