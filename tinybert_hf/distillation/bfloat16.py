"""A frozen model's matrix products in bfloat16, on processors that multiply such numbers faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tinybert_hf.distillation.shapes import encoder_shape

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

# Instructions that multiply in bfloat16. Other processors go through fp32, and are slower so than with fp32 itself.
INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
# Below it, casting takes what the products gain (`python benchmarks/teacher_precision.py`).
LEAST_WIDTH = 192


def bfloat16_products(model: nn.Module, wanted: bool | None) -> AbstractContextManager[Any]:
    """A context in which the model's forward multiplies in bfloat16, where that is wanted.

    It is torch's autocast: weights stay as they are, and sums of layers, norms and the hidden states in fp32.

    Args:
        model: without gradient.
        wanted: None: where it is faster, see `multiplies_in_bfloat16`.
    """
    if not multiplies_in_bfloat16(model, wanted):
        return nullcontext()
    return torch.autocast(next(model.parameters()).device.type, torch.bfloat16)


def multiplies_in_bfloat16(model: nn.Module, wanted: bool | None = None) -> bool:
    """Whether a model's forward is to multiply in bfloat16.

    Never for a model whose numbers are not in fp32, nor within another autocast.

    Args:
        model: without gradient.
        wanted: None: on a CPU that has the instructions for it, for encoders at least 192 wide. Not for ALBERT and
            ELECTRA, which begin with a product, so that their hidden states would be in its format; nor for
            translators, with which nothing was measured.
    """
    first = next(model.parameters())
    if wanted is None:
        quick = first.device.type == "cpu" and _is_native() and _gains(model.config)
    else:
        quick = wanted
    return quick and first.dtype == torch.float32 and not torch.is_autocast_enabled(first.device.type)


def _gains(config: PreTrainedConfig) -> bool:
    if getattr(config, "is_encoder_decoder", False) or hasattr(config, "embedding_size"):
        return False
    return encoder_shape(config).width >= LEAST_WIDTH


def _is_native() -> bool:
    """Whether this CPU has the instructions; False where torch is too old to say."""
    ask: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    capabilities = ask()
    return any(capabilities.get(name, False) for name in INSTRUCTIONS)
