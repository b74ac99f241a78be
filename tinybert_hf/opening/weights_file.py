"""Whether the weights of a folder can be those of its configuration; nothing is allocated to find out."""

from pathlib import Path
from typing import Any

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening.json_files import read_object
from tinybert_hf.opening.reasons import refusing

_INDEX = "model.safetensors.index.json"


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
    files = _files(folder, kind)
    if not files:
        return  # pytorch_model.bin, which is opened with weights_only=True
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
