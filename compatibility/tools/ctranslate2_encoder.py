"""CTranslate2: a stock BERT's encoder."""
# pip: torch==2.13.0 ctranslate2==4.8.5 transformers==4.57.6

import sys
import tempfile
from pathlib import Path

import ctranslate2
import numpy as np
from ctranslate2.converters import TransformersConverter
from row import compare, refuse

work, tool = Path(sys.argv[1]), f"CTranslate2 {ctranslate2.__version__}"
try:
    with tempfile.TemporaryDirectory() as folder:
        TransformersConverter(str(work / "encoder" / "bert")).convert(folder, force=True)
        encoder = ctranslate2.Encoder(folder, device="cpu", compute_type="float32")

        def answer(row):
            out = encoder.forward_batch([row["ids"]])
            return np.array(out.last_hidden_state)[0, 0]

        compare(tool, work, "encoder", answer, "ct2-transformers-converter --model FOLDER --output_dir OUT")
except Exception as error:
    refuse(tool, "encoder", error)
