"""Checkpoints that are whole: written beside, sealed with the hashes of their files, renamed into place.

A folder without its seal, or with a file that is not as the seal says, is no checkpoint. What was being written when a
run was stopped stands in the folder `.saving` and is removed by the next run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tinybert_hf.data.shard_folder import file_digest
from tinybert_hf.errors import OutputFolderError

MANIFEST_FILE = "manifest.json"
SAVING_FOLDER = ".saving"


def seal(folder: Path) -> None:
    """Write the sizes and SHA-256 of all files of a folder into its manifest, the last file that is written.

    Args:
        folder: with everything in it; files in folders below count too.
    """
    files = {}
    for path in _files(folder):
        _flush(path)
        files[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": file_digest(path)}
    beside = folder / f"{MANIFEST_FILE}.saving"
    beside.write_text(json.dumps({"files": files}, indent=1), encoding="utf-8")
    _flush(beside)
    beside.replace(folder / MANIFEST_FILE)


def damage(folder: Path) -> str | None:
    """What is wrong with a sealed folder, in words; None where every file is as it was sealed.

    Files that came later (notes of a user, an uploaded card) are no damage.
    """
    manifest = folder / MANIFEST_FILE
    if not manifest.is_file():
        return f"it has no {MANIFEST_FILE}: it was not written to the end"
    try:
        files: dict[str, dict[str, Any]] = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        expected = {str(name): (int(entry["bytes"]), str(entry["sha256"])) for name, entry in files.items()}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, OSError):
        return f"its {MANIFEST_FILE} is damaged"
    for name, (size, digest) in expected.items():
        path = folder / name
        if not path.is_file():
            return f"{name}, which its {MANIFEST_FILE} names, is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes instead of {size}"
        if file_digest(path) != digest:
            return f"{name} has been changed since it was written (another SHA-256)"
    return None


def complete_checkpoint(folder: str | Path) -> str | None:
    """The newest whole checkpoint below a folder; None where there is no checkpoint at all.

    A newer one that is damaged is named in a warning and passed over.

    Raises:
        OutputFolderError: there are checkpoints, and none is whole.
    """
    found = [(_step(path), path) for path in Path(folder).glob("checkpoint-*") if _step(path) >= 0 and path.is_dir()]
    broken: list[str] = []
    for _, path in sorted(found, reverse=True):
        reason = damage(path)
        if reason is None:
            if broken:
                warnings.warn(f"{'; '.join(broken)}. The run goes on from {path.name}.", stacklevel=2)
            return str(path)
        broken.append(f"{path} cannot be used: {reason}")
    if broken:
        raise OutputFolderError(
            f"No checkpoint in {folder} is whole. {'; '.join(broken)}. Remove the folder to start anew."
        )
    return None


def checked_checkpoint(path: str | Path, needed: Iterable[str] = ()) -> str:
    """The path of one chosen checkpoint, if it is whole.

    Args:
        path: of the checkpoint.
        needed: files without which a run would go on otherwise than it was.

    Raises:
        OutputFolderError: it is not there, or damaged; the message names the file.
    """
    if not Path(path).is_dir():
        raise OutputFolderError(f"There is no checkpoint {path} to go on from.")
    missing = [name for name in needed if not (Path(path) / name).is_file()]
    reason = damage(Path(path)) or (f"it was saved without {missing[0]}" if missing else None)
    if reason is not None:
        raise OutputFolderError(
            f"{path} cannot be used: {reason}. Give resume_from_checkpoint=True to go on from the newest whole "
            "checkpoint, or start anew in another folder."
        )
    return str(path)


def put_checkpoint(written: Path, target: Path) -> None:
    """Seal a checkpoint that was written beside, and rename it into place.

    A whole checkpoint of the same step is kept: it holds the same. A damaged one is replaced.
    """
    seal(written)
    if target.exists():
        if damage(target) is None:
            shutil.rmtree(written)
            return
        shutil.rmtree(target)
    written.rename(target)
    _flush(target.parent)


def remove_unfinished(folder: str | Path) -> None:
    """Remove what a stopped run was writing."""
    shutil.rmtree(Path(folder) / SAVING_FOLDER, ignore_errors=True)


def step_of(checkpoint: str | None) -> int:
    """The step that a run goes on from; 0 without a checkpoint."""
    return 0 if checkpoint is None else _step(Path(checkpoint))


def _step(path: Path) -> int:
    match = re.fullmatch(r"checkpoint-(\d+)", path.name)
    return int(match[1]) if match else -1


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST_FILE)


def _flush(path: Path) -> None:
    """Onto the disk: after a power failure a renamed folder must not hold empty files."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # Windows does not open folders
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
