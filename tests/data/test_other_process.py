"""What must hold in a process of its own: light imports, the same demo rows and vocabulary under any hash seed."""

import hashlib
import json
import os
import subprocess
import sys

from tinybert_hf.data import demo_sentiment, train_translation_tokenizer, train_wordpiece_tokenizer
from tinybert_hf.data.demo_translation import demo_translation

# One process for all of it: starting one means importing torch.
CODE = """
import sys
import tinybert_hf.data
import tinybert_hf.evaluation
heavy = [name for name in ("datasets", "evaluate", "sklearn", "scipy.stats", "onnxruntime") if name in sys.modules]
import hashlib, json
from test_other_process import results
print(json.dumps([heavy, *(hashlib.sha256(json.dumps(value).encode()).hexdigest() for value in results())]))
"""


def results():
    """What must not depend on the process: generated rows, and the ids of trained vocabularies."""
    rows, pairs = demo_sentiment(300, 3), demo_translation(400, 3)
    yield rows
    yield sorted(train_wordpiece_tokenizer([row["text"] for row in rows], vocab_size=250).get_vocab().items())
    yield pairs
    texts = [row["source"] for row in pairs], [row["target"] for row in pairs]
    for target_size in (None, 600):
        trained = train_translation_tokenizer(*texts, vocab_size=700, target_vocab_size=target_size)
        yield trained(texts[0], text_target=texts[1]).data
        yield trained.backend_tokenizer.to_str()


def _digest(value):
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def test_imports_are_light_and_results_are_the_same():
    here = os.path.dirname(__file__)
    environment = {**os.environ, "PYTHONHASHSEED": "123", "PYTHONPATH": here, "TOKENIZERS_PARALLELISM": "true"}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=environment)
    heavy, *digests = json.loads(done.stdout)
    assert heavy == []
    assert digests == [_digest(value) for value in results()]
