"""torch.compile for the models that a trainer captures from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn
from transformers import TrainingArguments


@contextmanager
def compiled(models: Sequence[nn.Module], args: TrainingArguments) -> Iterator[None]:
    """Compile the models in place while they train, if `args.torch_compile` asks for it.

    In place, because a wrapper round a model would hide it: queries and keys are taken from the model itself, and
    checkpoints and attributes are its own. Each keeps its class, its parameters and their names.

    Args:
        models: student and teachers.
        args: `torch_compile`, `torch_compile_backend` and `torch_compile_mode` as for every Trainer.
    """
    if not args.torch_compile:
        yield
        return
    for model in models:
        # Batches of text differ in length: what is compiled for one length would be compiled again for the next.
        model.compile(backend=args.torch_compile_backend or "inductor", mode=args.torch_compile_mode, dynamic=True)
    try:
        yield
    finally:
        for model in models:
            model._compiled_call_impl = None
