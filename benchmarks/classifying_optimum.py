"""The child process of classifying.py: ONNX in sentence-transformers and in the pipeline of transformers, by optimum.

    PYTHON benchmarks/classifying_optimum.py WORK

PYTHON has sentence-transformers and optimum-onnx; tinybert_hf is not imported, for it asks for a transformers that
optimum-onnx 0.1.0 does not run with. WORK holds onnx/ and onnx-int8/, as `export_model` writes them. The first line
written has the ways and the versions; then each line read is a job, {"way", "batch_size", "texts"}, and is answered
with the CPU seconds that it took and the labels of the texts.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")

LENGTH = 128
FP32 = "CrossEncoder, its ONNX backend"
PACKAGES = ("sentence-transformers", "optimum-onnx", "transformers")
Labels = Callable[[list[str], int], Sequence[str]]


def cross_encoder(folder: Path, **more: Any) -> Any:
    """sentence-transformers' `CrossEncoder` of single texts.

    Its `predict` takes pairs, and a list of texts for one pair; here it is told that a text is an input.

    Args:
        folder: of a model.
        **more: for the `CrossEncoder`.
    """
    from sentence_transformers import CrossEncoder

    class OfSingleTexts(CrossEncoder):
        def is_singular_input(self, inputs: Any) -> Any:  # type: ignore[override]
            return isinstance(inputs, str)

    return OfSingleTexts(str(folder), device="cpu", max_length=LENGTH, **more)


def of_cross_encoder(model: Any) -> Labels:
    """Labels of texts, in batches of a size."""
    names: dict[int, str] = model.config.id2label

    def answer(texts: list[str], batch_size: int) -> list[str]:
        scores = model.predict(texts, batch_size=batch_size, show_progress_bar=False)
        return [names[int(number)] for number in scores.argmax(-1)]

    return answer


def in_pipeline(model: Any, tokenizer: Any) -> Labels:
    """Labels of texts, in batches of a size, by the pipeline of transformers.

    Args:
        model: opened, or its folder.
        tokenizer: opened; None: the folder's.
    """
    from transformers import pipeline

    pipe = pipeline(
        "text-classification", model=model, tokenizer=tokenizer, device="cpu", truncation=True, max_length=LENGTH
    )
    return lambda texts, batch_size: [one["label"] for one in pipe(texts, batch_size=batch_size)]


def quantization() -> str:
    """The one that sentence-transformers has for this processor."""
    if platform.machine().lower() in ("aarch64", "arm64"):
        return "arm64"
    file = Path("/proc/cpuinfo")
    flags = file.read_text(encoding="utf-8") if file.exists() else ""
    return "avx512_vnni" if "avx512_vnni" in flags else "avx512" if "avx512f" in flags else "avx2"


def opened(work: Path) -> dict[str, Labels]:
    """Every way that there is here."""
    from sentence_transformers import export_dynamic_quantized_onnx_model
    from transformers import AutoTokenizer

    options = import_module("onnxruntime").SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    folder = Path(shutil.copytree(work / "onnx", work / "optimum"))
    plain = cross_encoder(folder, backend="onnx", model_kwargs={"session_options": options})
    export_dynamic_quantized_onnx_model(plain, quantization(), str(folder), file_suffix="int8")
    chosen = {"session_options": options, "file_name": "onnx/model_int8.onnx"}
    quantized = cross_encoder(folder, backend="onnx", model_kwargs=chosen)
    ours = import_module("optimum.onnxruntime").ORTModelForSequenceClassification.from_pretrained(
        work / "onnx-int8", subfolder="onnx", file_name="model_quantized.onnx", session_options=options
    )
    return {
        FP32: of_cross_encoder(plain),
        f"CrossEncoder, its own int8 ({quantization()})": of_cross_encoder(quantized),
        "pipeline, our onnx-int8 in optimum": in_pipeline(ours, AutoTokenizer.from_pretrained(work / "onnx-int8")),
    }


def main() -> None:
    """Answer each job."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print
    import torch

    torch.set_num_threads(1)
    ways = opened(Path(sys.argv[1]))
    versions = {name: version(name) for name in PACKAGES}
    print(json.dumps({"ways": list(ways), "versions": versions}), file=answers, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        started = time.process_time()
        labels = ways[job["way"]](job["texts"], job["batch_size"])
        print(json.dumps({"seconds": time.process_time() - started, "labels": labels}), file=answers, flush=True)


if __name__ == "__main__":
    main()
