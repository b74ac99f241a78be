"""onnxruntime in Python: the fp32 and the int8 graph."""
# pip: onnxruntime==1.32.0 tokenizers==0.23.1 numpy

import sys
from pathlib import Path

import onnxruntime
from row import KINDS, compare, of_arrays, refuse
from tokenizers import Tokenizer

work = Path(sys.argv[1])
for form in ("onnx", "onnx-int8"):
    tool = f"onnxruntime {onnxruntime.__version__}, {form}"
    for kind in KINDS[:-1]:
        try:
            (file,) = (one for one in (work / kind / form).rglob("*.onnx"))
            session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
            tokenizer = Tokenizer.from_file(str(work / kind / form / "tokenizer.json"))
            tokenizer.enable_truncation(128)
            names = [one.name for one in session.get_inputs()]

            def answer(row, session=session, tokenizer=tokenizer, names=names, kind=kind):
                read = tokenizer.encode(row["text"], row.get("pair"))
                given = {"input_ids": read.ids, "attention_mask": read.attention_mask, "token_type_ids": read.type_ids}
                out = session.run(None, {name: [given[name]] for name in names})
                return of_arrays(kind, out)

            compare(tool, work, kind, answer, "onnxruntime.InferenceSession(FILE)")
        except Exception as error:
            refuse(tool, kind, error)
