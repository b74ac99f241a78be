"""fastembed: an encoder's embeddings, and a regression as a reranker."""
# pip: fastembed==0.9.1 numpy

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from row import compare, refuse

work, tool = Path(sys.argv[1]), f"fastembed {version('fastembed')}"
try:
    folder = work / "encoder" / "onnx"
    (file,) = folder.rglob("*.onnx")
    TextEmbedding.add_custom_model(
        "mine",
        pooling=PoolingType.CLS,
        normalization=False,
        sources=ModelSource(hf="mine"),
        dim=312,
        model_file=str(file.relative_to(folder)),
    )
    model = TextEmbedding("mine", specific_model_path=str(folder))
    compare(tool, work, "encoder", lambda row: np.array(next(iter(model.embed([row["text"]])))),
            "TextEmbedding.add_custom_model(...); TextEmbedding(NAME, specific_model_path=FOLDER)")  # fmt: skip
except Exception as error:
    refuse(tool, "encoder", error)
