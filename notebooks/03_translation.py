# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A translator, distilled
#
# **At the end you have** a small English-to-Chinese translator that learnt from the translations of a larger one, its
# BLEU and chrF beside its teacher's, and both models' translations of the same sentences. **It takes** about two and a
# half minutes on two CPU cores, and needs no network: sentence pairs come from a generator, and the teacher is trained
# on the spot. With sizes this small both models make mistakes that anyone sees; `tinybert distill demo-translation` is
# the same at the sizes of its recipe, which stand in the comments.

# %%
import json
import os
import tempfile
from pathlib import Path

import pandas as pd
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, MarianConfig, MarianMTModel, set_seed

from tinybert_hf import (
    FinetuneSettings,
    Seq2SeqDistillationArguments,
    Seq2SeqDistillationTrainer,
    TinyBertConfig,
    TinyBertForSeq2Seq,
    finetune,
    quiet_libraries,
)
from tinybert_hf.data import TASKS, DataSettings, demo_translation_splits, train_translation_tokenizer
from tinybert_hf.data.pseudo_labels import PseudoLabelSettings, read_pseudo_labels, write_pseudo_labels
from tinybert_hf.evaluation import TranslationEntry, evaluate_translation, measure_translation_costs

quiet_libraries()  # one readable line a log, no progress bars
set_seed(0)
folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)
pd.set_option("display.max_colwidth", None)  # whole sentences

# Small, so that it ends soon.     the recipe demo-translation    a real pair of languages
TRAIN_ROWS, DEV_ROWS = 4000, 100  #  10000, 300                   100,000 and more
TEACHER_EPOCHS = 5  #                4                            Marian, NLLB or mBART, already trained
BEAMS = 2  #                         4                            5
STUDENT_EPOCHS = 5  #                4                            10 to 30

# %% [markdown]
# ## Pairs of sentences
#
# Each row has a source and a target; a file of your own may call them anything (`--source-column en --target-column
# zh`).

# %%
pairs, dev_pairs = demo_translation_splits(TRAIN_ROWS, DEV_ROWS)
Path("pairs.jsonl").write_text(
    "\n".join(json.dumps(row, ensure_ascii=False) for row in pairs) + "\n", encoding="utf-8"
)
pd.DataFrame(pairs[:4])

# %% [markdown]
# ## A teacher
#
# A small Marian model from random weights, with one vocabulary for both languages. A translator from the Hub takes its
# place: `teacher, tokenizer = open_translator("Helsinki-NLP/opus-mt-en-zh")`, from `tinybert_hf.evaluation`; its
# tokenizer needs `pip install "tinybert_hf[translation]"`.

# %%
settings = DataSettings(train_file="pairs.jsonl", max_length=48)
task = TASKS["translation"]
references = task.load(settings, need_validation=False).train
tokenizer = train_translation_tokenizer(references["source"], references["target"], vocab_size=2000, max_length=64)
tokens = {
    "vocab_size": len(tokenizer),
    "pad_token_id": tokenizer.pad_token_id,
    "eos_token_id": tokenizer.eos_token_id,
    "decoder_start_token_id": tokenizer.pad_token_id,
}
teacher = MarianMTModel(
    MarianConfig(
        **tokens,
        forced_eos_token_id=None,
        d_model=96,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=256,
        decoder_ffn_dim=256,
        max_position_embeddings=64,
        scale_embedding=True,
        dropout=0.05,
        init_std=0.1,
    )
)

# %%
# disable_tqdm=False: the switch of transformers between its progress display (here: readable lines) and raw dictionaries
screen = {"disable_tqdm": False, "report_to": [], "logging_steps": 0.25, "save_strategy": "no"}
_ = finetune(
    teacher,
    FinetuneSettings(epochs=TEACHER_EPOCHS, learning_rate=3e-3, batch_size=32),
    output_dir="teacher",
    train_dataset=task.tokenize(references, tokenizer, settings),
    processing_class=tokenizer,
    training_arguments=screen,
)
# %% [markdown]
# ## What the teacher writes
#
# Sequence-level distillation: the teacher translates the training sources with a beam search, and its translations,
# not the references, are what the student learns from. On text that people wrote they are simpler and more
# regular than the references; here the references come from a grammar, and most of them agree.
# Translations of an odd length and ones that repeat themselves are left out, and counted. A call that was stopped goes on
# where it was.

# %%
report = write_pseudo_labels(
    teacher,
    tokenizer,
    PseudoLabelSettings("pairs.jsonl", target_column="target", num_beams=BEAMS),
    "pseudo",
    batch_size=64,
)
print(f"{report.rows_written} of {report.rows_read} rows are fit to learn from; left out: {report.filtered or 'none'}")

pseudo = read_pseudo_labels("pseudo")
reference_of = {row["source"]: row["target"] for row in pairs}
shown = pseudo.select(range(4)).to_pandas().rename(columns={"target": "the teacher's"})
shown.assign(reference=shown["source"].map(reference_of))

# %% [markdown]
# ## The student
#
# Half the decoder, narrower throughout. `label_loss` learns what the teacher wrote; `prediction_loss` learns how sure it
# was of each token. Losses between layers (`phase="joint"`: attention, decoder attention, cross-attention, hidden
# states) can be added with weights of their own.

# %%
set_seed(0)
student = TinyBertForSeq2Seq(
    TinyBertConfig.from_preset(
        "seq2seq-3-1-128d",
        **tokens,
        num_hidden_layers=2,
        hidden_size=64,
        intermediate_size=128,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.1,
    )
)
trainer = Seq2SeqDistillationTrainer(
    student,
    teacher,
    Seq2SeqDistillationArguments(
        "work",
        phase="prediction",
        label_loss_weight=1.0,
        num_train_epochs=STUDENT_EPOCHS,
        learning_rate=3e-3,
        per_device_train_batch_size=32,
        warmup_steps=0.1,
        **screen,
    ),
    train_dataset=task.tokenize(pseudo, tokenizer, settings),
    processing_class=tokenizer,
)
trainer.train()
trainer.save_model("out")

# %% [markdown]
# ## How good, and how fast
#
# BLEU and chrF count what a translation shares with its reference; 100 is the same text. The speeds are measured side by
# side, on the same sentences.

# %%
sources, targets = [row["source"] for row in dev_pairs], [row["target"] for row in dev_pairs]
scores = {
    who: evaluate_translation(model, tokenizer, sources, targets, target_language="zh")
    for who, model in (("teacher", teacher), ("student", student))
}
entries = {who: TranslationEntry(model, tokenizer) for who, model in (("teacher", teacher), ("student", student))}
costs = measure_translation_costs(entries, sources[:32], batch_sizes=(1,), rounds=3)
pd.DataFrame(
    {
        who: {
            "BLEU": scores[who]["bleu"],
            "chrF": scores[who]["chrf"],
            "million parameters": costs[who].parameters / 1e6,
            "sentences per second": costs[who].sentences_per_second[1].median,
        }
        for who in scores
    }
).T.round(2)

# %% [markdown]
# ## Side by side
#
# Sentences that neither model has seen, with both translations and the reference.

# %%
pd.DataFrame(
    {
        "source": sources,
        "teacher": scores["teacher"]["hypotheses"],
        "student": scores["student"]["hypotheses"],
        "reference": targets,
    }
).head(8)

# %% [markdown]
# ## Use it
#
# The saved folder is an ordinary checkpoint, with its tokenizer. On the command line it is
# `tinybert translate out --text "..."`; the whole way as one command, with the teacher's translations kept and a table at
# the end, is `tinybert distill translation --teacher ... --train-file pairs.jsonl`.

# %%
opened, its_tokenizer = AutoModelForSeq2SeqLM.from_pretrained("out"), AutoTokenizer.from_pretrained("out")
batch = its_tokenizer(sources[8:11], padding=True, return_tensors="pt")
written = its_tokenizer.batch_decode(
    opened.generate(**batch, num_beams=BEAMS, max_new_tokens=40), skip_special_tokens=True
)
for source, target in zip(sources[8:11], written, strict=True):
    print(f"{source}  ->  {target}")
