"""OpenVINO's own format, in fp32: made from the ONNX graph, which holds standard operators only."""

from __future__ import annotations

from pathlib import Path

from tinybert_hf.export.onnx_files import write_onnx
from tinybert_hf.export.source import Source
from tinybert_hf.opening import require


def write_openvino(source: Source, folder: Path) -> dict[str, str]:
    """Write an .xml with its .bin for each part; what it returns is as for every format: part -> file."""
    openvino = require("openvino", "openvino")
    files = {}
    for part, name in write_onnx(source, folder).items():
        converted = openvino.convert_model(folder / name)
        files[part] = f"openvino_{part}.xml"
        openvino.save_model(converted, folder / files[part], compress_to_fp16=False)
    for left in (*folder.glob("*.onnx"), *folder.glob("*.onnx.data")):
        left.unlink()
    return files
