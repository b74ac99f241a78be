"""Runs the first layers of an encoder alone, where nobody looks at what comes after them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from tinybert_hf.distillation.bert_parts import encoder_parts
from tinybert_hf.errors import TeacherError


def can_end_early(model: nn.Module) -> bool:
    """Whether a layer's output is its hidden state wherever the model ends.

    True of models that are built like BERT: they have no last norm that would be applied to an earlier layer. A
    compiled model is left whole: it would be compiled anew.
    """
    if model._compiled_call_impl is not None:
        return False
    try:
        encoder_parts(model)
    except TeacherError:
        return False
    return True


@contextmanager
def first_layers(model: nn.Module, count: int) -> Iterator[None]:
    """For the time of a forward the model has its first layers only; its head's answer then means nothing.

    Args:
        model: for which `can_end_early` is true.
        count: layers that run.
    """
    base: Any = getattr(model, str(getattr(model, "base_model_prefix", "")), model)
    encoder = base.transformer if hasattr(base, "transformer") else base.encoder
    whole = encoder.layer
    encoder.layer = nn.ModuleList(list(whole)[:count])
    try:
        yield
    finally:
        encoder.layer = whole
