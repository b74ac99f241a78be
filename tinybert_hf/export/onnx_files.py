"""ONNX, in fp32 or with linear maps and embeddings in int8."""

from __future__ import annotations

from pathlib import Path

from tinybert_hf.errors import TinyBertError
from tinybert_hf.export.encoder_graph import can_write, encoder_model
from tinybert_hf.export.source import TRANSLATION, Source


def write_onnx(source: Source, folder: Path) -> dict[str, str]:
    """Write a model of standard operators in fp32; what it returns is as for every format: part -> file."""
    return _write(source, folder, int8=False)


def write_onnx_int8(source: Source, folder: Path) -> dict[str, str]:
    """Write a model whose linear maps and embeddings are in int8."""
    return _write(source, folder, int8=True)


def _write(source: Source, folder: Path, *, int8: bool) -> dict[str, str]:
    if source.task == TRANSLATION:
        raise TinyBertError(f"{source.name} is a translator, which cannot be exported yet.")
    reason = can_write(source.model)
    if reason is not None:
        raise TinyBertError(f"{source.name} cannot be exported to ONNX: {reason}.")
    model = encoder_model(source.model, source.task, int8=int8)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return {"model": "model.onnx"}
