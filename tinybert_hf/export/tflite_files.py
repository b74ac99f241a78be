"""TensorFlow Lite (LiteRT), in fp32: traced by litert-torch, in a few fixed lengths that share their weights.

Sizes that change from call to call cannot be converted by litert-torch 0.10.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tinybert_hf.errors import TinyBertError
from tinybert_hf.export.encoder_graph import can_write
from tinybert_hf.export.source import Source
from tinybert_hf.opening import reason_of, require
from tinybert_hf.opening.held_output import held_output

_FILE = "model.tflite"
_SHORTEST, _STEP = 32, 4
_OUTPUTS = ("logits", "start_logits", "end_logits", "last_hidden_state", "pooler_output")


def write_tflite(source: Source, folder: Path) -> dict[str, str]:
    """Write one file for all lengths; what it returns is as for every format: part -> file.

    Raises:
        TinyBertError: the model cannot be converted.
    """
    reason = can_write(source.model)
    if reason is not None:
        raise TinyBertError(f"{source.name} cannot be exported to TensorFlow Lite: {reason}.")
    lengths = lengths_up_to(source.length)
    with held_output() as end_of_output:
        try:
            _convert(_ByName(source.model).eval(), inputs_of(source.model), lengths, folder / _FILE)
        except (TinyBertError, MemoryError):
            raise
        except Exception as error:
            said = end_of_output()
            raise TinyBertError(
                f"litert-torch cannot convert {source.name}: {reason_of(error)}. Export it to onnx: --to onnx."
                + (f" The end of what the converter printed: {said}" if said else "")
            ) from error
    return {"model": _FILE}


def lengths_up_to(longest: int) -> list[int]:
    """The lengths that are converted: 32 and each four times as long, and the longest text.

    Each costs memory: while it runs, LiteRT keeps a copy of the linear maps for every length.

    Args:
        longest: tokens that the model can read.
    """
    found, length = [], _SHORTEST
    while 2 * length <= longest:
        found.append(length)
        length *= _STEP
    return [*found, longest]


def inputs_of(model: Any) -> list[str]:
    """The names of what a model reads."""
    segments = getattr(model.config, "type_vocab_size", 0) > 1
    asked = segments and "token_type_ids" in inspect.signature(model.forward).parameters
    return ["input_ids", "attention_mask", *(["token_type_ids"] if asked else [])]


class _ByName(nn.Module):
    """A model that gives its outputs by name: the file keeps the names."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> dict[str, Tensor]:
        """As the model, with an output of plain tensors."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        output = self.model(**{name: values for name, values in given.items() if values is not None})
        return {name: output[name] for name in _OUTPUTS if output.get(name) is not None}


def _convert(model: nn.Module, names: list[str], lengths: list[int], file: Path) -> None:
    converter = require("litert_torch", "tflite")
    for length in lengths:
        example = {name: torch.ones(1, length, dtype=torch.int32) for name in names}
        converter = converter.signature(f"length_{length}", model, sample_kwargs=example)
    converter.convert().export(str(file))
