"""A model with fewer word embeddings."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinybert_hf.errors import TinyBertError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def ids_of_settings(model: PreTrainedModel) -> set[int]:
    """Every token id that the configurations name: padding, start, end, ..."""
    found: set[int] = set()
    for settings in _settings_of(model):
        for value in _token_fields(settings).values():
            found |= set(value) if isinstance(value, list) else {value}
    return {index for index in found if 0 <= index < model.config.vocab_size}


def prune_embeddings(model: PreTrainedModel, kept: Sequence[int]) -> PreTrainedModel:
    """The same model with the embeddings of some ids only, and every id in its configurations changed.

    The tensors that depend on the vocabulary are those that have another shape in a model of that many tokens: the
    word embeddings, and of a masked-language model the output matrix and its bias, tied or not.

    Args:
        model: it is not changed.
        kept: old ids, ascending; the place in this list is the new id.

    Returns:
        A model of the same class, on the same device, in the same mode.

    Raises:
        TinyBertError: a tensor has another shape for another reason.
    """
    import torch

    size = model.config.vocab_size
    new_ids = {old: new for new, old in enumerate(kept)}
    config = copy.deepcopy(model.config)
    config.vocab_size = len(kept)
    with torch.random.fork_rng():  # the weights that are drawn here are all replaced
        _renumber(config, new_ids)
        pruned = type(model)(config)
    rows = torch.tensor(kept)
    wanted = pruned.state_dict()
    state = {}
    for name, tensor in model.state_dict().items():
        if tensor.shape != wanted[name].shape:
            if (tensor.shape[0], wanted[name].shape[0]) != (size, len(kept)):
                raise TinyBertError(
                    f"{name} of this {type(model).__name__} depends on the vocabulary in a way that is not known here "
                    f"({tuple(tensor.shape)}); its vocabulary cannot be pruned."
                )
            tensor = tensor[rows.to(tensor.device)]
        state[name] = tensor.detach().clone()
    pruned.load_state_dict(state, strict=True, assign=True)
    pruned.tie_weights()
    if getattr(model, "generation_config", None) is not None:
        pruned.generation_config = copy.deepcopy(model.generation_config)
        _renumber(pruned.generation_config, new_ids)
    pruned.name_or_path = model.name_or_path
    return pruned.to(model.device).train(model.training)


def _settings_of(model: PreTrainedModel) -> list[Any]:
    generation = getattr(model, "generation_config", None)
    return [model.config, *([] if generation is None else [generation])]


def _token_fields(settings: Any) -> dict[str, int | list[int]]:
    found = {}
    for name, value in vars(settings).items():
        ids = value if isinstance(value, list) else [value]
        if name.endswith("_token_id") and ids and all(type(one) is int for one in ids):
            found[name] = value
    return found


def _renumber(settings: Any, new_ids: Mapping[int, int]) -> None:
    """Every token id; one that no token has (BERT's configuration names some in every model) becomes none."""
    for name, value in _token_fields(settings).items():
        new = [new_ids.get(one) for one in value] if isinstance(value, list) else new_ids.get(value)
        setattr(settings, name, new)
