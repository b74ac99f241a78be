#!/usr/bin/env bash
# transformers 5.24.0: models that are opened in two threads at the same time, and every model made afterwards.
#
# Guess:  each `from_pretrained` looks after its own model: threads may open models side by side, as servers do at their
#         start, and what is made later does not know of it.
# Seen:   while one model is opened, `PreTrainedModel.tie_weights` is an empty function for the whole process. The second
#         thread keeps the empty one as if it were the original and puts it back at its end. From then on no model of the
#         process ties its weights, in any thread: a new BART's output layer is a second random matrix, nothing is
#         reported, and it trains and saves one that no embedding follows. (Pull request 44940 of transformers, open,
#         is about half opened models of the same cause; the state that stays behind is not named there.)
# Why it matters: the fault shows in another model, perhaps hours later, as numbers that are wrong.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 transformers==5.24.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from concurrent.futures import ThreadPoolExecutor

import transformers
from transformers import BartConfig, BartForConditionalGeneration, BertConfig, BertModel, PreTrainedModel

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def tied():
    shape = {"vocab_size": 50, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1}
    model = BartForConditionalGeneration(BartConfig(**shape))
    return model.lm_head.weight is model.model.shared.weight


BertModel(BertConfig(vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=2)).save_pretrained("bert")
original, before = PreTrainedModel.tie_weights, tied()
BertModel.from_pretrained("bert")
one_thread = PreTrainedModel.tie_weights is original and tied()
for attempt in range(1, 21):  # two threads meet in the first or second of them
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: BertModel.from_pretrained("bert"), range(8)))
    if PreTrainedModel.tie_weights is not original:
        break
after = tied()
print("transformers", transformers.__version__)
print("a new BART is tied: before", before, "| after opening in one thread", one_thread, "| after two threads", after)
print("pairs of threads it took:", attempt)
assert before and one_thread, "it needs no threads now"
assert not after, "threads leave nothing behind now"
PYTHON
