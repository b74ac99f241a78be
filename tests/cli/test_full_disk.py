"""Commands on a disk that is full, or read-only: what they say holds for them, and nothing of them is left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_disk import Disk
from tiny_run import rows, write_rows
from typer.testing import Result

from tinybert_hf.conversion import convert_checkpoint

Cli = Callable[..., Result]
COMMANDS: dict[str, Callable[[str, Path, Path], list[Any]]] = {
    "convert": lambda teacher, data, out: ["convert", teacher, "--output-dir", out / "new" / "converted"],
    "export": lambda teacher, data, out: ["export", teacher, "--to", "bert", "--output-dir", out / "new" / "exported"],
    "prune-vocabulary": lambda teacher, data, out: [
        "prune-vocabulary", teacher, "--corpus", data, "--text-column", "text", "--output-dir", out / "new" / "pruned",
    ],
    "card": lambda teacher, data, out: ["card", teacher, "--output", out / "card.md"],
    "augment": lambda teacher, data, out: [
        "augment", "--train-file", data, "--model", teacher, "--neighbours-only", "--copies", "2",
        "--output", out / "new.jsonl", "--cpu",
    ],
    "finetune": lambda teacher, data, out: [
        "finetune", "--model", teacher, "--train-file", data, "--validation-file", data, "--epochs", "1",
        "--output-dir", out / "tuned", "--cpu",
    ],
}  # fmt: skip
KEEP_SOMETHING = ("augment", "finetune")


def fill(disk: Disk) -> None:
    """Leave room for a few small files and for no model."""
    disk.resize(64)
    (disk.folder / "other").write_bytes(bytes(56 * 1024))


@pytest.fixture(scope="module")
def models(teacher: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By command, a BERT, or a TinyBERT: cards are of those alone."""
    folder = tmp_path_factory.mktemp("student") / "converted"
    convert_checkpoint(teacher, folder)
    return {name: str(folder) if name == "card" else teacher for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk(tinybert: Cli, disk: Disk, tmp_path: Path, models: dict[str, str], name: str) -> None:
    data = Path(write_rows(tmp_path / "rows.jsonl", rows(600)))
    fill(disk)
    if name == "card":
        (disk.folder / "rest").write_bytes(bytes(8 * 1024))
    result = tinybert(*COMMANDS[name](models[name], data, disk.folder))
    assert result.exit_code == 2, result.stdout + result.stderr
    said = " ".join(result.stderr.split())
    assert "the disk is full" in said or "make room" in said.lower(), said
    assert ("goes on" in said or "start again" in said) == (name in KEEP_SOMETHING), said
    left = {path.name for path in disk.folder.iterdir()} - {"other", "rest"}
    if name not in KEEP_SOMETHING:
        assert not left
    assert not [path for path in disk.folder.rglob("*") if path.suffix in (".new", ".lock", ".saving")]
    (disk.folder / "other").unlink()
    disk.resize(64_000)
    again = tinybert(*COMMANDS[name](models[name], data, disk.folder))
    assert again.exit_code == 0, again.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_is_read_only(
    tinybert: Cli, disk: Disk, tmp_path: Path, models: dict[str, str], name: str
) -> None:
    data = Path(write_rows(tmp_path / "rows.jsonl", rows(8)))
    disk.read_only()
    result = tinybert(*COMMANDS[name](models[name], data, disk.folder))
    assert result.exit_code == 2, result.stdout + result.stderr
    said = " ".join(result.stderr.split())
    assert "not writable" in said or "Read-only file system" in said
    assert "checkpoint" not in said
    assert "room" not in said
