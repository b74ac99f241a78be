"""The files of a teacher cache: its folder, its shards, and which row is which."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from tinybert_hf.checkpoints.integrity import NEW, file_fault, write_atomically, write_json
from tinybert_hf.distillation.architecture import is_translator
from tinybert_hf.distillation.capturing import model_inputs
from tinybert_hf.errors import DataError, OutputFolderError
from tinybert_hf.model.manifest_tinybert import sha256_of

# A folder of tensors that are written once, shard by shard, and memory-mapped after that.

MANIFEST = "manifest.json"
LOCK = "writing.lock"
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
            write_atomically(file, content)
        except OSError as error:
            raise OutputFolderError(
                f"{file} could not be written: {error.strerror or error}. The shards before it are whole; make room "
                "and start again, and the rest is written."
            ) from error
        noted = {"file": file.name, "bytes": len(content), "sha256": sha256_of(file)}
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
        if shard is None or not (self.path / shard["file"]).is_file():
            return None
        fault = file_fault(self.path / shard["file"], shard)
        if fault is not None:
            raise OutputFolderError(f"{self.path / shard['file']} {fault}. {_REWRITE}")
        return shard

    def _note(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.path / MANIFEST, self.manifest)
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
    others = sorted(inside - {MANIFEST + NEW, LOCK}) if MANIFEST not in inside else []
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


# Which row a batch's rows are: known by their tokens alone, so that no other input can be taken for one of them.

_MADE_FROM_OTHERS = ("attention_mask", "decoder_input_ids", "decoder_attention_mask")
_SLICE = 1000  # rows that are read at once
INSTEAD = "Leave teacher_cache out (in a recipe: `teacher_cache: false`), so that the teacher runs in each step."


@dataclass(frozen=True)
class RowIdentity:
    """What a teacher's answer to a row follows from: 128 bits of all that it reads, and how much of it there is."""

    digest: bytes
    tokens: int
    target_tokens: int


@dataclass(frozen=True)
class RowIndex:
    """The rows of a data set, each one once, in the order in which a cache keeps them: short rows first.

    Attributes:
        names: the inputs that tell rows apart.
        rows: by place, a row of the data set that has this content.
        tokens: by place, real tokens.
        target_tokens: by place, real tokens of the target; 0 without one.
        fingerprint: SHA-256 of the content of all rows, whatever their order.
    """

    names: tuple[str, ...]
    rows: np.ndarray
    tokens: np.ndarray
    target_tokens: np.ndarray
    fingerprint: str
    _sorted: np.ndarray
    _places: np.ndarray

    @classmethod
    def of(cls, dataset: Any, names: tuple[str, ...]) -> RowIndex:
        """Read all rows once.

        Raises:
            DataError: a row whose real tokens do not stand first, or inputs that are no whole numbers.
        """
        first: dict[bytes, tuple[int, int, int]] = {}
        for number, row in enumerate(_rows(dataset, names)):
            one = identity(row, names)
            first.setdefault(one.digest, (one.tokens, one.target_tokens, number))
        order = sorted(first, key=lambda digest: (*first[digest][:2], digest))
        digests = np.array(order, dtype="S16")
        facts = np.array([first[digest] for digest in order], dtype=np.int64).reshape(-1, 3)
        places = np.argsort(digests, kind="stable")
        fingerprint = hashlib.sha256(b"".join(order)).hexdigest()
        return cls(names, facts[:, 2], facts[:, 0], facts[:, 1], fingerprint, digests[places], places)

    def __len__(self) -> int:
        return len(self.rows)

    def places_of(self, batch: Mapping[str, Any]) -> list[int]:
        """The place of each row of a batch, as a collator made it.

        Raises:
            DataError: a row that the data set does not have.
        """
        return self.places_of_rows(batch_identities(batch, self.names))

    def places_of_rows(self, rows: Sequence[RowIdentity]) -> list[int]:
        """The place of each of these rows.

        Raises:
            DataError: a row that the data set does not have.
        """
        digests = [row.digest for row in rows]
        found = np.searchsorted(self._sorted, np.array(digests, dtype="S16")).clip(max=len(self) - 1)
        for number, (digest, spot) in enumerate(zip(digests, found, strict=True)):
            if self._sorted[spot] != np.array(digest, dtype="S16"):
                raise DataError(
                    f"Row {number} of a batch reads otherwise than every row of the training set: the collator or the "
                    "data set changes rows (masking, augmentation) when they are read. A teacher cache holds what the "
                    f"teacher says to the rows as they are. {INSTEAD}"
                )
        return [int(place) for place in self._places[found]]


def identifying_inputs(teacher: nn.Module, batch: Mapping[str, Any], dataset: Any) -> tuple[str, ...]:
    """The columns of the rows that the teacher reads; the labels too where they are a translator's target.

    Args:
        teacher: the model.
        batch: some rows as the collator makes them.
        dataset: the rows.

    Raises:
        DataError: rows without a number, or inputs that only the collator knows.
    """
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise DataError(f"A teacher cache needs a training set whose rows can be counted, not a stream. {INSTEAD}")
    names = [name for name in model_inputs(teacher, batch) if name not in _MADE_FROM_OTHERS]
    if is_translator(teacher):
        names.append("labels")
    row = dataset[0]
    lacking = [name for name in ("input_ids", *names) if name not in row]
    if lacking:
        raise DataError(
            f"The teacher reads {lacking[0]}, which the rows of the training set lack before they are collated, "
            f"so a teacher cache could not tell its rows apart. Tokenise the rows beforehand. {INSTEAD}"
        )
    return tuple(sorted(set(names)))


def batch_identities(batch: Mapping[str, Any], names: Sequence[str]) -> list[RowIdentity]:
    """What the rows of a collated batch read, the padding left out."""
    wanted = [*names, *(["attention_mask"] if batch.get("attention_mask") is not None else [])]
    arrays = {name: _numbers(batch[name]) for name in wanted}
    return [
        identity({name: array[number] for name, array in arrays.items()}, names)
        for number in range(len(arrays["input_ids"]))
    ]


def identity(row: Mapping[str, Any], names: Sequence[str]) -> RowIdentity:
    """What one row reads, the padding left out.

    Raises:
        DataError: the real tokens do not stand first, or an input that is no whole numbers.
    """
    width = len(row["input_ids"])
    mask = row.get("attention_mask")
    tokens = width if mask is None else _leading(np.asarray(mask) != 0)
    digest, target_tokens = hashlib.blake2b(digest_size=16), 0
    for name in names:
        value = np.asarray(row[name])
        if value.dtype.kind not in "iub" and value.size:
            raise DataError(f"{name} holds no whole numbers, so a teacher cache cannot tell rows apart. {INSTEAD}")
        if name == "labels":
            target_tokens = _leading(value != -100)
            value = value[:target_tokens]
        elif value.ndim == 1 and len(value) == width:
            value = value[:tokens]
        digest.update(f"{name} {value.size} ".encode() + value.astype(np.int64).tobytes())
    return RowIdentity(digest.digest(), tokens, target_tokens)


def _leading(real: np.ndarray) -> int:
    count = int(real.sum())
    if not real[:count].all():
        raise DataError(
            "A teacher cache needs rows whose real tokens stand first: where padding stands before them (or among "
            'them), what a model says depends on the other rows of its batch. Set tokenizer.padding_side = "right". '
            f"{INSTEAD}"
        )
    return count


def _rows(dataset: Any, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    columns = getattr(dataset, "column_names", None) or ()
    if "input_ids" not in columns or not hasattr(dataset, "select_columns"):
        yield from (dataset[number] for number in range(len(dataset)))
        return
    kept = [name for name in (*names, "attention_mask") if name in columns]
    chosen = dataset.select_columns(kept)
    for start in range(0, len(chosen), _SLICE):
        part = chosen[start : start + _SLICE]
        for values in zip(*(part[name] for name in kept), strict=True):
            yield dict(zip(kept, values, strict=True))


def _numbers(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
