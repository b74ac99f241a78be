"""Whether the weights of a folder can be those of its configuration; nothing is allocated to find out."""

from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening.folders import WEIGHTS
from tinybert_hf.opening.json_files import read_object
from tinybert_hf.opening.reasons import refusing

_INDEX = "model.safetensors.index.json"
_LFS = b"version https://git-lfs.github.com/spec/"
_ZIP = b"PK\x03\x04"


def check_weights(path: str | Path, config: Any, kind: type[TinyBertError] = TinyBertError) -> None:
    """Refuses weights that cannot be read, and a configuration of a far larger model than the weights are.

    Args:
        path: a folder; an id on the Hub passes.
        config: of the model.
        kind: the error.

    Raises:
        TinyBertError: of that kind.
    """
    folder = Path(path)
    for file in (file for pattern in WEIGHTS for file in sorted(folder.glob(pattern))):
        with file.open("rb") as content:
            if content.read(len(_LFS)) == _LFS:
                raise kind(
                    f"{file} holds no weights: it is a pointer of Git LFS to them. Fetch them with `git lfs pull` in "
                    "the repository, or download the file."
                )
    files = _files(folder, kind)
    if not files:
        for file in sorted(folder.glob("pytorch_model*.bin")):
            _check_pickled(file, kind)
        return
    tensors = weights = 0
    for file in files:
        with refusing(f"{file} cannot be read, it is damaged or no safetensors file", kind):
            counts = _counts(file)
        tensors, weights = tensors + len(counts), weights + sum(counts)
    layers = max((value for value in _depths(config)), default=0)
    if layers > tensors:
        raise kind(
            f"{folder / 'config.json'} describes {layers:,} layers, but {files[0]} holds {tensors:,} tensors in all."
        )
    least = config.least_weights() if hasattr(config, "least_weights") else 0
    if least > weights:
        raise kind(
            f"{folder / 'config.json'} describes a model of at least {least:,} weights, but {files[0]} holds "
            f"{weights:,}. One of the two files is another model's, or damaged."
        )


def _check_pickled(file: Path, kind: type[TinyBertError]) -> None:
    """Refuses a file of torch that is cut off, or in which the weights stand one level down."""
    import torch

    with file.open("rb") as content:
        packed = content.read(len(_ZIP)) == _ZIP
    if not packed:
        return  # of a torch before 1.6, or no such file: transformers reads it whole
    if not is_zipfile(file):
        raise kind(f"{file} is damaged or cut off: the end of the file is missing. Copy or download it again.")
    try:
        content = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    except Exception:  # whatever it is: opening the model raises it again, and says what it means
        return
    if not isinstance(content, dict) or any(isinstance(one, torch.Tensor) for one in content.values()):
        return
    inner = [name for name, one in content.items() if isinstance(one, dict) and _has_tensors(one)]
    if inner:
        raise kind(
            f"{file} is a training checkpoint, with {', '.join(map(str, content))[:120]}, and no file of weights: "
            f"they stand under {inner[0]!r}. Load them into the model, model.load_state_dict(torch.load(FILE)"
            f"[{inner[0]!r}]), and save that with save_pretrained."
        )


def _has_tensors(names: dict[Any, Any]) -> bool:
    import torch

    return any(isinstance(one, torch.Tensor) for one in names.values())


def _files(folder: Path, kind: type[TinyBertError]) -> list[Path]:
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if not (folder / _INDEX).is_file():
        return []
    names = read_object(folder / _INDEX, kind).get("weight_map")
    shards = sorted(set(map(str, names.values()))) if isinstance(names, dict) else []
    for name in shards:
        if Path(name).name != name or not (folder / name).is_file():
            raise kind(f"{folder / _INDEX} names {name!r:.80}, which is no file of that folder.")
    return [folder / name for name in shards]


def _counts(file: Path) -> list[int]:
    from math import prod

    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        return [prod(tensors.get_slice(name).get_shape()) for name in tensors.keys()]  # noqa: SIM118  no mapping


def _depths(config: Any) -> list[int]:
    names = ("num_hidden_layers", "encoder_layers", "decoder_layers", "num_decoder_layers", "n_layers", "num_layers")
    values = [getattr(config, name, None) for name in names]
    return [value for value in values if isinstance(value, int)]
