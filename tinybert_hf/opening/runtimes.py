"""The runtimes that exported models run in: each opens a graph and takes and gives arrays by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinybert_hf.opening.extras import require
from tinybert_hf.opening.litert_graph import LitertGraph


class OnnxGraph:
    """A graph in onnxruntime.

    Attributes:
        inputs: names.
        outputs: names.
        shapes: of the inputs; a dimension of any size has a name in the place of its number.
    """

    def __init__(self, file: Path, threads: int | None) -> None:
        """Read and optimise it."""
        runtime = require("onnxruntime", "onnx")
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # warnings tell what it does not fuse
        if threads is not None:
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
        self._session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self.shapes = {one.name: list(one.shape) for one in self._session.get_inputs()}
        self.inputs = list(self.shapes)
        self.outputs = [one.name for one in self._session.get_outputs()]

    def run(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Arrays in, arrays out, by name."""
        return dict(zip(self.outputs, self._session.run(self.outputs, feed), strict=True))


class OpenVinoGraph:
    """A graph in OpenVINO; attributes as of `OnnxGraph`."""

    def __init__(self, file: Path, threads: int | None) -> None:
        """Read and compile it."""
        runtime = require("openvino", "openvino")
        # Where the processor could, it would multiply in bfloat16.
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        self._compiled = runtime.Core().compile_model(str(file), "CPU", options)
        self.shapes = {
            one.get_any_name(): [None if size.is_dynamic else size.get_length() for size in one.partial_shape]
            for one in self._compiled.inputs
        }
        self.inputs = list(self.shapes)
        self.outputs = [one.get_any_name() for one in self._compiled.outputs]

    def run(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Arrays in, arrays out, by name."""
        found = self._compiled(feed)
        return {name: found[name].copy() for name in self.outputs}


RUNTIMES: dict[str, Any] = {"onnxruntime": OnnxGraph, "openvino": OpenVinoGraph, "litert": LitertGraph}
