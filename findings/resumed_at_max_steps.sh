#!/usr/bin/env bash
# transformers 5.24.0, Trainer: a run that is finished, resumed.
#
# Guess:  `max_steps=8` falls within an epoch of 6 steps. Resuming from checkpoint-8 finds nothing left to do: 0 steps.
# Seen:   it takes one step more. The trainer ends at step 9 of 8, and with a constant learning rate the weights of the
#         finished model have changed. Where max_steps falls on an epoch's end, no step is taken.
# Why it matters: a command that is given again "to be sure", or a job that was killed between the last checkpoint and
#         its end, does not end with the model that an uninterrupted run ends with.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 transformers==5.24.0 accelerate==1.15.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import torch, transformers
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed

transformers.logging.set_verbosity_error()
rows = [{"input_ids": [2, 5 + i % 20, 3], "labels": i % 2} for i in range(48)]


def resumed(max_steps, folder):
    def trainer():
        set_seed(0)
        config = BertConfig(vocab_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
        arguments = TrainingArguments(folder, max_steps=max_steps, save_steps=4, per_device_train_batch_size=8,
                                      lr_scheduler_type="constant", use_cpu=True, disable_tqdm=True)
        return Trainer(BertForSequenceClassification(config), arguments, train_dataset=rows)

    first = trainer()
    first.train()
    again = trainer()
    again.train(resume_from_checkpoint=True)
    pairs = zip(first.model.parameters(), again.model.parameters(), strict=True)
    return first.state.global_step, again.state.global_step, all(torch.equal(a, b) for a, b in pairs)


within, at_the_end = resumed(8, "within"), resumed(12, "end")
print("transformers", transformers.__version__)
print("max_steps=8, within an epoch of 6 steps: ended at %d, resumed to %d, same weights: %s" % within)
print("max_steps=12, at an epoch's end:         ended at %d, resumed to %d, same weights: %s" % at_the_end)
assert within == (8, 9, False) and at_the_end == (12, 12, True), "the behaviour has changed"
PYTHON
