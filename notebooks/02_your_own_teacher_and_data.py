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
# # Your own teacher and data
#
# **At the end you have** distilled a teacher of your own on rows of your own with `DistillationTrainer`, which is
# transformers' `Trainer` with a teacher, and you know which settings to change for a real BERT. **It takes** about
# two and a half minutes on two CPU cores, and needs no network. The teacher is a tiny BERT from a configuration; wherever your own
# would stand, the text says so.

# %%
import json
import os
import tempfile
from pathlib import Path

import pandas as pd
from transformers import BertConfig, BertForSequenceClassification, pipeline, set_seed

from tinybert_hf import (
    DistillationArguments,
    DistillationTrainer,
    FinetuneSettings,
    TinyBertConfig,
    TinyBertError,
    TinyBertForSequenceClassification,
    distillation_losses,
    finetune,
    initialize_from_teacher,
    quiet_libraries,
    resolve_layer_map,
)
from tinybert_hf.data import TASKS, DataSettings, demo_sentiment_splits, train_wordpiece_tokenizer
from tinybert_hf.evaluation import evaluate_model, measure_costs, metrics_for

quiet_libraries()  # one readable line a log, no progress bars
set_seed(0)
folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)

# Small, so that it ends soon.                what you would take with BERT-base
TRAIN_ROWS, DEV_ROWS = 8000, 500  #           all of yours
TEACHER_LAYERS, TEACHER_WIDTH = 3, 128  #     12, 768
TEACHER_EPOCHS, TEACHER_RATE = 4, 5e-4  #     3, 5e-5
STUDENT_LAYERS, STUDENT_WIDTH = 2, 64  #      4, 312: the preset "4l-312d"
PHASE_EPOCHS = 1  #                           2 to 10 for the first phase, 1 to 3 for the second
MAX_LENGTH = 48  #                            128

# %% [markdown]
# ## The rows
#
# Any `.jsonl`, `.json`, `.csv`, `.tsv` or `.parquet` file will do, each also as `.gz`. Here a generator writes two such
# files; put yours in their place. The columns may be called anything, and the labels may be words.

# %%
for name, rows in zip(("train.jsonl", "dev.jsonl"), demo_sentiment_splits(TRAIN_ROWS, DEV_ROWS), strict=True):
    lines = [json.dumps({"review": row["text"], "verdict": ("bad", "good")[row["label"]]}) for row in rows]
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")

print("\n".join(Path("dev.jsonl").read_text(encoding="utf-8").splitlines()[:3]))

# %%
settings = DataSettings(
    train_file="train.jsonl",
    validation_file="dev.jsonl",
    text_column="review",
    label_column="verdict",
    max_length=MAX_LENGTH,
)
task = TASKS["text-classification"]
data = task.load(settings)
print(
    data.problem_type, data.label_names, f"{len(data.train)} rows to learn from, {len(data.validation)} to measure on"
)

# %% [markdown]
# Something wrong in a file is said with its place and with what to do, before anything is trained:

# %%
Path("broken.jsonl").write_text(
    '{"review": "A fine soup.", "verdict": "good"}\n{"review": "Bland."}\n', encoding="utf-8"
)
try:
    task.load(
        DataSettings(train_file="broken.jsonl", text_column="review", label_column="verdict"), need_validation=False
    )
except TinyBertError as error:
    print(error)

# %% [markdown]
# ## The teacher
#
# With a fine-tuned model of your own, these two cells become one line:
# `teacher, tokenizer = load_teacher("path/or/hub-id")`. With one that is only pretrained, open it with a new head and
# keep the call of `finetune`: `load_teacher("bert-base-uncased", new_head=True, label_names=data.label_names)`.

# %%
tokenizer = train_wordpiece_tokenizer(data.train["text"], vocab_size=2000, max_length=MAX_LENGTH)
train = task.tokenize(data.train, tokenizer, settings)
dev = task.tokenize(data.validation, tokenizer, settings)

names = dict(enumerate(data.label_names))
teacher = BertForSequenceClassification(
    BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEACHER_WIDTH,
        num_hidden_layers=TEACHER_LAYERS,
        num_attention_heads=4,
        intermediate_size=4 * TEACHER_WIDTH,
        max_position_embeddings=MAX_LENGTH,
        hidden_dropout_prob=0.05,
        attention_probs_dropout_prob=0.05,
        id2label=names,
        label2id={name: index for index, name in names.items()},
    )
)

# %%
# disable_tqdm=False: the switch of transformers between its progress display (here: readable lines) and raw dictionaries
screen = {"disable_tqdm": False, "report_to": [], "logging_steps": 0.25, "save_strategy": "no"}
compute_metrics = metrics_for(data.problem_type, data.num_labels)
reached = finetune(
    teacher,
    FinetuneSettings(epochs=TEACHER_EPOCHS, learning_rate=TEACHER_RATE, batch_size=32),
    output_dir="teacher",
    train_dataset=train,
    eval_dataset=dev,
    processing_class=tokenizer,
    compute_metrics=compute_metrics,
    training_arguments={**screen, "eval_strategy": "no"},
)
print(f"teacher: accuracy {reached['accuracy']:.3f}")

# %% [markdown]
# ## The student, and which layer learns which
#
# A student layer learns one teacher layer. Four ways to say which, for the depths above (with three teacher
# layers two of them are the same):

# %%
for way in ("uniform", "top", "bottom", "1:1,2:3"):
    print(f"{way:10} student layer <- teacher layer: {resolve_layer_map(way, STUDENT_LAYERS, TEACHER_LAYERS)}")


# %% [markdown]
# The student starts from its teacher's weights, projected down to its own width. The report says how much of the
# teacher's hidden states fits into that width.


# %%
def new_student(layer_map):
    """A student at its start, as wide and deep as the constants say."""
    set_seed(0)
    config = TinyBertConfig.from_preset(
        "2l-192d",
        vocab_size=len(tokenizer),
        num_hidden_layers=STUDENT_LAYERS,
        hidden_size=STUDENT_WIDTH,
        num_attention_heads=4,
        intermediate_size=4 * STUDENT_WIDTH,
        max_position_embeddings=MAX_LENGTH,
        id2label=teacher.config.id2label,
        label2id=teacher.config.label2id,
    )
    student = TinyBertForSequenceClassification(config)
    return student, initialize_from_teacher(student, teacher, example, layer_map)


inputs = train.select_columns(["input_ids", "attention_mask"])
example = [tokenizer.pad(inputs[i : i + 32], return_tensors="pt") for i in range(0, 512, 32)]
student, start = new_student("uniform")
print(f"share of the teacher's variance that is kept: {start.kept_variance:.2f}")
print("taken over:", ", ".join(start.copied))


# %% [markdown]
# ## Two phases
#
# First attention, hidden states and embeddings (`intermediate`), then the teacher's answers (`prediction`).
# `compute_metrics`, `eval_dataset`, callbacks and all `TrainingArguments` are as for every `Trainer`; what is added are
# the phase, a weight for each loss, the layer map, the temperature and the projections. `evaluate_teacher` measures the
# teacher on the same rows before anything is learnt: a teacher that guesses is warned of.


# %%
def distil(student, layer_map, **changes):
    """Both phases; returns the last trainer."""
    for phase, rate in (("intermediate", 2e-3), ("prediction", 1e-3)):
        arguments = DistillationArguments(
            f"work/{phase}",
            phase=phase,
            layer_map=layer_map,
            num_train_epochs=PHASE_EPOCHS,
            learning_rate=rate,
            per_device_train_batch_size=32,
            warmup_steps=0.1,
            **{**screen, "eval_strategy": "epoch", **changes},
        )
        trainer = DistillationTrainer(
            student,
            teacher,
            arguments,
            train_dataset=train,
            eval_dataset=dev,
            processing_class=tokenizer,
            compute_metrics=compute_metrics,
        )
        if phase == "intermediate" and not changes:
            print(f"the teacher on these rows: accuracy {trainer.evaluate_teacher()['teacher_accuracy']:.3f}")
        trainer.train()
    return trainer


trainer = distil(student, "uniform")

# %% [markdown]
# The same losses can be had for any two models and one batch, without training:

# %%
fresh, _ = new_student("uniform")
for who, one in (("at its start", fresh), ("distilled", student)):
    losses = distillation_losses(one, teacher, example[0], losses=("attention_loss", "prediction_loss"))
    print(f"{who:14}", {name: round(value.item(), 3) for name, value in losses.items()})

# %% [markdown]
# ## Does the layer map matter?
#
# Each map once, everything else the same. The columns are accuracies on the rows for measuring. With so few rows,
# differences of a point are noise; on your own data, this loop is how to find out.

# %%
found = {"uniform": evaluate_model(student, dev, tokenizer, data.problem_type)["accuracy"]}
for way in ("bottom", "1:1,2:3"):
    other, _ = new_student(way)
    distil(other, way, logging_strategy="no", eval_strategy="no")
    found[way] = evaluate_model(other, dev, tokenizer, data.problem_type)["accuracy"]
pd.DataFrame(
    {"accuracy": found, "map": {way: str(resolve_layer_map(way, STUDENT_LAYERS, TEACHER_LAYERS)) for way in found}}
)

# %% [markdown]
# ## Measure, save, use

# %%
costs = measure_costs({"teacher": teacher, "student": student}, batch_size=1, length=MAX_LENGTH)
table = pd.DataFrame({who: {"parameters": c.parameters, "latency in ms": c.latency_ms} for who, c in costs.items()}).T
table.insert(0, "accuracy", [reached["accuracy"], found["uniform"]])
table.astype({"parameters": int}).round(3)

# %%
trainer.save_model("out")
pipeline("text-classification", "out")("The soup was never less than tasty.")

# %% [markdown]
# ## What to change for BERT-base
#
# | here | with BERT-base on a GPU |
# | --- | --- |
# | `BertForSequenceClassification(BertConfig(...))` | `load_teacher("bert-base-uncased", new_head=True, label_names=data.label_names)`, then `finetune` with 3 epochs at 5e-5; or a model that is fine-tuned already, and no `finetune` |
# | `train_wordpiece_tokenizer` | the tokenizer that `load_teacher` returns: teacher and student share it |
# | student of the constants above | `TinyBertConfig.from_preset("4l-312d", vocab_size=..., id2label=..., label2id=...)` |
# | one epoch a phase | 2 to 10 epochs for `intermediate` at 4e-4, 1 to 3 for `prediction` at 3e-5 |
# | `save_strategy="no"` | leave it out: a run that was stopped then goes on with `trainer.train(resume_from_checkpoint=True)` |
# | cells in a notebook | `tinybert distill --train-file train.jsonl --validation-file dev.jsonl --text-column review --label-column verdict --teacher PATH --output-dir out` does all of it |
