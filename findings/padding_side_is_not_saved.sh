#!/usr/bin/env bash
# transformers 5.24.0, tokenizers: the padding side that was set on a tokenizer, after save_pretrained.
#
# Guess:  `tokenizer.padding_side = "left"` is kept by `save_pretrained`, as the chat template and the tokens are: the
#         reopened tokenizer pads left.
# Seen:   the attribute is written only where the folder that the tokenizer was opened from, or the call that opened it,
#         named a side. Set on a tokenizer without one, it is lost: the reopened tokenizer pads right. Given to
#         `from_pretrained`, the same value is kept. The same holds for `truncation_side` and `model_input_names`.
# Why it matters: a student or teacher that was trained and measured with rows padded on one side is shared, and whoever
#         opens it gets batches padded on the other; a head that pools a fixed place then reads padding.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 transformers==5.24.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import transformers
from transformers import AutoTokenizer, BertTokenizer

transformers.logging.set_verbosity_error()
pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "fine", "film"]
BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}).save_pretrained("plain")

settings = {"padding_side": "left", "truncation_side": "left", "model_input_names": ["input_ids", "attention_mask"]}
as_set = AutoTokenizer.from_pretrained("plain")
for name, value in settings.items():
    setattr(as_set, name, value)
as_set.save_pretrained("set")
AutoTokenizer.from_pretrained("plain", **settings).save_pretrained("given")
print("transformers", transformers.__version__)
seen = {}
for folder in ("set", "given"):
    reopened = AutoTokenizer.from_pretrained(folder)
    seen[folder] = {name: getattr(reopened, name) == value for name, value in settings.items()}
    ids = reopened(["a fine film", "film"], padding=True)["input_ids"][1]
    print(f"{folder}: kept {seen[folder]}; the shorter row: {reopened.convert_ids_to_tokens(ids)}")
assert not any(seen["set"].values()), "an attribute is kept now"
assert all(seen["given"].values()), "an option is lost now"
PYTHON
