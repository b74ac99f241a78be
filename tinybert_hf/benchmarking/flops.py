"""How much a forward computes, by its shape: nothing is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def forward_flops(skeleton: PreTrainedModel, batch_size: int, length: int) -> int | None:
    """Floating-point operations of the matrix products of one forward, a multiplication and an addition each one.

    All of them: linear maps, queries times keys, attention times values, pooler and head. Norms, activations, biases,
    the softmax and the look-up of embeddings are no matrix products, are small beside them, and are left out.

    Args:
        skeleton: the model on the device "meta", with plain attention, so that each product shows.
        batch_size: B.
        length: L.

    Returns:
        The number; None where the model needs values, and not shapes alone, to be run.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    ids = torch.zeros(1, length, dtype=torch.long, device="meta")
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            skeleton(input_ids=ids)
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        return None
    return int(batch_size * counter.get_total_flops())
