"""Trained models in the formats of other programs, each compared with the model that it was made from."""

from __future__ import annotations

from collections.abc import Sequence
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
        fixed_lengths: it holds a few lengths that texts are filled up to.
        calibrated: its ranges are set by rows that the model reads (`Source.calibration`).
        no_translators: why it holds none, in a sentence or two; None: it holds them.
        layout: formats of one layout can stand in one folder, each with files of its own; None: it stands alone.
    """

    what: str
    writer: str
    libraries: dict[str, str]
    runtime: str | None
    tolerance: float | None
    fixed_lengths: bool = False
    calibrated: bool = False
    no_translators: str | None = None
    layout: str | None = None

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
    "onnx": Format("ONNX, fp32, standard operators", "write_onnx", _ONNX, "onnxruntime", _EXACT, layout="onnx"),
    "onnx-int8": Format("ONNX, int8, for onnxruntime", "write_onnx_int8", _ONNX, "onnxruntime", None, layout="onnx"),
    "openvino": Format(
        "OpenVINO, fp32",
        "write_openvino",
        {"onnx": "openvino", "openvino": "openvino"},
        "openvino",
        _EXACT,
    ),
    "openvino-int8": Format(
        "OpenVINO, int8, calibrated",
        "write_openvino_int8",
        dict.fromkeys(("onnx", "openvino", "nncf"), "openvino-int8"),
        "openvino",
        None,
        calibrated=True,
        no_translators=(
            "Only encoders are calibrated: the ranges within a translator's decoder depend on what it has written so "
            "far. Export it to openvino, or in int8 to onnx-int8."
        ),
    ),
    "tflite": Format(
        "TensorFlow Lite (LiteRT), fp32, in a few fixed lengths",
        "write_tflite",
        {"litert_torch": "tflite", "ai_edge_litert": "tflite"},
        "litert",
        _EXACT,
        fixed_lengths=True,
        no_translators=(
            "What it writes grows token by token, and tflite has fixed lengths only (its converter takes no others). "
            "Export it to onnx or onnx-int8."
        ),
    ),
    "bert": Format("a stock BERT, for programs that know only that", "write_bert", {}, None, _STOCK),
    "bart": Format("a stock BART, of a translator, for programs that know only that", "write_bart", {}, None, _EXACT),
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


def formats_named(names: str | Sequence[str]) -> dict[str, Format]:
    """The formats of one folder by name, in the order in which they were asked for.

    Raises:
        TinyBertError: none is named, there is no such format, or they cannot stand in one folder.
    """
    chosen = {name: format_named(name) for name in ([names] if isinstance(names, str) else names)}
    if not chosen:
        raise TinyBertError(f"Name a format: {', '.join(FORMATS)}.")
    layouts = {one.layout for one in chosen.values()}
    if len(chosen) > 1 and (len(layouts) > 1 or None in layouts):
        shared = [name for name, one in FORMATS.items() if one.layout is not None]
        raise TinyBertError(
            f"{' and '.join(chosen)} cannot stand in one folder; {' and '.join(shared)} can. Export each other "
            "one into its own."
        )
    return chosen
