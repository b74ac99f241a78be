"""Which model it is, whatever it is called."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

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
    path = Path(folder).expanduser()
    if not path.is_dir():
        return {}
    files = {file for pattern in _KEPT_FILES for file in path.glob(pattern) if file.is_file()}
    return {file.name: _file_content(file) for file in sorted(files)}


def _file_content(file: Path) -> str:
    from tinybert_hf.data.shard_folder import file_digest

    if file.name == "config.json":
        try:
            fields = json.loads(file.read_text(encoding="utf-8"))
            kept = {name: value for name, value in fields.items() if name not in (*_UNIMPORTANT, *_SWITCHES)}
            return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]
        except (OSError, ValueError, AttributeError, RecursionError):
            pass  # whoever opens it says what is wrong with it
    return file_digest(file)[:16]
