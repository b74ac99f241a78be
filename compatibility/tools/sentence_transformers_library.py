"""sentence-transformers: the encoder, its first token as the embedding."""
# pip: torch==2.13.0 sentence-transformers==6.2.0

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from row import compare, refuse
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

work, tool = Path(sys.argv[1]), f"sentence-transformers {version('sentence-transformers')}"
for form in ("bert", "student"):
    name, trusted = f"{tool}, {form}", {"trust_remote_code": True} if form == "student" else {}
    try:
        folder = str(work / "encoder" / form)
        body = Transformer(folder, config_kwargs=trusted, model_kwargs=trusted, processor_kwargs=trusted)
        model = SentenceTransformer(modules=[body, Pooling(312, pooling_mode="cls")])
        compare(name, work, "encoder", lambda row, model=model: np.asarray(model.encode(row["text"])),
                "SentenceTransformer(modules=[Transformer(FOLDER), Pooling(312)])")  # fmt: skip
    except Exception as error:
        refuse(name, "encoder", error)
