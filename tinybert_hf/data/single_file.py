"""One file that is made of shards, which lie beside it until it is whole."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinybert_hf.data.shard_folder import MANIFEST, ShardFolder, merge_shards, read_manifest, refuse_other_settings
from tinybert_hf.errors import OutputFolderError

PARTS = ".parts"


def beside(output: Path, ending: str) -> Path:
    """The file or folder of the same name with an ending."""
    return output.with_name(output.name + ending)


def finished_file(output: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The manifest of a file that the same settings have written; None where there is no such file yet.

    Raises:
        OutputFolderError: a folder, a file of somebody else, or of other settings.
    """
    if output.is_dir():
        raise OutputFolderError(f"output {output} is a folder, but its name is that of a file; choose another name.")
    if not output.exists():
        return None
    note = beside(output, "." + MANIFEST)
    if note.exists():
        manifest = read_manifest(note, OutputFolderError)
        refuse_other_settings(str(output), manifest, json.loads(json.dumps(identity)))
        return manifest
    if not (beside(output, PARTS) / MANIFEST).exists():
        raise OutputFolderError(f"output {output} exists and was not written by this command; choose another name.")
    return None  # stopped after the file and before its manifest: the parts make it again


def place_single(folder: ShardFolder, output: Path) -> None:
    """Joins the shards to the file, and leaves their manifest beside it."""
    merge_shards(folder.files(), output)
    os.replace(folder.path / MANIFEST, beside(output, "." + MANIFEST))
    shutil.rmtree(folder.path, ignore_errors=True)


def refuse_unknown_suffix(output: Path, known: Sequence[str]) -> None:
    """Refuses a file of a kind that is not written here.

    Raises:
        OutputFolderError: naming those that are.
    """
    if not output.name.lower().endswith(tuple(known)):
        raise OutputFolderError(
            f"output {output} ends in {output.suffix or 'no suffix'!r}; known are {', '.join(known)}."
        )
