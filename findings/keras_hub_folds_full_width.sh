#!/usr/bin/env bash
# keras-hub 0.32.0 (backend torch), transformers 5.24.0: the tokenizer of a lower-case Chinese BERT.
#
# Guess:  `BertTokenizer.from_preset(folder)` gives the ids of transformers, as it does on English texts: `do_lower_case`
#         is read, and Chinese characters are split by both.
# Seen:   keras-hub lowers words by case folding with compatibility forms, which makes the full-width `，` `！` `：` `（`
#         the `,` `!` `:` `(` of ASCII: other tokens, which the vocabulary has as well, so nothing is unknown and nothing
#         says so. 771 of 1,000 Chinese hotel reviews got other ids. `from_preset(folder, lowercase=False)` is a
#         TypeError; `BertTokenizer("vocab.txt", lowercase=False, strip_accents=True)` with `text.lower()` gives the ids
#         of transformers.
# Why it matters: almost every Chinese text has such a sign, and a model that learnt one token for it is given another.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0
"$work/venv/bin/pip" install -qq torch==2.13.0 transformers==5.24.0 keras==3.15.1 kagglehub==1.0.2 regex sentencepiece
"$work/venv/bin/pip" install -qq --no-deps keras-hub==0.32.0 # it asks for TensorFlow, and runs without
cd "$work"
KERAS_BACKEND=torch "$work/venv/bin/python" - <<'PYTHON'
from pathlib import Path

import keras_hub
import numpy as np
import transformers
from transformers import BertConfig, BertModel, BertTokenizer

texts = ["房间很好，服务也不错！", "位置：离地铁站很近（走路五分钟）", "The room was fine, but small!"]
words = ["the", "room", "was", "fine", "but", "small", *",!:()，！：（）", *sorted(set("".join(texts[:2])) - set("，！：（）"))]
pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, do_lower_case=True).save_pretrained("folder")
Path("folder/vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
BertModel(BertConfig(vocab_size=len(pieces), hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
                     intermediate_size=8)).save_pretrained("folder")  # fmt: skip
right = BertTokenizer.from_pretrained("folder")
read = keras_hub.models.BertTokenizer.from_preset("folder")
by_hand = keras_hub.models.BertTokenizer("folder/vocab.txt", lowercase=False, strip_accents=True)
print("keras-hub", keras_hub.__version__, "transformers", transformers.__version__)
same = []
for text in texts:
    expected = right.tokenize(text)
    found, mended = ([pieces[i] for i in np.asarray(ids)] for ids in (read(text), by_hand(text.lower())))
    same.append(found == expected)
    print("transformers", " ".join(expected), "| keras-hub", " ".join(found))
    assert mended == expected, "lowering the text first gives other tokens now"
assert same == [False, False, True], "the tokens of Chinese texts are the same now"
PYTHON
