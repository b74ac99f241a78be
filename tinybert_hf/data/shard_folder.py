"""A folder of shards that a run writes one after the other, and that a killed run can go on with.

A shard is written beside its place, renamed, and then noted in manifest.json, which is itself replaced as a whole. So
a shard is there exactly when the manifest names it with the digest that the file has; all else is written again.
"""

import gzip
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tinybert_hf.data.held_folder import LOCK_FILES
from tinybert_hf.errors import DataError, OutputFolderError

MANIFEST = "manifest.json"
_BESIDE = ".new"
Row = Mapping[str, Any]


class ShardFolder:
    """Shards of one run with its settings.

    Attributes:
        path: the folder.
        manifest: what manifest.json holds: settings, shards in order, whether all are there, and the writer's notes.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        """For `claim` and `open_complete`."""
        self.path = path
        self.manifest = manifest

    @classmethod
    def claim(cls, path: Path, settings: Mapping[str, Any], suffix: str, shard_count: int) -> "ShardFolder":
        """Makes the folder, or goes on with one that the same settings began.

        Args:
            path: the folder.
            settings: whatever decides the rows; two runs with equal settings write equal rows.
            suffix: of the shards, ".jsonl.gz" or ".parquet".
            shard_count: how many there will be.

        Raises:
            OutputFolderError: other settings, something else in the folder, or it cannot be made.
        """
        settings = json.loads(json.dumps(settings))
        if path.exists() and not path.is_dir():
            raise OutputFolderError(f"output folder {path}: a file of that name exists; choose another.")
        if (path / MANIFEST).exists():
            manifest = read_manifest(path / MANIFEST, OutputFolderError)
            refuse_other_settings(str(path), manifest, settings)
            folder = cls(path, manifest)
            manifest["shards"] = [shard if folder._is_whole(shard) else None for shard in manifest["shards"]]
            manifest["complete"] = manifest["complete"] and not folder.missing
            return folder
        inside = sorted(item.name for item in path.iterdir() if item.name not in LOCK_FILES) if path.is_dir() else []
        if set(inside) - {MANIFEST + _BESIDE}:
            raise OutputFolderError(
                f"output folder {path} holds something else ({', '.join(inside[:5])}); nothing was changed there. "
                "Choose another, or empty it."
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputFolderError(f"output folder {path} cannot be made: {error.strerror}.") from error
        folder = cls(path, {"settings": settings, "suffix": suffix, "shards": [None] * shard_count, "complete": False})
        folder.note()
        return folder

    @classmethod
    def open_complete(cls, path: Path) -> "ShardFolder":
        """Opens a folder to read it.

        Raises:
            DataError: no such folder, not written by this package, not complete, or a shard was changed.
        """
        if not (path / MANIFEST).is_file():
            raise DataError(f"{path} holds no {MANIFEST}, so it is no folder of `tinybert pseudo-label`.")
        folder = cls(path, read_manifest(path / MANIFEST, DataError))
        shards = folder.manifest["shards"]
        if not folder.manifest["complete"]:
            there = sum(shard is not None for shard in shards)
            raise DataError(
                f"{path} is not complete: {there} of {len(shards)} shards are there. Give the command that began it "
                "again; it goes on where it stopped."
            )
        broken = [shard["file"] for shard in shards if not folder._is_whole(shard)]
        if broken:
            raise DataError(
                f"{path}: {', '.join(broken[:5])} is missing or was changed since it was written. Give the command "
                "that wrote the folder again; it mends what is broken."
            )
        return folder

    @property
    def missing(self) -> list[int]:
        """The shards that are still to be written."""
        return [index for index, shard in enumerate(self.manifest["shards"]) if shard is None]

    def files(self) -> list[Path]:
        """The shards that hold rows, in order."""
        return [self.path / shard["file"] for shard in self.manifest["shards"] if shard["rows"]]

    def write(self, index: int, rows: Sequence[Row], notes: Mapping[str, Any], *, schema: Any = None) -> None:
        """Writes one shard, then notes it in the manifest.

        Args:
            index: its place.
            rows: all with the same columns; may be none.
            notes: kept beside the shard's name in the manifest.
            schema: types of the columns for Parquet, of pyarrow; None: all are texts.
        """
        file = self.path / f"shard-{index:05d}{self.manifest['suffix']}"
        content = _parquet(rows, schema) if self.manifest["suffix"] == ".parquet" else _json_lines(rows)
        replace_file(file, lambda handle: handle.write(content))
        self.manifest["shards"][index] = {"file": file.name, "rows": len(rows), "sha256": file_digest(file), **notes}
        self.note()

    def note(self, **more: Any) -> None:
        """Writes the manifest, with further entries."""
        self.manifest |= more
        text = json.dumps(self.manifest, indent=1, ensure_ascii=False) + "\n"
        replace_file(self.path / MANIFEST, lambda handle: handle.write(text.encode()))

    def _is_whole(self, shard: Mapping[str, Any] | None) -> bool:
        if shard is None:
            return False
        file = self.path / shard["file"]
        return file.is_file() and file_digest(file) == shard["sha256"]


def read_manifest(path: Path, kind: type[DataError] | type[OutputFolderError]) -> dict[str, Any]:
    """Reads a manifest.

    Raises:
        DataError: or OutputFolderError, as `kind` says: it is not a manifest of this package.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if {"settings", "suffix", "shards", "complete"} <= manifest.keys():
            return dict(manifest)
    except (OSError, ValueError, AttributeError) as error:
        raise kind(f"{path} cannot be read ({error}); delete its folder, or choose another.") from error
    raise kind(f"{path} was not written by this command; choose another folder.")


def refuse_other_settings(name: str, manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Compares the settings of a manifest with those of now.

    Raises:
        OutputFolderError: naming the differences.
    """
    before = manifest["settings"]
    differ = [key for key in {**before, **settings} if before.get(key) != settings.get(key)]
    if differ:
        lines = [f"  {key}: {before.get(key)!r} there, {settings.get(key)!r} now" for key in differ]
        raise OutputFolderError(
            "\n".join([f"{name} was written with other settings:", *lines])
            + "\nChoose another output, delete this one, or give the earlier settings to go on with it."
        )


def merge_shards(files: Iterable[Path], target: Path) -> None:
    """Joins shards to one file, written beside and renamed.

    Args:
        files: shards of one kind, JSON lines or Parquet.
        target: ends in .parquet, .jsonl or .jsonl.gz.
    """
    if target.suffix == ".parquet":
        replace_file(target, lambda handle: _merge_parquet(files, handle))
        return

    def copy(handle: IO[bytes]) -> None:
        out = gzip.GzipFile("", "wb", 6, handle, mtime=0) if target.suffix == ".gz" else handle
        for file in files:
            with gzip.open(file, "rb") as shard:
                shutil.copyfileobj(shard, out)  # type: ignore[misc]
        if out is not handle:
            out.close()

    replace_file(target, copy)


def replace_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Writes beside and renames, so that the file is the old one or the whole new one."""
    beside = path.with_name(path.name + _BESIDE)
    try:
        with beside.open("wb") as handle:
            write(handle)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def replace_text(path: Path, text: str) -> None:
    """As `replace_file`, for a text; what is no ordinary file (a pipe, /dev/stdout) is written as it is."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    replace_file(path.resolve(), lambda handle: handle.write(text.encode()))


def _json_lines(rows: Sequence[Row]) -> bytes:
    lines = "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
    return gzip.compress(lines.encode(), 6, mtime=0)  # no time: equal rows make equal files


def _parquet(rows: Sequence[Row], schema: Any = None) -> bytes:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    buffer = io.BytesIO()
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}
    fields = schema or pyarrow.schema([(name, pyarrow.string()) for name in columns])
    pyarrow.parquet.write_table(pyarrow.table(columns, schema=fields), buffer)
    return buffer.getvalue()


def _merge_parquet(files: Iterable[Path], handle: IO[bytes]) -> None:
    import pyarrow.parquet  # type: ignore[import-untyped]

    writer = None
    for file in files:
        table = pyarrow.parquet.read_table(file)
        writer = writer or pyarrow.parquet.ParquetWriter(handle, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def file_digest(file: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
