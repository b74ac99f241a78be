"""Which model it is, whatever it is called."""

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# What differs between two copies of one model, and does not change what it writes.
_UNIMPORTANT = ("_name_or_path", "transformers_version", "architectures", "auto_map", "dtype")


def model_fingerprint(model: "PreTrainedModel", tokenizer: Any) -> str:
    """16 hex digits that change with the weights, the settings or the vocabulary, not with name, place or device."""
    import torch

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
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
