"""A folder of tensors that are written once, shard by shard, and memory-mapped after that."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from tinybert_hf.data.shard_folder import file_digest, replace_file
from tinybert_hf.errors import OutputFolderError

MANIFEST = "manifest.json"
LOCK = "writing.lock"
_BESIDE = ".new"
_REWRITE = "Delete it, and it is written again; all other shards are kept."


class CacheFolder:
    """Shards under one key.

    A shard is written beside its place, renamed, and then noted in manifest.json with its SHA-256; a writer that was
    stopped goes on behind the last that is noted.

    Attributes:
        path: the folder.
        manifest: what manifest.json holds: the key, the rows of a shard, and the shards.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        """For `claim` and `open`."""
        self.path = path
        self.manifest = manifest
        self._tensors: dict[int, dict[str, Tensor]] = {}

    @classmethod
    def claim(cls, path: Path, key: Mapping[str, Any], rows: int, shard_rows: int) -> CacheFolder:
        """Make the folder, or go on with one of the same key, its shards checked.

        Args:
            path: the folder.
            key: whatever decides the content.
            rows: of all shards together.
            shard_rows: of one shard, where the folder is new.

        Raises:
            OutputFolderError: another key (naming what differs), a shard that was changed, something else there, or
                the folder cannot be made.
        """
        if (path / MANIFEST).exists():
            folder = cls.open(path, key, rows)
            folder.manifest["shards"] = [folder._checked(shard) for shard in folder.manifest["shards"]]
            return folder
        refuse_other_files(path)
        folder = cls(path, {"key": dict(key), "shard_rows": shard_rows, "shards": [None] * -(-rows // shard_rows)})
        folder._note()
        return folder

    @classmethod
    def open(cls, path: Path, key: Mapping[str, Any], rows: int) -> CacheFolder:
        """Open a folder of this key; its shards are not looked at.

        Raises:
            OutputFolderError: no such folder, a manifest that cannot be read, or another key.
        """
        file = path / MANIFEST
        try:
            manifest = json.loads(file.read_text(encoding="utf-8"))
            there, shards = dict(manifest["key"]), list(manifest["shards"])
            for shard in shards:
                assert shard is None or {"file", "bytes", "sha256"} <= shard.keys()
            refuse_other_key(path, there, key)
            assert len(shards) == -(-rows // int(manifest["shard_rows"])), "another number of shards"
        except OutputFolderError:
            raise
        except (
            OSError,
            ValueError,
            KeyError,
            ZeroDivisionError,
            TypeError,
            AttributeError,
            AssertionError,
            RecursionError,
        ) as error:
            raise OutputFolderError(
                f"{file} cannot be read ({type(error).__name__}: {error}): this is no teacher cache, or it is "
                "damaged. Delete the folder to write it anew, or give another."
            ) from error
        return cls(path, manifest)

    @property
    def shard_rows(self) -> int:
        """Rows of each shard but the last."""
        return int(self.manifest["shard_rows"])

    @property
    def missing(self) -> list[int]:
        """The shards that are still to be written."""
        return [index for index, shard in enumerate(self.manifest["shards"]) if shard is None]

    def write(self, index: int, tensors: dict[str, Tensor]) -> None:
        """Write one shard and note it."""
        file = self.path / f"shard-{index:05d}.safetensors"
        content = save(tensors)
        try:
            replace_file(file, lambda handle: handle.write(content))
        except OSError as error:
            raise OutputFolderError(
                f"{file} could not be written: {error.strerror or error}. The shards before it are whole; make room "
                "and start again, and the rest is written."
            ) from error
        noted = {"file": file.name, "bytes": len(content), "sha256": file_digest(file)}
        self.manifest["shards"][index] = noted
        self._note()

    def read(self, index: int) -> dict[str, Tensor]:
        """The tensors of one shard, memory-mapped.

        Raises:
            OutputFolderError: the shard is not there, or cannot be read.
        """
        if index not in self._tensors:
            file = self.path / self.manifest["shards"][index]["file"]
            try:
                with safe_open(file, framework="pt") as opened:
                    self._tensors[index] = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            except Exception as error:  # safetensors has an error class of its own for a broken header
                raise OutputFolderError(f"{file} cannot be read: {error}. {_REWRITE}") from error
        return self._tensors[index]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tensors": {}}  # each process of a data loader maps the files itself

    def _checked(self, shard: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The shard; None where its file is not there, so that it is written again."""
        file = self.path / shard["file"] if shard is not None else None
        if shard is None or file is None or not file.is_file():
            return None
        size = file.stat().st_size
        if size != shard["bytes"]:
            raise OutputFolderError(f"{file} has {size} bytes instead of {shard['bytes']}. {_REWRITE}")
        if file_digest(file) != shard["sha256"]:
            raise OutputFolderError(f"{file} was changed since it was written (another SHA-256). {_REWRITE}")
        return shard

    def _note(self) -> None:
        text = json.dumps(self.manifest, indent=1) + "\n"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            replace_file(self.path / MANIFEST, lambda handle: handle.write(text.encode()))
        except OSError as error:
            raise OutputFolderError(
                f"teacher_cache {self.path} cannot be written: {error.strerror or error}. Give another folder."
            ) from error


def refuse_other_files(path: Path) -> None:
    """Refuse a folder that holds something else.

    Raises:
        OutputFolderError: naming it.
    """
    inside = {item.name for item in path.iterdir()} if path.is_dir() else set()
    others = sorted(inside - {MANIFEST + _BESIDE, LOCK}) if MANIFEST not in inside else []
    if others or path.is_file():
        what = f"something else ({', '.join(others[:5])})" if others else "a file"
        raise OutputFolderError(
            f"teacher_cache {path} {'holds' if others else 'is'} {what}; nothing was changed there. Give another "
            "folder."
        )


def refuse_other_key(path: Path, there: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Compare the keys.

    Raises:
        OutputFolderError: naming the parts that differ.
    """
    now = json.loads(json.dumps(now))
    differ = [part for part in {**there, **now} if there.get(part) != now.get(part)]
    if differ:
        lines = [f"  {part}: {_short(there.get(part))} there, {_short(now.get(part))} now" for part in differ]
        raise OutputFolderError(
            "\n".join([f"The teacher cache {path} was made from something else:", *lines])
            + "\nGive another folder, or delete this one to write it anew."
        )


def enough_room(path: Path, needed: int) -> bool:
    """Whether the disk of a folder has room for so many bytes."""
    nearest = path.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    return shutil.disk_usage(nearest).free >= needed


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}..." if isinstance(value, str) and len(text) == 64 else text
