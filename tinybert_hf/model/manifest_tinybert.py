"""The record of a saved model: the size and SHA-256 of each file, in manifest.json beside them.

Whoever opens the folder can tell by it whether the weights are still those that were saved: a bit that fell over in
a safetensors file is no error to safetensors. A file of its own, and not a field of config.json or of the weights'
header, because it names every file, can be deleted by whoever changes the folder on purpose, and stays right in any
format.

This file travels with every saved checkpoint, so it imports the standard library only.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MANIFEST_FILE = "manifest.json"
# What the save of a model writes; its tokenizer is saved by another call.
_OF_A_MODEL = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "*.py")


def write_manifest(folder: str | os.PathLike[str], patterns: Iterable[str] = ("*",)) -> None:
    """Note files of a folder as they are now; what was noted of others stays, where they are still there.

    Args:
        folder: With the files.
        patterns: Of the names to note; `**/*` stands for those of all folders below too.
    """
    place = Path(folder)
    manifest = place / MANIFEST_FILE
    noted = {name: entry for name, entry in _noted(manifest).items() if (place / name).is_file()}
    for path in sorted({path for pattern in patterns for path in place.glob(pattern)}):
        if path.is_file() and path != manifest:
            noted[path.relative_to(place).as_posix()] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    beside = place / f"{MANIFEST_FILE}.saving"
    # No newline behind it: cut by a single byte it is no JSON any more.
    beside.write_text(json.dumps({"files": dict(sorted(noted.items()))}, indent=1), encoding="utf-8")
    os.replace(beside, manifest)


def note_model(folder: str | os.PathLike[str]) -> None:
    """Note the files that the save of a model has just written."""
    if os.path.isdir(folder):
        write_manifest(folder, _OF_A_MODEL)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _noted(manifest: Path) -> dict[str, Any]:
    try:
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}  # a new save replaces what cannot be read
    return files if isinstance(files, dict) else {}
