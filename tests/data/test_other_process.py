"""What must hold in a process of its own: light imports, the same demo rows and vocabulary under any hash seed."""

import hashlib
import json
import os
import subprocess
import sys

from tinybert_hf.data import demo_sentiment, train_wordpiece_tokenizer

# One process for all of it: starting one means importing torch.
CODE = """
import sys
import tinybert_hf.data
import tinybert_hf.evaluation
heavy = [name for name in ("datasets", "evaluate", "sklearn", "scipy.stats", "onnxruntime") if name in sys.modules]
import hashlib, json
from tinybert_hf.data import demo_sentiment, train_wordpiece_tokenizer
rows = demo_sentiment(300, 3)
vocabulary = train_wordpiece_tokenizer([row["text"] for row in rows], vocab_size=250).get_vocab()
digest = [hashlib.sha256(json.dumps(value).encode()).hexdigest() for value in (rows, sorted(vocabulary.items()))]
print(json.dumps([heavy, *digest]))
"""


def _digest(value):
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def test_imports_are_light_and_results_are_the_same():
    environment = {**os.environ, "PYTHONHASHSEED": "123"}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=environment)
    heavy, rows_digest, vocabulary_digest = json.loads(done.stdout)
    assert heavy == []
    rows = demo_sentiment(300, 3)
    assert rows_digest == _digest(rows)
    vocabulary = train_wordpiece_tokenizer([row["text"] for row in rows], vocab_size=250).get_vocab()
    assert vocabulary_digest == _digest(sorted(vocabulary.items()))
