"""Trained models in the formats of other programs, each compared with the model that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tinybert_hf.errors import TinyBertError
from tinybert_hf.lazy_names import lazy_names
from tinybert_hf.messages import did_you_mean

if TYPE_CHECKING:
    from tinybert_hf.conversion.export.exporting import MAX_METRIC_DROP, ExportReport, Parity, export_model
    from tinybert_hf.conversion.export.source import Source


__all__ = ["FORMATS", "MAX_METRIC_DROP", "ExportReport", "Format", "Parity", "export_model"]

# Late, so that the command line can look at a format's name before torch is loaded.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "MAX_METRIC_DROP": "tinybert_hf.conversion.export.exporting",
        "export_model": "tinybert_hf.conversion.export.exporting",
        "Parity": "tinybert_hf.conversion.export.exporting",
        "ExportReport": "tinybert_hf.conversion.export.exporting",
    },
)


# The formats by name.


@dataclass(frozen=True)
class Format:
    """What a model can be exported to.

    Attributes:
        what: for the reader.
        writer: function in `files.py`, which loads what this file must not; see `write`.
        libraries: that it needs, with the extra that brings each.
        runtime: a name that `open_exported` knows; None: transformers opens it.
        tolerance: how far an output may be from the model's; None: as far as the answers allow.
        fixed_lengths: it holds a few lengths that texts are filled up to, and no translators.
    """

    what: str
    writer: str
    libraries: dict[str, str]
    runtime: str | None
    tolerance: float | None
    fixed_lengths: bool = False

    def write(self, source: Source, folder: Path) -> dict[str, str]:
        """Put the files of a model into a folder.

        Args:
            source: the model, opened.
            folder: is there.

        Returns:
            Part of the model -> name of its file.
        """
        files: dict[str, str] = getattr(import_module("tinybert_hf.conversion.export.files"), self.writer)(
            source, folder
        )
        return files


_EXACT, _STOCK = 1e-3, 1e-5
_ONNX = {"onnx": "onnx", "onnxruntime": "onnx"}
FORMATS = {
    "onnx": Format("ONNX, fp32, standard operators", "write_onnx", _ONNX, "onnxruntime", _EXACT),
    "onnx-int8": Format("ONNX, int8, for onnxruntime", "write_onnx_int8", _ONNX, "onnxruntime", None),
    "openvino": Format(
        "OpenVINO, fp32",
        "write_openvino",
        {"onnx": "openvino", "openvino": "openvino"},
        "openvino",
        _EXACT,
    ),
    "tflite": Format(
        "TensorFlow Lite (LiteRT), fp32, in a few fixed lengths",
        "write_tflite",
        {"litert_torch": "tflite", "ai_edge_litert": "tflite"},
        "litert",
        _EXACT,
        fixed_lengths=True,
    ),
    "bert": Format("a stock BERT, for programs that know only that", "write_bert", {}, None, _STOCK),
}


def format_named(name: str) -> Format:
    """The format of a name.

    Raises:
        TinyBertError: there is none, with the name that was probably meant.
    """
    if name in FORMATS:
        return FORMATS[name]
    hint = did_you_mean(name, FORMATS, cutoff=0.4)
    raise TinyBertError(f"There is no format {name!r:.60}; known are {', '.join(FORMATS)}.{hint}")
