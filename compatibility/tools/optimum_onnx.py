"""Optimum: the ORT classes, as if they were models of transformers; a translator as Optimum exports the stock BART.

What it exports is kept for transformers_js.mjs and chromium.mjs, in int8 too, by onnxruntime's own quantization.
"""
# pip: torch==2.13.0 optimum-onnx[onnxruntime]==0.1.0

import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
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
        from optimum.exporters.onnx import main_export
        from transformers import AutoTokenizer

        name = CLASSES[kind]
        folder, how = work / kind / "onnx", f"{name}.from_pretrained(FOLDER)"
        if kind == "translator":
            folder, how = work / kind / "bart-onnx", f"optimum-cli export onnx --model FOLDER OUT, then {name}"
            main_export(str(work / kind / "bart"), folder, task="text2text-generation-with-past", do_validation=False)
        model = getattr(onnxruntime, name).from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)

        def answer(row, model=model, tokenizer=tokenizer, kind=kind):
            batch = tokenizer(row["text"], row.get("pair"), truncation=True, max_length=128, return_tensors="pt")
            with torch.no_grad():
                if kind == "translator":
                    ids = model.generate(**batch, num_beams=1, do_sample=False, max_new_tokens=32)[0]
                    return tokenizer.decode(ids, skip_special_tokens=True)
                return of_output(kind, model(**batch))

        compare(tool, work, kind, answer, how)
        if kind == "translator":
            (folder / "onnx").mkdir(exist_ok=True)
            for file in folder.glob("*.onnx"):
                shutil.copy(file, folder / "onnx")
            for part in ("encoder_model", "decoder_model_merged"):
                # The products of the merged decoder lie in the two branches of an If.
                options = {"per_channel": True, "reduce_range": True, "extra_options": {"EnableSubgraph": True}}
                target = folder / "onnx" / f"{part}_quantized.onnx"
                quantize_dynamic(folder / f"{part}.onnx", target, weight_type=QuantType.QInt8, **options)
    except Exception as error:
        refuse(tool, kind, error)
