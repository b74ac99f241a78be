"""Which checkpoints were written to the end."""

from __future__ import annotations

import re
from pathlib import Path

from tinybert_hf.errors import OutputFolderError

COMPLETE_FILE = "complete"


def mark_complete(checkpoint: Path) -> None:
    """Note that everything in a checkpoint's folder has been written; the note is the last thing written."""
    if checkpoint.is_dir():
        (checkpoint / COMPLETE_FILE).write_text("Every file of this checkpoint was written.\n", encoding="utf-8")


def complete_checkpoint(folder: str | Path) -> str | None:
    """The newest complete checkpoint below a folder; None where there is no checkpoint at all.

    Raises:
        OutputFolderError: there are checkpoints, and none is complete.
    """
    found = []
    for path in Path(folder).glob("checkpoint-*"):
        match = re.fullmatch(r"checkpoint-(\d+)", path.name)
        if match and path.is_dir():
            found.append((int(match[1]), path))
    for _, path in sorted(found, reverse=True):
        if (path / COMPLETE_FILE).is_file():
            return str(path)
    if found:
        raise OutputFolderError(
            f"{folder} holds {len(found)} checkpoint(s), none of which was written to the end. Remove the folder "
            "to start anew."
        )
    return None
