"""What a run writes in parts and a killed run can go on with, and which model and rows it was written for."""

import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tinybert_hf.checkpoints.integrity import NEW, file_fault, read_object, write_atomically, write_json
from tinybert_hf.checkpoints.tokenizers import with_accents
from tinybert_hf.errors import DataError, OutputFolderError, TinyBertError
from tinybert_hf.model.manifest_tinybert import sha256_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


# One run a folder: whoever comes second is told who holds it.
#
# The lock is one of the operating system, so that it ends with its process, however that ends; who holds it stands
# beside it. Where a file system has no locks, what stands there is believed as long as that process lives on this
# machine.

LOCK, HOLDER = "writing.lock", "writing.json"
LOCK_FILES = (LOCK, HOLDER)


def is_first_process() -> bool:
    """Whether this is the one of several processes that writes and speaks."""
    return os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True)
class Share:
    """The part of a work that one of several processes does: of its pieces every `of`-th, from the `number`-th on.

    Attributes:
        number: of the process, from 0; the first one puts together what all have written.
        of: how many there are. All see the same folders.
    """

    number: int = 0
    of: int = 1

    @classmethod
    def launched(cls) -> "Share":
        """That of this process under `accelerate launch` or `torchrun`; all of it elsewhere.

        Raises:
            TinyBertError: the variables of the launcher make no sense, as where one was left behind in a shell.
        """
        number, of = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
        if not (number.isdecimal() and of.isdecimal() and int(number) < int(of)):
            raise TinyBertError(
                f"RANK is {number!r} and WORLD_SIZE {of!r}, and no process has that number. A launcher sets both: "
                "torchrun, accelerate launch; without one, unset them."
            )
        return cls(int(number), int(of))

    @property
    def is_first(self) -> bool:
        """Whether this process puts the parts together."""
        return self.number == 0

    def holds(self, piece: int) -> bool:
        """Whether a piece, counted from 0, is this process's."""
        return piece % self.of == self.number


WHOLE = Share()


def wait_until(there: Callable[[], bool]) -> None:
    """Wait for another process; where one ends with an error, the launcher ends all of them.

    Raises:
        OutputFolderError: the launcher was killed, so that nobody does.
    """
    launcher = os.getppid() if "TORCHELASTIC_RUN_ID" in os.environ else None
    while not there():
        if launcher is not None and os.getppid() != launcher:
            raise OutputFolderError(
                "The launcher has ended while this process waited for another one. Give the same command again."
            )
        time.sleep(0.1)


@contextmanager
def held_folder(folder: str | Path, shown: str | None = None) -> Iterator[None]:
    """Hold a folder while the block runs; of several processes of one run the first one does.

    The folder is made where it is not there, and removed again where nothing was put into it.

    Args:
        folder: that is written.
        shown: how a message names it; None: by its path.

    Raises:
        OutputFolderError: another run holds it; the message says which process, where, and since when.
    """
    path = Path(folder)
    if not is_first_process():
        yield
        return
    made = _make(path)
    try:
        lock = _acquire(path, shown or str(path))
        try:
            yield
        finally:
            for name in LOCK_FILES:
                with suppress(OSError):
                    (path / name).unlink()
            if lock is not None:
                lock.release()
    finally:
        for parent in made:
            with suppress(OSError):  # something was written
                parent.rmdir()


def _make(path: Path) -> list[Path]:
    """Make a folder; what was made, the innermost first. What cannot be made is said by whoever writes there."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        missing = [each for each in missing if each.exists()]
    return missing


def _acquire(path: Path, shown: str) -> Any:
    """The lock; None where this file system has none, or nothing can be written."""
    from filelock import FileLock, Timeout

    file, lock = path / LOCK, None
    for _ in range(3):
        lock = FileLock(file, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            holder = _read(path)
            if not _is_gone(holder):
                raise OutputFolderError(_busy(shown, holder)) from None
            # Killed, and a process that it started still has its open files.
            with suppress(OSError):
                file.unlink()
            continue
        except (OSError, NotImplementedError):
            holder = _read(path)
            if holder and holder.get("host") == socket.gethostname() and not _is_gone(holder):
                raise OutputFolderError(_busy(shown, holder)) from None
            lock = None
            break
        if file.exists():
            break
        lock.release()  # of a run that ended right here, and took its file away
    with suppress(OSError):
        (path / HOLDER).write_text(json.dumps(_this_process()), encoding="utf-8")
    return lock


def _busy(shown: str, holder: dict[str, Any]) -> str:
    who = "another run"
    if holder:
        who += f": process {holder.get('pid')} on {holder.get('host')}, since {holder.get('since')}"
    return (
        f"{shown} is being written by {who}. Wait until it has ended and give the same again, or choose another "
        "output folder."
    )


def _this_process() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "started": _started(os.getpid()),
        "namespace": _namespace(),
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        holder = json.loads((path / HOLDER).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _is_gone(holder: dict[str, Any]) -> bool:
    """Whether a holder is known to have ended: a process of this machine that is not there, or not that one."""
    pid = holder.get("pid")
    if not isinstance(pid, int) or pid <= 0 or os.name != "posix":
        return False
    if holder.get("host") != socket.gethostname() or holder.get("namespace") != _namespace():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    started = _started(pid)
    return started is not None and holder.get("started") is not None and started != holder["started"]


def _started(pid: int) -> str | None:
    """When a process began, in the system's own count: numbers of processes are given out again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _namespace() -> str | None:
    """In which world of process numbers this one lives: a container has its own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


# A folder of shards that a run writes one after the other, and that a killed run can go on with.
#
# A shard is written beside its place, renamed, and then noted in manifest.json, which is itself replaced as a whole.
# So a shard is there exactly when the manifest names it with the digest that the file has; all else is written again.
#
# Of several processes the first one alone writes the manifest. Each of the others leaves a note beside every shard of
# its share, which the first one takes into the manifest, in this start or in a later one.

MANIFEST = "manifest.json"
Row = Mapping[str, Any]


class ShardFolder:
    """Shards of one run with its settings.

    Attributes:
        path: the folder.
        manifest: what manifest.json holds: settings, shards in order, whether all are there, and the writer's notes.
        share: of the shards, that this process writes.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], share: Share = WHOLE) -> None:
        """For `claim` and `open_complete`."""
        self.path = path
        self.manifest = manifest
        self.share = share

    @classmethod
    def claim(
        cls, path: Path, settings: Mapping[str, Any], suffix: str, shard_count: int, share: Share = WHOLE
    ) -> "ShardFolder":
        """Makes the folder, or goes on with one that the same settings began.

        Of several processes the first one makes it, and the others wait until it is there.

        Args:
            path: the folder.
            settings: whatever decides the rows; two runs with equal settings write equal rows.
            suffix: of the shards, ".jsonl.gz" or ".parquet".
            shard_count: how many there will be.
            share: of this process.

        Raises:
            OutputFolderError: other settings, something else in the folder, or it cannot be made.
        """
        settings = json.loads(json.dumps(settings))
        if path.exists() and not path.is_dir():
            raise OutputFolderError(f"output folder {path}: a file of that name exists; choose another.")
        if not share.is_first:
            return cls._join(path, settings, share)
        if (path / MANIFEST).exists():
            return cls._go_on(path, settings, share)
        inside = sorted(item.name for item in path.iterdir() if item.name not in LOCK_FILES) if path.is_dir() else []
        if set(inside) - {MANIFEST + NEW}:
            raise OutputFolderError(
                f"output folder {path} holds something else ({', '.join(inside[:5])}); nothing was changed there. "
                "Choose another, or empty it."
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputFolderError(f"output folder {path} cannot be made: {error.strerror}.") from error
        empty = {"settings": settings, "suffix": suffix, "shards": [None] * shard_count, "complete": False}
        folder = cls(path, empty, share)
        folder.note()
        return folder

    @classmethod
    def _go_on(cls, path: Path, settings: Mapping[str, Any], share: Share) -> "ShardFolder":
        """One that is there, with what of it is whole."""
        manifest = read_manifest(path / MANIFEST, OutputFolderError)
        refuse_other_settings(str(path), manifest, settings)
        folder = cls(path, manifest, share)
        manifest["shards"] = [shard if folder._is_whole(shard) else None for shard in manifest["shards"]]
        folder._take_notes()
        manifest["complete"] = manifest["complete"] and not folder.missing
        return folder

    @classmethod
    def _join(cls, path: Path, settings: Mapping[str, Any], share: Share) -> "ShardFolder":
        """That of the first process, which may end, and take the folder away, while it is looked at."""
        wait_until(lambda: (path / MANIFEST).exists() or _has_ended(path))
        with suppress(OutputFolderError):
            folder = cls._go_on(path, settings, share)
            if not _has_ended(path):
                return folder
        if not _has_ended(path):
            return cls._go_on(path, settings, share)  # which says what is wrong
        return cls(path, read_manifest(_note_of(path), OutputFolderError), share)

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

    @property
    def mine(self) -> list[int]:
        """Those of them that are this process's to write."""
        return [index for index in self.missing if self.share.holds(index)]

    def written_by_others(self) -> Iterator[int]:
        """The missing shards of the other processes, each as soon as it is there; for the first process."""
        found: list[int] = []

        def some() -> bool:
            found[:] = self._take_notes()
            return bool(found)

        while self.missing:
            wait_until(some)
            yield from found

    def wait_for_first(self) -> dict[str, Any]:
        """The manifest, once the first process has ended its work."""
        note = _note_of(self.path)
        if note.parent == self.path:
            wait_until(lambda: bool(read_manifest(note, OutputFolderError)["complete"]))
        else:
            wait_until(lambda: _has_ended(self.path))
        return read_manifest(note, OutputFolderError)

    def _take_notes(self) -> list[int]:
        """Take the notes of other processes into the manifest; the shards that they are about."""
        found = []
        for index in self.missing:
            note = self._note_of_shard(index)
            if not note.exists():
                continue
            with suppress(OutputFolderError):  # half a note is none
                entry = read_object(note, OutputFolderError)
                if "file" in entry and self._is_whole(entry):
                    self.manifest["shards"][index] = entry
                    found.append(index)
        if found and self.share.is_first:
            self.note()
            for index in found:
                self._note_of_shard(index).unlink(missing_ok=True)
        return found

    def _note_of_shard(self, index: int) -> Path:
        return self.path / f"shard-{index:05d}.note.json"

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
        write_atomically(file, content)
        entry = {"file": file.name, "rows": len(rows), "sha256": sha256_of(file), **notes}
        self.manifest["shards"][index] = entry
        if self.share.is_first:
            self.note()
        else:
            write_json(self._note_of_shard(index), entry)

    def note(self, **more: Any) -> None:
        """Writes the manifest, with further entries."""
        self.manifest |= more
        write_json(self.path / MANIFEST, self.manifest)

    def _is_whole(self, shard: Mapping[str, Any] | None) -> bool:
        return shard is not None and file_fault(self.path / shard["file"], shard) is None


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
        write_atomically(target, lambda handle: _merge_parquet(files, handle))
        return

    def copy(handle: IO[bytes]) -> None:
        out = gzip.GzipFile("", "wb", 6, handle, mtime=0) if target.suffix == ".gz" else handle
        for file in files:
            with gzip.open(file, "rb") as shard:
                shutil.copyfileobj(shard, out)  # type: ignore[misc]
        if out is not handle:
            out.close()

    write_atomically(target, copy)


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


# One file that is made of shards, which lie beside it until it is whole.

PARTS = ".parts"


def beside(output: Path, ending: str) -> Path:
    """The file or folder of the same name with an ending."""
    return output.with_name(output.name + ending)


def _note_of(parts: Path) -> Path:
    """Where the manifest of a folder of shards ends: beside the file that is made of them, or where it is."""
    if parts.name.endswith(PARTS):
        return parts.with_name(parts.name.removesuffix(PARTS) + "." + MANIFEST)
    return parts / MANIFEST


def _has_ended(parts: Path) -> bool:
    """Whether the file that is made of a folder of shards is there, with its manifest.

    A manifest alone says nothing: its file may have been deleted, to be written again.
    """
    note = _note_of(parts)
    if note.parent == parts or (parts / MANIFEST).exists():
        return False
    return note.exists() and parts.with_name(parts.name.removesuffix(PARTS)).exists()


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


# Which model it is, whatever it is called.

# What differs between two copies of one model, and does not change what it writes.
_UNIMPORTANT = ("_name_or_path", "transformers_version", "architectures", "auto_map", "dtype")
# What a user may switch on the way: it changes what is given out, and no number of it.
_SWITCHES = ("torch_dtype", "use_cache", "return_dict", "output_attentions", "output_hidden_states", "torchscript")
_KEPT_FILES = (
    "*.safetensors",
    "pytorch_model*.bin",
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "tokenizer*.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "vocab*",
    "merges.txt",
    "*.model",
    "*.spm",
    *("*.onnx", "onnx/*.onnx", "*.onnx.data", "openvino_*.xml", "openvino_*.bin", "*.tflite"),
)
_SAMPLES = 4  # numbers of each tensor that are kept to compare it in another number format
_RELATIVE, _ABSOLUTE = 2**-8, 1e-6  # bfloat16 rounds to 2**-9


def model_fingerprint(model: "PreTrainedModel", tokenizer: Any) -> str:
    """16 hex digits that change with the weights, the settings or the vocabulary, not with name, place or device."""
    config = {name: value for name, value in model.config.to_dict().items() if name not in _UNIMPORTANT}
    own = getattr(model, "generation_config", None)  # of models that write text
    generation = {} if own is None else own.to_dict()
    generation = {name: value for name, value in generation.items() if name not in _UNIMPORTANT}
    languages = [getattr(tokenizer, name, None) for name in ("src_lang", "tgt_lang")]
    vocabularies = [tokenizer.get_vocab()]
    if hasattr(tokenizer, "get_target_vocab"):
        vocabularies.append(tokenizer.get_target_vocab())
    described = [type(model).__name__, config, generation, languages, vocabularies]
    digest = hashlib.sha256(json.dumps(described, default=str, sort_keys=True).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor_bytes(tensor))
    return digest.hexdigest()[:16]


def tensor_bytes(value: "Tensor") -> Any:
    """The bytes of a tensor, wherever it lies, for a digest."""
    import torch

    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def configuration_of(model: Any) -> dict[str, Any]:
    """The fields of a model's configuration that decide what it answers, as JSON holds them."""
    fields = model.config.to_dict()
    kept = {name: value for name, value in fields.items() if name not in (*_UNIMPORTANT, *_SWITCHES)}
    found: dict[str, Any] = json.loads(json.dumps(kept, default=str))
    return found


def weights_of(model: Any) -> dict[str, Any]:
    """The weights in a few bytes: a digest, their number format, and some numbers of each tensor.

    Two of them are compared by `same_weights`.
    """
    digest = hashlib.sha256()
    formats, numbers = set(), {}
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} ".encode())
        digest.update(tensor_bytes(value))
        if value.is_floating_point() and value.numel():
            formats.add(str(value.dtype).removeprefix("torch."))
            flat = value.detach().reshape(-1)
            step = max(1, flat.numel() // _SAMPLES)
            numbers[name] = [float(f"{number:.6g}") for number in flat[::step][:_SAMPLES].float().cpu().tolist()]
    return {"sha256": digest.hexdigest(), "format": ", ".join(sorted(formats)), "numbers": numbers}


def same_weights(there: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two results of `weights_of` are of one model, which may be held in another number format."""
    if there["sha256"] == now["sha256"] or there["format"] == now["format"]:
        return bool(there["sha256"] == now["sha256"])
    common = there["numbers"].keys() & now["numbers"].keys()
    pairs = [pair for name in common for pair in zip(there["numbers"][name], now["numbers"][name], strict=False)]
    return bool(pairs) and all(abs(a - b) <= _ABSOLUTE + _RELATIVE * max(abs(a), abs(b)) for a, b in pairs)


def tokens_of(tokenizer: Any) -> dict[str, Any]:
    """All that decides which tokens a tokenizer makes, as JSON holds it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        described = {"class": type(tokenizer).__name__, "vocabulary": sorted(tokenizer.get_vocab().items())}
        if hasattr(tokenizer, "get_target_vocab"):
            described["target vocabulary"] = sorted(tokenizer.get_target_vocab().items())
        return described
    described = json.loads(backend.to_str())
    described.pop("truncation", None)  # set by whoever has called it last
    described.pop("padding", None)
    described["normalizer"] = with_accents(described.get("normalizer"), said=False)
    return described


def tokenizer_digest(tokenizer: Any) -> str | None:
    """16 hex digits that change with the tokens that a tokenizer makes; None where there is no tokenizer."""
    if not hasattr(tokenizer, "get_vocab"):
        return None
    return hashlib.sha256(json.dumps(tokens_of(tokenizer), sort_keys=True).encode()).hexdigest()[:16]


def folder_content(folder: str | Path) -> dict[str, str]:
    """What a folder's model is made of: name of each file of weights, configuration and tokenizer -> its digest.

    Args:
        folder: of a saved model; of anything else, such as an id on the Hub, nothing is known here.
    """
    return {file.name: _file_content(file) for file in _files_of_model(folder)}


def folder_stamps(folder: str | Path) -> dict[str, tuple[int, int]]:
    """The same files with their sizes and times: a cheap look at whether they were written anew."""
    found = {file.name: file.stat() for file in _files_of_model(folder)}
    return {name: (one.st_size, one.st_mtime_ns) for name, one in found.items()}


def _files_of_model(folder: str | Path) -> list[Path]:
    path = Path(folder).expanduser()
    if not path.is_dir():
        return []
    return sorted({file for pattern in _KEPT_FILES for file in path.glob(pattern) if file.is_file()})


def _file_content(file: Path) -> str:

    if file.name == "config.json":
        try:
            fields = json.loads(file.read_text(encoding="utf-8"))
            kept = {name: value for name, value in fields.items() if name not in (*_UNIMPORTANT, *_SWITCHES)}
            return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]
        except (OSError, ValueError, AttributeError, RecursionError):
            pass  # whoever opens it says what is wrong with it
    return sha256_of(file)[:16]
