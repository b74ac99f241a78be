#!/usr/bin/env bash
# openvino 2026.4.1: CACHE_DIR, and a model whose files were replaced by another model's.
#
# Guess:  a digest of the weights that stands in the .xml (`set_rt_info`) is enough for another entry of the cache, since
#         the key is made of what the .xml says: the new weights answer at once.
# Seen:   the key holds path, size and time (in whole seconds) of the .xml. Two models of one shape, each with a digest of
#         the same length in its .xml, replaced with the time kept (as `cp -p`, `tar x` or a build with fixed times do):
#         the old weights go on answering. With another time the new ones do.
# Why it matters: a service with CACHE_DIR that is updated by such a copy answers with the model of before, and nothing
#         says so. Give each version of a model a path of its own, or clear the cache.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq openvino==2026.4.1 numpy
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops

FIXED = 1_700_000_000


def save(folder: str, value: float) -> None:
    given = ops.parameter([1, 64], np.float32, name="x")
    weights = np.full((64, 64), value, np.float32)
    constant = ops.constant(weights)
    product = ops.matmul(given, constant, False, False)
    result = ops.result(product)
    for node, name in ((given, "x"), (constant, "w"), (product, "p"), (result, "r")):
        node.set_friendly_name(name)  # a name of its own would be a number that the process counts up
    model = ov.Model([result], [given], "m")
    model.set_rt_info(hashlib.sha256(weights.tobytes()).hexdigest(), ["digest", "sha256"])
    Path(folder).mkdir()
    ov.save_model(model, f"{folder}/m.xml", compress_to_fp16=False)


def answer(time: int) -> float:
    os.utime("live/m.xml", (time, time))
    compiled = ov.Core().compile_model("live/m.xml", "CPU", {"CACHE_DIR": "cache"})
    return float(compiled(np.ones((1, 64), np.float32))[0][0, 0])


save("one", 1.0)
save("two", 2.0)
texts = [Path(name, "m.xml").read_text() for name in ("one", "two")]
assert texts[0] != texts[1] and len(texts[0]) == len(texts[1]), "the digest makes two texts of one size"
shutil.copytree("one", "live")
first = answer(FIXED)
for name in ("m.xml", "m.bin"):
    shutil.copy(f"two/{name}", f"live/{name}")
same_time, later = answer(FIXED), answer(FIXED + 5)
print("openvino", ov.__version__)
print(f"first model {first:g}; second model, the time kept {same_time:g}; second model, a later time {later:g}")
assert (first, later) == (64.0, 128.0)
assert same_time == 64.0, "the new weights answer now, though the time is the old one"
PYTHON
