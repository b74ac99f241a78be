"""Parameters that are sharded over processes (FSDP2), seen as a whole.

Every process must call these: they gather.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tinybert_hf.errors import TinyBertError


@contextmanager
def said_if_tied_apart() -> Iterator[None]:
    """What torch says before the first step of a weight that two modules share, as an error that a user can mend."""
    try:
        yield
    except ValueError as error:
        if "FSDP group" not in str(error):
            raise
        name = next(iter(re.findall(r"Parameter '([^']+)'", str(error))), "a parameter")
        raise TinyBertError(
            f"FSDP2: {name} is one weight of two modules (tied embeddings) that are sharded apart, which torch "
            "refuses. Leave modules with embeddings out of fsdp_transformer_layer_cls_to_wrap, or train without FSDP, "
            "as two processes that each hold the whole model (torchrun, or a file of Accelerate without fsdp)."
        ) from error


def whole(value: Tensor) -> Tensor:
    """The tensor itself, or all shards of it put together."""
    gather = getattr(value, "full_tensor", None)
    return value if gather is None else gather()


def whole_state(module: nn.Module) -> dict[str, Tensor]:
    """The state of a module, on the CPU; of a tensor that has two names, two copies."""
    state = {name: whole(value.detach()).cpu().contiguous() for name, value in module.state_dict().items()}
    known: set[int] = set()
    for name, value in state.items():
        if value.data_ptr() in known:
            state[name] = value.clone()
        known.add(value.data_ptr())
    return state


@torch.no_grad()
def load_whole_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state that is whole into a module whose parameters may be sharded."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    if any(hasattr(value, "full_tensor") for value in module.state_dict().values()):
        set_model_state_dict(module, dict(state), options=StateDictOptions(full_state_dict=True))
    else:
        module.load_state_dict(state)
