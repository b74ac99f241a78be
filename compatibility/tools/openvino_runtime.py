"""OpenVINO: its own exports; that of fp32 computed in float32 and as OpenVINO chooses. Translators write greedily."""
# pip: openvino==2026.4.1 tokenizers==0.23.1 numpy

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import openvino
from row import KINDS, compare, of_arrays, refuse
from tokenizers import Tokenizer

work, core = Path(sys.argv[1]), openvino.Core()
F32 = {"INFERENCE_PRECISION_HINT": "f32"}
WRITTEN = 32  # tokens, as in reference.json


def translator(folder, settings):
    """What translates a row: two graphs, and the keys and values of what was written so far."""
    encoder, decoder = (
        core.compile_model(folder / f"openvino_{one}.xml", "CPU", settings) for one in ("encoder", "decoder")
    )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(128)
    known = json.loads((folder / "generation_config.json").read_text())
    sizes = {one.get_any_name(): one.partial_shape for one in decoder.inputs if one.get_any_name().startswith("past_")}
    nothing = {
        name: np.zeros((1, size[1].get_length(), 0, size[3].get_length()), "float32") for name, size in sizes.items()
    }

    def answer(row):
        read = tokenizer.encode(row["text"])
        mask = np.array([read.attention_mask])
        memory = encoder({"input_ids": [read.ids], "attention_mask": mask})["memory"]
        written, past = [known["decoder_start_token_id"]], nothing
        while len(written) <= WRITTEN and (len(written) == 1 or written[-1] != known["eos_token_id"]):
            given = {"decoder_input_ids": [written[-1:]], "attention_mask": mask, "memory": memory}
            out = decoder({**given, **past})
            written.append(int(out["logits"][0, -1].argmax()))
            new = {name: out[name.removeprefix("past_")] for name in past}
            past = {name: np.concatenate([past[name], one], axis=2) for name, one in new.items()}
        return tokenizer.decode(written, skip_special_tokens=True)

    return answer


for form, name, settings in (
    ("openvino", "f32", F32), ("openvino", "as it comes", {}), ("openvino-int8", "openvino-int8", F32)
):  # fmt: skip
    tool = f"OpenVINO {version('openvino')}, {name}"
    how = (
        'Core().compile_model(XML, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})'
        if settings
        else "Core().compile_model(XML)"
    )
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

            compare(tool, work, kind, answer, how)
        except Exception as error:
            refuse(tool, kind, error)
    try:
        if form == "openvino":  # openvino-int8 is of encoders
            compare(tool, work, "translator", translator(work / "translator" / form, settings), how)
    except Exception as error:
        refuse(tool, "translator", error)
