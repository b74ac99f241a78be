"""SetFit: the encoder as the body of a model that learns from a few texts, saved and opened again.

Its head is of scikit-learn and reads the body's embeddings, so those are compared: the first token's state.
"""
# pip: torch==2.13.0 setfit==1.2.0

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from datasets import Dataset
from row import compare, reference, refuse
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from setfit import SetFitModel, Trainer, TrainingArguments
from sklearn.linear_model import LogisticRegression

work = Path(sys.argv[1])
texts = [row["text"] for row in reference(work, "encoder")[:16]]
few = Dataset.from_dict({"text": texts, "label": [int(len(text) > 60) for text in texts]})
for form in ("bert", "student"):
    tool, trusted = f"SetFit {version('setfit')}, {form}", {"trust_remote_code": True} if form == "student" else {}
    try:
        options = {"config_kwargs": trusted, "model_kwargs": trusted, "processor_kwargs": trusted}
        body = Transformer(str(work / "encoder" / form), **options)
        body = SentenceTransformer(modules=[body, Pooling(312, pooling_mode="cls")])
        model = SetFitModel(model_body=body, model_head=LogisticRegression())
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(f"{folder}/before")
            opened = SetFitModel.from_pretrained(f"{folder}/before", **trusted)
            settings = TrainingArguments(output_dir=folder, max_steps=2, batch_size=8, report_to="none")
            Trainer(model=model, args=settings, train_dataset=few).train()
            model.save_pretrained(f"{folder}/after")
            after = SetFitModel.from_pretrained(f"{folder}/after", **trusted)
            assert list(after.predict(texts)) == list(model.predict(texts))
        compare(tool, work, "encoder", lambda row, opened=opened: np.asarray(opened.model_body.encode(row["text"])),
                "SetFitModel(model_body=SentenceTransformer(modules=[...]), model_head=...)")  # fmt: skip
    except Exception as error:
        refuse(tool, "encoder", error)
