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
# # What the student learned
#
# **At the end you have** pictures of what distillation changes inside a student: its attention beside its teacher's on one
# sentence, how alike every pair of layers is, and how its last layer sorts sentences by their label. **It takes** about
# two minutes on two CPU cores, and needs no network. Each picture can be read without the code above it.

# %%
import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from transformers import BertConfig, BertForSequenceClassification, set_seed

from tinybert_hf import (
    FinetuneSettings,
    Phase,
    TinyBertConfig,
    TinyBertForSequenceClassification,
    finetune,
    initialize_from_teacher,
    quiet_libraries,
    resolve_layer_map,
    run_phases,
)
from tinybert_hf.data import TASKS, DataSettings, train_wordpiece_tokenizer
from tinybert_hf.distillation import capture
from tinybert_hf.evaluation import evaluate_model

quiet_libraries()  # one readable line a log, no progress bars
set_seed(0)
folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)
plt.rcParams["figure.dpi"] = 80  # large enough to read, small enough to keep in a repository

# Small, so that it ends soon.                what you would take with BERT-base
TRAIN_ROWS = 8000  #                          all of yours
TEACHER_LAYERS, TEACHER_WIDTH = 3, 128  #     12, 768
TEACHER_EPOCHS, TEACHER_RATE = 5, 5e-4  #     3, 5e-5
STUDENT_LAYERS, STUDENT_WIDTH = 2, 64  #      4, 312
HEADS = 4  #                                  12
PHASE_EPOCHS = 2  #                           2 to 10 for the first phase, 1 to 3 for the second

# %% [markdown]
# ## A teacher and three students
#
# The same student three times: with random weights, at its start (the teacher's weights, projected down to its width),
# and distilled from there. How that is done step by step is in
# [02_your_own_teacher_and_data](02_your_own_teacher_and_data.ipynb).

# %%
settings = DataSettings(
    dataset="demo-sentiment", label_names=("negative", "positive"), max_length=48, max_train_rows=TRAIN_ROWS
)
task = TASKS["text-classification"]
data = task.load(settings)
tokenizer = train_wordpiece_tokenizer(data.train["text"], vocab_size=2000, max_length=48)
train, dev = (task.tokenize(rows, tokenizer, settings) for rows in (data.train, data.validation))
shared = {
    "vocab_size": len(tokenizer),
    "num_attention_heads": HEADS,
    "max_position_embeddings": 48,
    "id2label": dict(enumerate(data.label_names)),
    "label2id": {name: index for index, name in enumerate(data.label_names)},
}
# disable_tqdm=False: the switch of transformers between its progress display (here: readable lines) and raw dictionaries
screen = {
    "disable_tqdm": False, "report_to": [], "logging_steps": 0.5, "save_strategy": "no", "eval_strategy": "no"
}  # fmt: skip

teacher = BertForSequenceClassification(
    BertConfig(
        hidden_size=TEACHER_WIDTH,
        num_hidden_layers=TEACHER_LAYERS,
        intermediate_size=4 * TEACHER_WIDTH,
        hidden_dropout_prob=0.05,
        attention_probs_dropout_prob=0.05,
        **shared,
    )
)
_ = finetune(
    teacher,
    FinetuneSettings(epochs=TEACHER_EPOCHS, learning_rate=TEACHER_RATE, batch_size=32),
    output_dir="teacher",
    train_dataset=train,
    processing_class=tokenizer,
    training_arguments=screen,
)


# %%
def new_student():
    """A student with random weights."""
    set_seed(0)
    return TinyBertForSequenceClassification(
        TinyBertConfig(
            hidden_size=STUDENT_WIDTH,
            num_hidden_layers=STUDENT_LAYERS,
            intermediate_size=4 * STUDENT_WIDTH,
            **shared,
        )
    )


inputs = train.select_columns(["input_ids", "attention_mask"])
example = [tokenizer.pad(inputs[i : i + 32], return_tensors="pt") for i in range(0, 512, 32)]
random, start, student = new_student(), new_student(), new_student()
for one in (start, student):
    initialize_from_teacher(one, teacher, example)
run_phases(
    student,
    teacher,
    [Phase("intermediate", PHASE_EPOCHS, 2e-3), Phase("prediction", PHASE_EPOCHS, 1e-3)],
    output_dir="work",
    train_dataset=train,
    processing_class=tokenizer,
    training_arguments=screen,
)
everyone = {
    "teacher": teacher, "student, random": random, "student, start": start, "student, distilled": student
}  # fmt: skip
for model in everyone.values():
    model.eval()
pd.DataFrame(
    {
        "accuracy": {
            who: evaluate_model(model, dev, tokenizer, data.problem_type)["accuracy"]
            for who, model in everyone.items()
        }
    }
).round(3)

# %% [markdown]
# ## Where it looks
#
# `capture` runs a model once and keeps the queries and keys of the layers that are asked for; the softmax of their scores
# is the attention. The layer map says which teacher layer each student layer learnt.

# %%
SENTENCE = "The dialogue is witty, but the ending is not at all gripping."
layer_map = resolve_layer_map("uniform", STUDENT_LAYERS, TEACHER_LAYERS)


@torch.no_grad()
def attention(model, sentence, layers):
    """Layer -> attention, averaged over the heads, (tokens, tokens)."""
    records = capture(model, tokenizer(sentence, return_tensors="pt"), attention_layers=layers).attention
    scores = {layer: one.scaling * one.query @ one.key.transpose(-1, -2) for layer, one in records.items()}
    return {layer: one.softmax(-1)[0].mean(0).numpy() for layer, one in scores.items()}


pieces = tokenizer.convert_ids_to_tokens(tokenizer(SENTENCE)["input_ids"])
columns = {"teacher": layer_map.teacher_layers, **dict.fromkeys(list(everyone)[1:], layer_map.student_layers)}
maps = {who: attention(everyone[who], SENTENCE, layers) for who, layers in columns.items()}

figure, axes = plt.subplots(
    STUDENT_LAYERS, len(columns), figsize=(14, 8), sharex=True, sharey=True, layout="constrained"
)
for column, (who, layers) in enumerate(columns.items()):
    for row, layer in enumerate(layers):
        one = axes[row, column]
        picture = one.imshow(maps[who][layer], cmap="viridis", vmin=0, vmax=0.5)
        one.set_title(f"{who}, layer {layer}", fontsize=12)
        one.set_xticks(range(len(pieces)), pieces, rotation=90, fontsize=9)
        one.set_yticks(range(len(pieces)), pieces, fontsize=9)
for one in axes[-1]:
    one.set_xlabel("looks at this token")
for one in axes[:, 0]:
    one.set_ylabel("this token ...")
figure.colorbar(picture, ax=axes, label="share of the attention (0.5 and more: yellow)", shrink=0.7)
figure.suptitle(
    "Attention, averaged over the heads. In each row, the distilled map should look like the teacher's.", fontsize=14
)
plt.show()

# %% [markdown]
# **What to see:** a row of a map says where one token looks. The random student looks everywhere alike. In the teacher,
# nearly every token looks at the words that decide the label ("not", "gripping"), and both the start and the distilled
# student have the same bright columns. In numbers, for this sentence: the share of a token's attention that lies
# elsewhere than the teacher's (0: the same map, 1: nothing in common). The start can be nearer than the distilled student
# in one layer and farther in another: in the second phase, only the answers are learnt.

# %%
teacher_maps = [maps["teacher"][layer] for layer in layer_map.teacher_layers]
pd.DataFrame(
    {
        who: {
            f"layer {layer}": np.abs(maps[who][layer] - theirs).sum(-1).mean() / 2
            for layer, theirs in zip(layer_map.student_layers, teacher_maps, strict=True)
        }
        for who in list(columns)[1:]
    }
).round(3)

# %% [markdown]
# ## Which layers are alike
#
# Linear CKA compares two sets of hidden states of the same tokens, whatever their widths: 1 means alike up to a rotation
# and a scale, 0 means nothing in common.


# %%
def cka(x, y):
    """Linear CKA of two arrays (tokens, width); Kornblith et al. 2019, section 3."""
    x, y = x - x.mean(0), y - y.mean(0)
    return ((x.T @ y) ** 2).sum() / np.sqrt(((x.T @ x) ** 2).sum() * ((y.T @ y) ** 2).sum())


ROWS = 512
sample = data.validation.select(range(ROWS))
batch = tokenizer(list(sample["text"]), padding=True, truncation=True, max_length=48, return_tensors="pt")
real = batch["attention_mask"].bool()


@torch.no_grad()
def hidden_states(model):
    """States (rows, tokens, width) of the embedding output (layer 0) and of each layer."""
    states = capture(model, batch, hidden_state_layers=range(model.config.num_hidden_layers + 1)).hidden_states
    return [states[layer] for layer in sorted(states)]


states = {who: hidden_states(model) for who, model in everyone.items()}
tokens = {who: [one[real].double().numpy() for one in layers] for who, layers in states.items()}
students = list(everyone)[1:]

figure, axes = plt.subplots(1, len(students), figsize=(13, 4), sharey=True, layout="constrained")
for one, who in zip(axes, students, strict=True):
    alike = np.array([[cka(theirs, ours) for ours in tokens[who]] for theirs in tokens["teacher"]])
    picture = one.imshow(alike, cmap="magma", vmin=0, vmax=1, origin="lower", aspect="auto")
    for (row, column), value in np.ndenumerate(alike):
        one.text(column, row, f"{value:.2f}", ha="center", va="center", color="black" if value > 0.6 else "white")
    for ours, theirs in ((0, 0), *layer_map.pairs):  # what was to be alike
        one.add_patch(
            plt.Rectangle((ours - 0.48, theirs - 0.48), 0.96, 0.96, fill=False, edgecolor="deepskyblue", linewidth=3)
        )
    one.set_title(who)
    one.set_xticks(range(STUDENT_LAYERS + 1), ["embeddings", *[f"layer {n}" for n in range(1, STUDENT_LAYERS + 1)]])
    one.set_xlabel("of the student")
axes[0].set_yticks(range(TEACHER_LAYERS + 1), ["embeddings", *[f"layer {n}" for n in range(1, TEACHER_LAYERS + 1)]])
axes[0].set_ylabel("of the teacher")
figure.colorbar(picture, ax=axes, label="linear CKA (1: alike)")
figure.suptitle(
    "How alike the hidden states of each pair of layers are. Blue frames: the pairs of the layer map, which should be near 1.",
    fontsize=12,
)
plt.show()

# %% [markdown]
# **What to see:** random weights have nothing of the teacher beyond the embeddings (the same words in both). The start has
# each framed pair alike already, since it is made of the teacher's directions; distillation changes that little while it
# learns attention and answers; in a longer prediction phase they may drift apart. Pairs without a frame are alike too where they are neighbours: layers next to each other differ
# little.

# %% [markdown]
# ## How it sorts sentences
#
# The state of `[CLS]` after the last layer is what the classifier reads. Each dot is a sentence; the two directions of the
# plane are those in which a model's own states vary most (principal components).

# %%
labels = np.array(sample["label"])
figure, axes = plt.subplots(1, len(everyone), figsize=(15, 4), layout="constrained")
for one, (who, layers) in zip(axes, states.items(), strict=True):
    cls = layers[-1][:, 0].double().numpy()
    cls = cls - cls.mean(0)
    left, sizes, _ = np.linalg.svd(cls, full_matrices=False)
    plane = left[:, :2] * sizes[:2]
    for label, (name, colour) in enumerate(zip(data.label_names, ("tab:red", "tab:blue"), strict=True)):
        chosen = labels == label
        one.scatter(*plane[chosen].T, s=9, alpha=0.6, color=colour, label=name)
    one.set_title(who)
    one.set_xlabel(f"1st component ({sizes[0] ** 2 / (sizes**2).sum():.0%} of the variance)")
    one.set_ylabel(f"2nd component ({sizes[1] ** 2 / (sizes**2).sum():.0%})")
    one.set_xticks([])
    one.set_yticks([])
axes[0].legend(title="label", loc="best", markerscale=2)
figure.suptitle(
    "[CLS] after the last layer, one dot a sentence. A model that has learnt the task keeps the colours apart.",
    fontsize=13,
)
plt.show()

# %% [markdown]
# **What to see:** random weights mix the colours. The teacher lays the sentences along an arch, sure of its answer at the two
# ends and unsure at the top, and the student that was distilled lays them along the same arch. Dots of the other colour at
# an end are sentences that the model gets wrong.
