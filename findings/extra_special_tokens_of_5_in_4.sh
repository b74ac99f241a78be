#!/usr/bin/env bash
# transformers 5.24.0 and 4.57.6: a fast tokenizer with a special token of one's own, saved by the newer, opened by the
# older.
#
# Guess:  the older does not know the class name `TokenizersBackend`; with `tokenizer_class` mended by hand to
#         PreTrainedTokenizerFast it opens, and passes over what it does not know.
# Seen:   it ends with "ImportError: requires the protobuf library", though tokenizer.json is there and nothing has to be
#         converted. The reason is another one: `extra_special_tokens`, which 5.24 writes as a list, is a dictionary to
#         4.57. Under the name `additional_special_tokens` the same list opens in both, with the same ids.
# Why it matters: a tokenizer that was shared from transformers 5 is of no use to services that are still on 4.57, and the
#         message sends their owners after a library that does not help.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for one in 5.24.0 4.57.6; do
    python3 -m venv "$work/$one"
    "$work/$one/bin/pip" install -qq "transformers==$one"
done
cd "$work"
"$work/5.24.0/bin/python" - <<'PYTHON'
import json
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

backend = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "a": 2, "film": 3}, unk_token="[UNK]"))
backend.pre_tokenizer = pre_tokenizers.Whitespace()
own = PreTrainedTokenizerFast(
    tokenizer_object=backend, unk_token="[UNK]", pad_token="[PAD]", extra_special_tokens=["<e1>"]
)
own.save_pretrained("saved")
file = Path("saved/tokenizer_config.json")
config = json.loads(file.read_text())
print("5.24.0 writes", {name: config[name] for name in ("tokenizer_class", "extra_special_tokens")})
config["tokenizer_class"] = "PreTrainedTokenizerFast"
Path("mended").mkdir()
Path("renamed").mkdir()
for folder in ("mended", "renamed"):
    Path(folder, "tokenizer.json").write_text(Path("saved/tokenizer.json").read_text())
    if folder == "renamed":
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    Path(folder, "tokenizer_config.json").write_text(json.dumps(config))
Path("ids.json").write_text(json.dumps(PreTrainedTokenizerFast.from_pretrained("renamed")("a <e1> film")["input_ids"]))
PYTHON
"$work/4.57.6/bin/python" - <<'PYTHON'
import json
from pathlib import Path

import transformers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

ends = {}
for opener in (PreTrainedTokenizerFast, AutoTokenizer):
    for folder in ("mended", "renamed"):
        try:
            said = str(opener.from_pretrained(folder)("a <e1> film")["input_ids"])
        except Exception as error:
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:90]}"
        ends[opener.__name__, folder] = said
        print(transformers.__version__, opener.__name__, folder, said)
assert "requires the protobuf library" in ends["AutoTokenizer", "mended"], "it opens now, or says something else"
assert json.loads(ends["AutoTokenizer", "renamed"]) == json.loads(Path("ids.json").read_text()), "the other name gives other ids now"
PYTHON
