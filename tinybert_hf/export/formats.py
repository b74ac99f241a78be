"""The formats by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from tinybert_hf.errors import TinyBertError
from tinybert_hf.export.bert_folder import write_bert
from tinybert_hf.export.onnx_files import write_onnx, write_onnx_int8
from tinybert_hf.export.openvino_files import write_openvino
from tinybert_hf.export.source import Source


@dataclass(frozen=True)
class Format:
    """What a model can be exported to.

    Attributes:
        what: for the reader.
        write: puts the files of a model into a folder and returns them: part -> name.
        libraries: that it needs, with the extra that brings each.
        runtime: a name that `open_exported` knows; None: transformers opens it.
        tolerance: how far an output may be from the model's; None: as far as the answers allow.
    """

    what: str
    write: Callable[[Source, Path], dict[str, str]]
    libraries: dict[str, str]
    runtime: str | None
    tolerance: float | None


_EXACT, _STOCK = 1e-3, 1e-5
_ONNX = {"onnx": "onnx", "onnxruntime": "onnx"}
FORMATS = {
    "onnx": Format("ONNX, fp32, standard operators", write_onnx, _ONNX, "onnxruntime", _EXACT),
    "onnx-int8": Format("ONNX, int8, for onnxruntime", write_onnx_int8, _ONNX, "onnxruntime", None),
    "openvino": Format(
        "OpenVINO, fp32", write_openvino, {"onnx": "openvino", "openvino": "openvino"}, "openvino", _EXACT
    ),
    "bert": Format("a stock BERT, for programs that know only that", write_bert, {}, None, _STOCK),
}


_NOT_WRITTEN = {
    "tflite": "TensorFlow Lite is not written here: its converter for torch (litert-torch) asks for versions that do "
    "not go with this package's. Export to bert, and convert that folder in an environment of the converter's own.",
}


def format_named(name: str) -> Format:
    """The format of a name.

    Raises:
        TinyBertError: there is none, with the name that was probably meant, or the reason why it is not written.
    """
    if name in FORMATS:
        return FORMATS[name]
    if name in _NOT_WRITTEN:
        raise TinyBertError(_NOT_WRITTEN[name])
    near = get_close_matches(name.lower(), FORMATS, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise TinyBertError(f"There is no format {name!r:.60}; known are {', '.join(FORMATS)}.{hint}")
