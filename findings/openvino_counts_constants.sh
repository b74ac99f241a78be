#!/usr/bin/env bash
# openvino 2026.4.1, onnx 1.23.2: the same ONNX file converted twice by one process.
#
# Guess:  `convert_model` of the same file gives the same .xml each time.
# Seen:   constants without a name are numbered by a counter of the process, so that the second .xml differs from the
#         first in many lines. Two processes that convert once each give the same bytes.
# Why it matters: a build that converts several models in one process is not reproducible, and a comparison of files by
#         digest finds changes where there are none.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq openvino==2026.4.1 onnx==1.23.2 numpy
cd "$work"
cat > make.py <<'PYTHON'
import sys

import numpy as np
import onnx
import openvino as ov
from onnx import TensorProto, helper, numpy_helper

weights = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
nodes = [
    helper.make_node("MatMul", ["x", "w"], ["y"]),
    helper.make_node("Softmax", ["y"], ["s"], axis=-1),
    helper.make_node("Split", ["s"], ["a", "b"], axis=1, num_outputs=2),
]
outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in "ab"]
graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])], outputs, [weights])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), "m.onnx")
for name in sys.argv[1:]:
    ov.save_model(ov.convert_model("m.onnx"), name, compress_to_fp16=False)
PYTHON
"$work/venv/bin/python" make.py first.xml second.xml
"$work/venv/bin/python" make.py other.xml
"$work/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

first, second, other = (Path(f"{name}.xml").read_text().splitlines() for name in ("first", "second", "other"))
differ = [(a.strip(), b.strip()) for a, b in zip(first, second, strict=True) if a != b]
print("openvino", version("openvino"), "onnx", version("onnx"))
print(f"one process, twice: {len(differ)} of {len(first)} lines differ, such as {differ[0] if differ else None}")
print(f"two processes: {'the same' if first == other else 'different'}")
assert differ, "both are the same now"
assert first == other, "two processes differ now"
PYTHON
