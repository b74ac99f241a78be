"""LiteRT: the TensorFlow Lite export, each text in the shortest of its lengths that holds it."""
# pip: ai-edge-litert==2.3.0 tokenizers==0.23.1 numpy

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from row import KINDS, compare, of_arrays, refuse
from tokenizers import Tokenizer

work, tool = Path(sys.argv[1]), f"LiteRT {version('ai-edge-litert')}"
OUTPUTS = {"encoder": ["last_hidden_state"], "answers": ["start_logits", "end_logits"]}
for kind in KINDS[:-1]:
    try:
        folder = work / kind / "tflite"
        interpreter = Interpreter(str(folder / "model.tflite"), num_threads=1)
        lengths = sorted(int(name.removeprefix("length_")) for name in interpreter.get_signature_list())
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.enable_truncation(128)

        def answer(row, interpreter=interpreter, lengths=lengths, tokenizer=tokenizer, kind=kind):
            read = tokenizer.encode(row["text"], row.get("pair"))
            length = next(one for one in lengths if one >= len(read.ids))
            run = interpreter.get_signature_runner(f"length_{length}")
            given = {"input_ids": read.ids, "attention_mask": read.attention_mask, "token_type_ids": read.type_ids}
            filled = {
                name: np.array([given[name] + [0] * (length - len(read.ids))], dtype=np.int32)
                for name in run.get_input_details()
            }
            out = run(**filled)
            arrays = [out[name] for name in OUTPUTS.get(kind, ["logits"])]
            per_token = kind in ("words", "answers")
            return of_arrays(kind, [one[:, : len(read.ids)] if per_token else one for one in arrays])

        compare(tool, work, kind, answer, 'Interpreter(FILE).get_signature_runner("length_32")')
    except Exception as error:
        refuse(tool, kind, error)
