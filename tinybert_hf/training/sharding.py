"""Parameters that are sharded over processes (FSDP2), seen as a whole.

Every process must call these: they gather.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def whole(value: Tensor) -> Tensor:
    """The tensor itself, or all shards of it put together."""
    gather = getattr(value, "full_tensor", None)
    return value if gather is None else gather()


def whole_state(module: nn.Module) -> dict[str, Tensor]:
    """The state of a module, on the CPU."""
    return {name: whole(value.detach()).cpu().contiguous() for name, value in module.state_dict().items()}


@torch.no_grad()
def load_whole_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state that is whole into a module whose parameters may be sharded."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    if any(hasattr(value, "full_tensor") for value in module.state_dict().values()):
        set_model_state_dict(module, dict(state), options=StateDictOptions(full_state_dict=True))
    else:
        module.load_state_dict(state)
