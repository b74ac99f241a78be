"""Several ONNX models whose weights stand in one file beside them, the same ones once."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

WEIGHTS_FILE = "model.onnx.data"
_LEAST = 1024  # bytes; a smaller weight stays in its model
_ALIGNED = 64


def write_with_shared_weights(models: dict[str, Any], folder: Path) -> dict[str, str]:
    """Write models and their weights.

    Args:
        models: part -> `onnx.ModelProto`; its weights are moved out.
        folder: that gets PART.onnx and the file of the weights.

    Returns:
        Part -> name of its file.
    """
    places: dict[bytes, int] = {}
    with (folder / WEIGHTS_FILE).open("wb") as handle:
        for model in models.values():
            for tensor in model.graph.initializer:
                if len(tensor.raw_data) < _LEAST:
                    continue
                digest, size = sha256(tensor.raw_data).digest(), len(tensor.raw_data)
                if digest not in places:
                    handle.write(bytes(-handle.tell() % _ALIGNED))
                    places[digest] = handle.tell()
                    handle.write(tensor.raw_data)
                _move_out(tensor, places[digest], size)
    for part, model in models.items():
        (folder / f"{part}.onnx").write_bytes(model.SerializeToString())
    return {part: f"{part}.onnx" for part in models}


def _move_out(tensor: Any, offset: int, size: int) -> None:
    from onnx import TensorProto

    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", WEIGHTS_FILE), ("offset", str(offset)), ("length", str(size))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
