"""CTranslate2: a stock BERT's encoder, and a stock BART of a translator."""
# pip: torch==2.13.0 ctranslate2==4.8.5 transformers==4.57.6

import sys
import tempfile
from pathlib import Path

import ctranslate2
import numpy as np
from ctranslate2.converters import TransformersConverter
from row import compare, refuse
from transformers import AutoTokenizer

work, tool = Path(sys.argv[1]), f"CTranslate2 {ctranslate2.__version__}"
HOW = "ct2-transformers-converter --model FOLDER --output_dir OUT"
for kind, form in (("encoder", "bert"), ("translator", "bart")):
    try:
        with tempfile.TemporaryDirectory() as folder:
            TransformersConverter(str(work / kind / form)).convert(folder, force=True)
            opener = ctranslate2.Encoder if kind == "encoder" else ctranslate2.Translator
            model = opener(folder, device="cpu", compute_type="float32", intra_threads=1)
            tokenizer = AutoTokenizer.from_pretrained(work / kind / form)

            def answer(row, kind=kind, model=model, tokenizer=tokenizer):
                if kind == "encoder":
                    return np.array(model.forward_batch([row["ids"]]).last_hidden_state)[0, 0]
                read = tokenizer(row["text"], truncation=True, max_length=128)["input_ids"]
                options = {"beam_size": 1, "max_decoding_length": 32}
                (found,) = model.translate_batch([tokenizer.convert_ids_to_tokens(read)], **options)
                written = tokenizer.convert_tokens_to_ids(found.hypotheses[0])
                return tokenizer.decode(written, skip_special_tokens=True)

            compare(tool, work, kind, answer, HOW)
    except Exception as error:
        refuse(tool, kind, error)
