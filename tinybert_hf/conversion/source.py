"""The files of a checkpoint that is to be converted: a folder, a weights file, or an id on the Hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening import check_folder, refusing
from tinybert_hf.opening.config_file import check_config_file
from tinybert_hf.opening.json_files import read_object

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_FURTHER = (
    "config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "modules.json",
    "sentence_bert_config.json", "config_sentence_transformers.json", "*/config.json",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A checkpoint on this machine.

    Attributes:
        folder: with config.json and the vocabulary.
        weights: the file of the weights, or the index of several.
        config: what config.json says.
    """

    folder: Path
    weights: Path
    config: dict[str, Any]


def find_source(name_or_path: str | Path, revision: str | None = None) -> Source:
    """The files of a checkpoint, fetched from the Hub where they are not here.

    Args:
        name_or_path: a folder, a weights file that lies beside its config.json, or an id on the Hub.
        revision: of the Hub's repository.

    Raises:
        TinyBertError: no such folder or repository, no config.json, no weights.
    """
    path = Path(name_or_path)
    if path.is_file():
        folder, weights = path.parent, path
    elif path.is_dir():
        folder, weights = path, _weights_in(path)
    else:
        folder = _fetch(str(name_or_path), revision)
        weights = _weights_in(folder)
    file = folder / "config.json"
    if not file.is_file():
        raise TinyBertError(f"{file} is missing: the shape of the model is written there. Put it beside the weights.")
    check_config_file(folder)
    return Source(folder, weights, read_object(file))


def read_weights(source: Source) -> dict[str, Tensor]:
    """All tensors of a checkpoint, on the CPU; a pickle can bring plain tensors only.

    Raises:
        TinyBertError: a file is missing, damaged, or holds something else than named tensors.
    """
    if source.weights.name.endswith(".index.json"):
        names = read_object(source.weights).get("weight_map")
        shards = sorted(set(map(str, names.values()))) if isinstance(names, dict) else []
        if not shards:
            raise TinyBertError(f"{source.weights} names no shard: it is cut off. Copy or download it again.")
        for name in shards:
            if Path(name).name != name or not (source.folder / name).is_file():
                raise TinyBertError(f"{source.weights} names {name!r:.80}, which is no file of that folder.")
        files = [source.folder / name for name in shards]
    else:
        files = [source.weights]
    tensors: dict[str, Tensor] = {}
    for file in files:
        tensors.update(_read(file))
    return tensors


def _weights_in(folder: Path) -> Path:
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    check_folder(folder)
    raise TinyBertError(
        f"{folder} holds no weights: none of {', '.join(_WEIGHTS)} is there. Give the folder or the file of a model."
    )


def _fetch(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    patterns = [*_FURTHER, "*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin", "*.bin.index.json"]
    what = f"{name} is no folder here, and could not be fetched from the Hub"
    try:
        with refusing(what):
            return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except TinyBertError as error:
        if isinstance(error.__cause__, HFValidationError):
            raise TinyBertError(f"{name}: there is no such folder or file.") from None
        raise


def _read(file: Path) -> dict[str, Tensor]:
    import torch
    from safetensors.torch import load_file

    with refusing(f"{file} cannot be read: it is damaged, or holds more than tensors"):
        if file.suffix == ".safetensors":
            return load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    # Training scripts often save the weights below one more name.
    for name in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise TinyBertError(f"{file} does not hold named tensors, so it is no model's weights.")
    return dict(content)
