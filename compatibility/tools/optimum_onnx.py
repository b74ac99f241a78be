"""Optimum: the ORT classes, as if they were models of transformers."""
# pip: torch==2.13.0 optimum-onnx[onnxruntime]==0.1.0

import sys
from importlib.metadata import version
from pathlib import Path

import torch
from row import KINDS, compare, of_output, refuse

work, tool = Path(sys.argv[1]), f"optimum-onnx {version('optimum-onnx')}"
CLASSES = {
    "encoder": "ORTModelForFeatureExtraction",
    "classifier": "ORTModelForSequenceClassification",
    "regression": "ORTModelForSequenceClassification",
    "multi-label": "ORTModelForSequenceClassification",
    "words": "ORTModelForTokenClassification",
    "answers": "ORTModelForQuestionAnswering",
    "translator": "ORTModelForSeq2SeqLM",
}
for kind in KINDS:
    try:
        from optimum import onnxruntime
        from transformers import AutoTokenizer

        name = CLASSES[kind]
        folder = work / kind / "onnx"
        model = getattr(onnxruntime, name).from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)

        def answer(row, model=model, tokenizer=tokenizer, kind=kind):
            batch = tokenizer(row["text"], row.get("pair"), truncation=True, max_length=128, return_tensors="pt")
            with torch.no_grad():
                if kind == "translator":
                    ids = model.generate(**batch, num_beams=1, do_sample=False, max_new_tokens=32)[0]
                    return tokenizer.decode(ids, skip_special_tokens=True)
                return of_output(kind, model(**batch))

        compare(tool, work, kind, answer, f"{name}.from_pretrained(FOLDER)")
    except Exception as error:
        refuse(tool, kind, error)
