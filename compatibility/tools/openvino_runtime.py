"""OpenVINO: its own exports; that of fp32 computed in float32 and as OpenVINO chooses."""
# pip: openvino==2026.4.1 tokenizers==0.23.1 numpy

import sys
from importlib.metadata import version
from pathlib import Path

import openvino
from row import KINDS, compare, of_arrays, refuse
from tokenizers import Tokenizer

work, core = Path(sys.argv[1]), openvino.Core()
F32 = {"INFERENCE_PRECISION_HINT": "f32"}
for form, name, settings in (
    ("openvino", "f32", F32), ("openvino", "as it comes", {}), ("openvino-int8", "openvino-int8", F32)
):  # fmt: skip
    tool = f"OpenVINO {version('openvino')}, {name}"
    for kind in KINDS[:-1]:
        try:
            (file,) = (work / kind / form).rglob("*.xml")
            model = core.compile_model(file, "CPU", settings)
            tokenizer = Tokenizer.from_file(str(work / kind / form / "tokenizer.json"))
            tokenizer.enable_truncation(128)
            names = [one.get_any_name() for one in model.inputs]

            def answer(row, model=model, tokenizer=tokenizer, names=names, kind=kind):
                read = tokenizer.encode(row["text"], row.get("pair"))
                given = {"input_ids": read.ids, "attention_mask": read.attention_mask, "token_type_ids": read.type_ids}
                out = model({name: [given[name]] for name in names})
                return of_arrays(kind, out)

            compare(tool, work, kind, answer, 'Core().compile_model(XML, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})')
        except Exception as error:
            refuse(tool, kind, error)
