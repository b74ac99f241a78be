"""tract: the ONNX exports in Sonos' runtime of Rust."""
# pip: tract==0.23.9 tokenizers==0.23.1 numpy

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tract
from row import KINDS, compare, of_arrays, refuse
from tokenizers import Tokenizer

work = Path(sys.argv[1])
for form in ("onnx", "onnx-float16", "onnx-int8"):
    tool = f"tract {version('tract')}, {form}"
    for kind in KINDS[:-1]:
        try:
            (file,) = (work / kind / form).rglob("*.onnx")
            read = tract.onnx().load(file)
            names = [read.input_name(place) for place in range(read.input_count())]
            model = read.into_model().into_runnable()
            tokenizer = Tokenizer.from_file(str(work / kind / form / "tokenizer.json"))
            tokenizer.enable_truncation(128)

            def answer(row, model=model, tokenizer=tokenizer, names=names, kind=kind):
                read = tokenizer.encode(row["text"], row.get("pair"))
                given = {"input_ids": read.ids, "attention_mask": read.attention_mask, "token_type_ids": read.type_ids}
                out = model.run([np.array([given[name]], dtype=np.int64) for name in names])
                return of_arrays(kind, [one.to_numpy() for one in out])

            compare(tool, work, kind, answer, "tract.onnx().load(FILE).into_model().into_runnable()")
        except Exception as error:
            refuse(tool, kind, str(error).strip().splitlines()[0])
