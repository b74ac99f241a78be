"""Whether the files of a saved model are still those that were saved.

Weights that were changed are refused: nobody edits them by hand, and a student with one fallen bit answers like any
other. A configuration or a tokenizer may be changed on purpose, so those are opened with a notice.
"""

import warnings
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tinybert_hf.errors import ChangedFilesWarning, TinyBertError
from tinybert_hf.model.manifest_tinybert import MANIFEST_FILE, sha256_of
from tinybert_hf.opening.json_files import read_object

_WEIGHTS = (
    "*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin", "pytorch_model*.bin.index.json",
    "*.onnx", "*.onnx.data", "openvino_*.xml", "openvino_*.bin", "*.tflite",
)  # fmt: skip
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
        reason
        for name, entry in noted.items()
        if _is(name, _SETTINGS) and not _is(name, _WEIGHTS) and (reason := _difference(place, name, entry))
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
        reason
        for name, entry in noted.items()
        if _is(name, _WEIGHTS) and "/" not in name and (reason := _difference(folder, name, entry))
    ]
    if any(_is(name, _WEIGHTS) for name in noted):
        found += [
            f"{folder / name} was put there after the model was saved"
            for name in _FIRST_CHOICE
            if name not in noted and (folder / name).is_file()
        ]
    return found


def _read(manifest: Path, kind: type[TinyBertError]) -> dict[str, Any]:
    files = read_object(manifest, kind).get("files")
    if not isinstance(files, dict) or not all(_is_entry(entry) for entry in files.values()):
        raise kind(f"{manifest} is damaged. Copy or download it again, or delete it to open the folder unchecked.")
    return files


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("bytes"), int) and isinstance(entry.get("sha256"), str)


def _is(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _difference(folder: Path, name: str, entry: dict[str, Any]) -> str | None:
    path = folder / name
    if not path.is_file():
        return f"{path} was saved with the model and is missing"
    size = path.stat().st_size
    if size != entry["bytes"]:
        return f"{path} has {size:,} bytes, {entry['bytes']:,} when it was saved"
    return None if sha256_of(path) == entry["sha256"] else f"{path} was changed after it was saved (another SHA-256)"
