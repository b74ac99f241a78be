"""The files of a saved model: read with one clear error, compared with what was saved, written whole or not at all."""

import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

from safetensors.torch import save_file
from torch import Tensor

from tinybert_hf.errors import ChangedFilesWarning, OutputFolderError, TinyBertError
from tinybert_hf.messages import does_not_exist
from tinybert_hf.model.manifest_tinybert import MANIFEST_FILE, sha256_of, write_manifest

# What a library raises over a file becomes one error of this package.


@contextmanager
def refusing(what: str, kind: type[TinyBertError] = TinyBertError) -> Iterator[None]:
    """Around the calls of a library that reads files: whatever it raises becomes an error of this package.

    Args:
        what: the beginning of the message; names the files.
        kind: the error.

    Raises:
        TinyBertError: of that kind. A full memory, an interrupt and errors of this package pass as they are.
    """
    try:
        yield
    except (TinyBertError, MemoryError):
        raise
    except BaseException as error:
        # A panic of the Rust libraries (tokenizers, safetensors) is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if type(error).__name__ == "OutOfMemoryError":
            raise
        raise kind(f"{what}: {reason_of(error)}") from error


def _not_only_weights(text: str) -> str:
    """For what torch says of a pickle: it advises to switch the check off, which would let the file run code."""
    found = re.search(r"(?:GLOBAL|global) `?([\w.]+)`?", text)
    held = f" (but also {found[1]})" if found and "." in found[1] else ""
    return (
        f"the pickled file does not hold tensors alone{held}, as weights do: it is damaged, in another format, or "
        "could run code when it is opened. Take the model's safetensors file; or have its maker save it once more "
        "with save_pretrained"
    )


def reason_of(error: BaseException) -> str:
    """The reason of another library's error, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any("weights_only" in line for line in lines):
        return _not_only_weights(str(error))
    if lines and "alidation" in lines[0]:  # errors of @strict configurations tell it in the last line
        return re.sub(r"^\w+Error: ", "", lines[-1])[:400]
    return f"{type(error).__name__}: {' '.join(lines):.400}"


# Reads a JSON file of a saved model before a library does, and refuses what would mislead or exhaust it.

MAX_BYTES = 512 << 20


def read_object(path: Path, kind: type[TinyBertError] = TinyBertError) -> dict[str, Any]:
    """Reads a JSON object.

    Args:
        path: the file.
        kind: the error.

    Raises:
        TinyBertError: of that kind: the file cannot be read, is no JSON object in UTF-8, holds a name twice (of
            which most readers would silently take the last), or is too large or too deeply nested.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise kind(f"{path} has {path.stat().st_size:,} bytes, which is too large for such a file.")
        content = json.loads(path.read_bytes().decode("utf-8"), object_pairs_hook=_without_doubles)
    except OSError as error:
        raise kind(f"{path} cannot be read: {error.strerror or error}.") from error
    except RecursionError as error:
        raise kind(f"{path} is nested too deeply.") from error
    except UnicodeDecodeError as error:
        raise kind(f"{path} is not UTF-8 (byte {error.start}). Save or download it again.") from error
    except ValueError as error:
        if isinstance(error, TinyBertError):
            raise
        raise kind(f"{path} is not valid JSON ({error!s:.200}). Save or download it again.") from error
    if not isinstance(content, dict):
        raise kind(f"{path} holds no JSON object, but {type(content).__name__}.")
    return content


def numbers_in(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number in a value that was read from JSON, with the name of the field that it stands in."""
    waiting: list[tuple[str, Any]] = [(name, value)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend((str(key), item) for key, item in value.items())
        elif isinstance(value, list):
            waiting.extend((name, item) for item in value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield name, value


def in_short(number: float) -> str:
    """A number in a few characters, also an integer that no float can hold."""
    try:
        return f"{number:.6g}"
    except OverflowError:
        return f"a number of {len(str(abs(number)))} digits"


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {double[:60]!r} stands there twice")
    return found


# Whether the files of a saved model are still those that were saved.
#
# Weights that were changed are refused: nobody edits them by hand, and a student with one fallen bit answers like any
# other. A configuration or a tokenizer may be changed on purpose, so those are opened with a notice.

_WEIGHTS = (
    "*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin", "pytorch_model*.bin.index.json",
    "*.onnx", "*.onnx.data", "openvino_*.xml", "openvino_*.bin", "*.tflite",
)  # fmt: skip
_OF_WEIGHTS = (".", "onnx")  # folders; what stands in others is another model's
_SETTINGS = ("*.json", "*.txt", "*.model")
# These would be opened in the place of the ones that were saved.
_FIRST_CHOICE = ("model.safetensors", "model.safetensors.index.json")


def check_manifest(folder: str | Path, kind: type[TinyBertError] = TinyBertError) -> None:
    """Compares the files of a folder with its manifest; a folder without one passes.

    Args:
        folder: of a saved model.
        kind: the error.

    Raises:
        TinyBertError: of that kind: the weights are not those that were saved, or the manifest is damaged.
    """
    place = Path(folder)
    if not (place / MANIFEST_FILE).is_file():
        return
    noted = _read(place / MANIFEST_FILE, kind)
    weights = damaged_weights(place, noted)
    if weights:
        raise kind(
            f"{weights[0]}. The model would answer otherwise than the one that was saved. Copy or download it again; "
            f"if you have changed the weights yourself, delete {place / MANIFEST_FILE}."
        )
    changed = [
        f"{place / name} {fault}"
        for name, entry in noted.items()
        if _is(name, _SETTINGS) and not _is(name, _WEIGHTS) and (fault := file_fault(place / name, entry))
    ]
    if changed:
        warnings.warn(
            f"{'; '.join(changed)}. The model is opened as the folder says now; it may answer otherwise than the one "
            f"that was saved. To keep the change and end this notice, delete {place / MANIFEST_FILE}.",
            ChangedFilesWarning,
            stacklevel=2,
        )


def damaged_weights(folder: Path, noted: dict[str, Any] | None = None) -> list[str]:
    """What is wrong with the weights of a folder, a clause each; empty where they are as they were saved.

    Args:
        folder: of a saved model.
        noted: what its manifest notes; None: to be read.
    """
    if noted is None:
        noted = _read(folder / MANIFEST_FILE, TinyBertError) if (folder / MANIFEST_FILE).is_file() else {}
    found = [
        f"{folder / name} {fault}"
        for name, entry in noted.items()
        if _is(name, _WEIGHTS)
        and Path(name).parent.as_posix() in _OF_WEIGHTS
        and (fault := file_fault(folder / name, entry))
    ]
    if any(_is(name, _WEIGHTS) for name in noted):
        found += [
            f"{folder / name} was put there after the model was saved"
            for name in _FIRST_CHOICE
            if name not in noted and (folder / name).is_file()
        ]
    return found


def verify_manifest(folder: Path) -> str | None:
    """What is wrong with a folder whose manifest has to name every file, in words; None where all are as noted.

    Files that came later (notes of a user, an uploaded card) are no fault.
    """
    if not (folder / MANIFEST_FILE).is_file():
        return f"it has no {MANIFEST_FILE}: it was not written to the end"
    try:
        noted = _read(folder / MANIFEST_FILE, TinyBertError)
    except TinyBertError:
        return f"its {MANIFEST_FILE} is damaged"
    faults = ((name, file_fault(folder / name, entry)) for name, entry in noted.items())
    return next((f"{name}, which its {MANIFEST_FILE} names, {fault}" for name, fault in faults if fault), None)


def file_fault(path: Path, noted: Mapping[str, Any]) -> str | None:
    """What is wrong with a file, as the end of a sentence; None where it is as it was noted.

    Args:
        path: of the file.
        noted: its `sha256` and, where they are known, its `bytes`, which are cheaper to compare.
    """
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size != noted.get("bytes", size):
        return f"has {size:,} bytes instead of {noted['bytes']:,}"
    return None if sha256_of(path) == noted["sha256"] else "was changed after it was saved (another SHA-256)"


def _read(manifest: Path, kind: type[TinyBertError]) -> dict[str, Any]:
    files = read_object(manifest, kind).get("files")
    if not isinstance(files, dict) or not all(_is_entry(entry) for entry in files.values()):
        raise kind(f"{manifest} is damaged. Copy or download it again, or delete it to open the folder unchecked.")
    return files


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("bytes"), int) and isinstance(entry.get("sha256"), str)


def _is(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


# What is written stands in its place whole or not at all: it is written beside, and renamed.

NEW = ".new"  # ends the name of a file that is being written


def write_atomically(path: Path, content: str | bytes | Callable[[IO[bytes]], object]) -> None:
    """Write a file beside its place, onto the disk, and rename: it is the old one or the whole new one.

    Args:
        path: of the file. What is no ordinary file (a pipe, /dev/stdout) is written as it is.
        content: a text is written in UTF-8; a function writes to what it is given.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as handle:
            _write_to(handle, content)
        return
    place = path.resolve()  # a link stays one
    beside = place.with_name(place.name + NEW)
    try:
        with beside.open("wb") as handle:
            _write_to(handle, content)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(beside, place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _write_to(handle: IO[bytes], content: str | bytes | Callable[[IO[bytes]], object]) -> None:
    if callable(content):
        content(handle)
    else:
        handle.write(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """A JSON object as a file, written as `write_atomically` does; what JSON does not know stands there as a text."""
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")


def flush(path: Path) -> None:
    """Onto the disk: after a power failure a folder that was renamed must not hold empty files.

    Args:
        path: of a file, or of a folder, whose list of names is written.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # Windows does not open folders
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def place_folder(written: Path, target: Path, *, replace: bool = False) -> None:
    """Rename a folder that was written beside into its place.

    Args:
        written: on the disk of the target.
        target: absent or empty.
        replace: it may hold something, which goes when the new one stands there, and stays where that fails.

    Raises:
        OSError: the target holds something, and is not to be replaced; or it cannot be renamed.
    """
    if not replace or not target.exists():
        os.replace(written, target)
        return
    old = target.parent / f".{target.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    os.replace(target, old)
    try:
        os.replace(written, target)
    except OSError:
        os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def save_atomically(
    model: Any,
    processing_class: Any,
    target: str | Path,
    further: Mapping[str, Mapping[str, Tensor]] | None = None,
    add: Callable[[Path], None] | None = None,
) -> None:
    """Write model and tokenizer beside `target`, note their SHA-256, and rename.

    Args:
        model: with `save_pretrained`.
        processing_class: the tokenizer, or None; it is saved with settings that fit the model.
        target: a folder that does not exist yet, or is empty.
        further: safetensors files that belong to the model, by name.
        add: puts other files into the folder that it is given.
    """
    from tinybert_hf.checkpoints.tokenizers import save_tokenizer  # which reads and writes by this file

    with made_beside(Path(target)) as beside:
        model.save_pretrained(beside)
        if processing_class is not None:
            save_tokenizer(processing_class, model, beside)
        for name, tensors in (further or {}).items():
            save_file(dict(tensors), beside / name)
        if add is not None:
            add(beside)
        write_manifest(beside)
        place_folder(beside, Path(target))


@contextmanager
def made_beside(target: Path) -> Iterator[Path]:
    """A folder beside `target`, not there yet, for the block to fill and to rename; where that fails, nothing stays.

    Args:
        target: that it is going to be; the folders above it are made where they are not there.
    """
    missing = [folder for folder in target.absolute().parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.parent / f".{target.name}.saving"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        yield beside
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        for folder in missing:
            with suppress(OSError):  # somebody else has put something there
                folder.rmdir()
        raise


def check_writable(target: str | Path) -> Path:
    """Refuse a place where nothing can be written, before minutes are spent.

    Returns:
        The nearest folder that exists.

    Raises:
        OutputFolderError: naming that folder.
    """
    nearest = Path(target).absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not os.access(nearest, os.W_OK):
        raise OutputFolderError(f"output folder {target}: {nearest} is not writable; choose another --output-dir")
    return nearest


# What a place holds that is no saved model, and what makes one of it.

ADAPTER_FILE = "adapter_config.json"
WEIGHTS = ("model*.safetensors", "model.safetensors.index.json", "pytorch_model*.bin", "pytorch_model.bin.index.json")
_WORK = ".run"  # of a run of this package that has not ended
_TRAINING = ".training"  # ends the name of the hidden folder of a fine-tuning that has not ended
_FOR_TASK = {
    "SEQ_CLS": "ForSequenceClassification",
    "TOKEN_CLS": "ForTokenClassification",
    "QUESTION_ANS": "ForQuestionAnswering",
    "SEQ_2_SEQ_LM": "ForSeq2SeqLM",
    "CAUSAL_LM": "ForCausalLM",
    "FEATURE_EXTRACTION": "ForFeatureExtraction",
}
# Kinds of PEFT that add tokens or states, and change no weight that they could be merged into.
_NOT_MERGED = ("PROMPT", "PREFIX", "P_TUNING", "CPT")


def check_folder(path: str | Path, kind: type[TinyBertError] = TinyBertError) -> None:
    """Refuses a place that holds no saved model, and says what it holds. What may be an id on the Hub passes.

    Args:
        path: as the user gave it.
        kind: the error.

    Raises:
        TinyBertError: of that kind: nothing is there; it is a file, a LoRA adapter, a checkpoint of Lightning, a run
            that was stopped, ...; or the folder has no config.json.
    """
    place = Path(path)
    if not place.exists():
        if place.name and (place.parent / f".{place.name}{_TRAINING}").is_dir():
            raise kind(f"{path} is not there yet: {_UNFINISHED}")
        if str(path).startswith((".", "/", "~")) or str(path).count("/") > 1:
            raise kind(f"{does_not_exist(path, folders=True)} Give the folder of a saved model, or an id on the Hub.")
        return  # it may be an id on the Hub
    if place.is_file():
        raise kind(_file(place))
    if (place / ADAPTER_FILE).is_file():
        if not _has_weights(place):
            raise kind(_adapter(place, kind))
        beside = sorted(file.name for file in place.glob("adapter_model.*"))
        if beside:
            raise kind(
                f"{place} holds a model and an adapter to it ({beside[0]}), and it is not clear which of them should "
                f"answer. Merge the two, or, where they are merged, remove {ADAPTER_FILE} and {beside[0]}."
            )
    if not (place / "config.json").is_file():
        raise kind(next(_no_model(place)))


_UNFINISHED = (
    "the run that makes it was stopped, and no model is whole. Give the command of that run once more: it goes on "
    "from its last checkpoint."
)


def _has_weights(place: Path) -> bool:
    return any(any(place.glob(pattern)) for pattern in WEIGHTS)


def _file(place: Path) -> str:
    if place.suffix == ".ckpt":
        return _lightning(place)
    if place.name.startswith("adapter_model") or (place.parent / ADAPTER_FILE).is_file():
        return f"{place} is a file of an adapter. Give its folder, and you are told how to merge it."
    return f"{place} is a file. Give the folder that holds config.json and the weights."


def _lightning(place: Path) -> str:
    return (
        f"{place} is a checkpoint of Lightning: the weights of a training module, under names of its own. Save the "
        "model that the module holds, and give that folder: "
        f"module = YourModule.load_from_checkpoint({str(place)!r}); module.model.save_pretrained('FOLDER'); "
        "tokenizer.save_pretrained('FOLDER'), where .model is what your module calls its transformers model."
    )


def _adapter(place: Path, kind: type[TinyBertError]) -> str:
    said = read_object(place / ADAPTER_FILE, kind)
    sort, base = (
        str(said.get("peft_type") or "").upper(),
        said.get("base_model_name_or_path") or said.get("model_name"),
    )
    what = f"{place} is a {'LoRA ' if sort == 'LORA' else ''}adapter ({ADAPTER_FILE}): it holds the changes to "
    what += f"{base!s:.120} alone, and no model. " if base else "a model alone, and no model. "
    if not sort:
        return f"{what}Merge it into its model with the library that made it, and give the folder of the result."
    if any(one in sort for one in _NOT_MERGED):
        return (
            f"{what}A {sort} cannot be merged into the weights. Give a model that was fine-tuned with LoRA or whole."
        )
    auto = f"AutoPeftModel{_FOR_TASK.get(str(said.get('task_type')), '')}"
    merged = f"{place}-merged"
    return (
        f'{what}Merge the two and give the result: pip install peft; python -c "from peft import {auto} as M; '
        f'M.from_pretrained({str(place)!r}).merge_and_unload().save_pretrained({merged!r})" (with num_labels=N in '
        f"from_pretrained, where the head is new), and save the tokenizer into {merged} too."
    )


def _no_model(place: Path) -> Iterator[str]:
    """What a folder without config.json is, the surest first; the last always answers."""
    within = _transformer_of(place)
    if within is not None:
        yield (
            f"{place} is a model of sentence-transformers in its old layout: its encoder has a folder of its own. "
            f"Give that one: {within}."
        )
    if (place / _WORK).is_dir() or place.name == _WORK:
        yield f"{place} holds no model yet: {_UNFINISHED}"
    checkpoints = sorted(
        (int(found[1]), item.name)
        for item in place.iterdir()
        if (found := re.fullmatch(r"checkpoint-(\d+)", item.name)) and (item / "config.json").is_file()
    )
    if place.name.startswith(".") and place.name.endswith(_TRAINING):
        yield f"{place} is the working folder of a fine-tuning: {_UNFINISHED}"
    if checkpoints:
        yield (
            f"{place} holds the checkpoints of a training, not a model: {_listed([name for _, name in checkpoints])}. "
            f"The newest is {place / checkpoints[-1][1]}; save the best one (trainer.save_model) or give a checkpoint."
        )
    lightning = next((file for pattern in ("*.ckpt", "*/*.ckpt", "*/*/*.ckpt") for file in place.glob(pattern)), None)
    if lightning is not None:
        yield _lightning(lightning)
    if (place / "bert_config.json").is_file():
        yield (
            f"{place} holds a model as Google's TensorFlow code saved it (bert_config.json, bert_model.ckpt.*). "
            "transformers 4 still converts it (convert_bert_original_tf_checkpoint_to_pytorch); give the result."
        )
    inside = sorted(item.name for item in place.iterdir())
    models = [name for name in inside if (place / name / "config.json").is_file()]
    hint = f" Did you mean {place / models[-1]}?" if models else ""
    yield f"{place} is not a checkpoint: it has no config.json. It holds: {_listed(inside) or 'nothing'}.{hint}"


def _transformer_of(place: Path) -> Path | None:
    """Where a folder of sentence-transformers has its encoder; None where it is no such folder."""
    paths = [path for path, module in modules_of(place) if module.endswith(("Transformer", "BERT", "RoBERTa"))]
    paths += [item.name for item in sorted(place.glob("0_*"))]
    return next((place / path for path in paths if path and (place / path / "config.json").is_file()), None)


def modules_of(place: str | Path) -> list[tuple[str, str]]:
    """The parts of a model of sentence-transformers: the folder of each and its class, in order; empty for others.

    Args:
        place: a folder.
    """
    import json

    file = Path(place) / "modules.json"
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    parts = [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []
    return [(str(one.get("path", "")), str(one.get("type", "")).rpartition(".")[2]) for one in parts]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


# Opens the configuration of a saved model.

# transformers makes a table with a line for each label before it looks at anything else.
_MAX_LABELS = 1_000_000
_MAX_SIZE = 10_000_000
_SIZES = ("_size", "_layers", "_heads", "_dim", "d_model", "embeddings", "_positions", "n_embd", "n_layer", "n_head")


def open_config(path: str | Path, kind: type[TinyBertError] = TinyBertError, what: str = "", **fields: Any) -> Any:
    """Opens a configuration; no code of the folder runs.

    Args:
        path: a folder, or an id on the Hub.
        kind: the error.
        what: the beginning of the message, up to the reason.
        **fields: of the configuration, which win over the file's.

    Raises:
        TinyBertError: of that kind: there is no model; config.json cannot be read, or says what cannot be.
    """
    from transformers import AutoConfig

    import tinybert_hf.model  # noqa: F401  # registers the family with the Auto classes

    check_folder(path, kind)
    file = check_config_file(path, kind)
    with refusing(what or f"{file} cannot be used", kind):
        return AutoConfig.from_pretrained(path, trust_remote_code=False, **fields)


def check_config_file(path: str | Path, kind: type[TinyBertError] = TinyBertError) -> Path | str:
    """Refuses a config.json that would exhaust the memory, or fetch code from elsewhere.

    Returns:
        The file, or the id on the Hub, where there is nothing to look at yet.

    Raises:
        TinyBertError: of that kind.
    """
    file = Path(path) / "config.json"
    if not file.is_file():
        return str(path)
    content = read_object(file, kind)
    labels = content.get("num_labels")
    if labels is not None and not _is_count(labels, _MAX_LABELS):
        raise kind(f"{file}: num_labels is {labels!r:.60}; expected a whole number from 1 to {_MAX_LABELS:,}.")
    classes = content.get("architectures")
    if classes is not None and not (isinstance(classes, list) and all(isinstance(one, str) for one in classes)):
        raise kind(f"{file}: architectures is {classes!r:.60}; expected a list of names of classes.")
    for name, number in numbers_in(content):
        if name.endswith(_SIZES) and not abs(number) <= _MAX_SIZE:
            raise kind(f"{file}: {name} is {in_short(number)}, which no model has.")
    for name in ("attn_implementation", "_attn_implementation", "experts_implementation"):
        # "owner/kernel" would be fetched from the Hub and run.
        if name in content and not _is_built_in(content[name]):
            raise kind(f"{file}: {name} is {content[name]!r:.80}; only the implementations of transformers are used.")
    return file


def _is_count(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _is_built_in(name: Any) -> bool:
    return name is None or (isinstance(name, str) and name.replace("_", "").isalnum())
