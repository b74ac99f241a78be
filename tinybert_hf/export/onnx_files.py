"""ONNX, in fp32 or with linear maps and embeddings in int8."""

from __future__ import annotations

from pathlib import Path

from tinybert_hf.errors import TinyBertError
from tinybert_hf.export.encoder_graph import can_write, encoder_model
from tinybert_hf.export.shared_weights import write_with_shared_weights
from tinybert_hf.export.source import TRANSLATION, Source
from tinybert_hf.export.translator_graph import can_write_translator, translator_models


def write_onnx(source: Source, folder: Path) -> dict[str, str]:
    """Write a model of standard operators in fp32; what it returns is as for every format: part -> file."""
    return _write(source, folder, int8=False)


def write_onnx_int8(source: Source, folder: Path) -> dict[str, str]:
    """Write a model whose linear maps and embeddings are in int8."""
    return _write(source, folder, int8=True)


def _write(source: Source, folder: Path, *, int8: bool) -> dict[str, str]:
    translates = source.task == TRANSLATION
    reason = can_write_translator(source.model) if translates else can_write(source.model)
    if reason is not None:
        raise TinyBertError(f"{source.name} cannot be exported to ONNX: {reason}.")
    if translates:
        return write_with_shared_weights(translator_models(source.model, int8=int8), folder)
    model = encoder_model(source.model, source.task, int8=int8)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return {"model": "model.onnx"}
