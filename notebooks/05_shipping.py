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
# # Shipping a student
#
# **At the end you have** a distilled model measured on rows and against the clock, beside its teacher, its model card,
# and the command that puts it on the Hub. **It takes** about two minutes on two CPU cores, and needs no network;
# nothing is uploaded here.

# %%
import os
import statistics
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tinybert_hf import load_recipe, quiet_libraries, run_recipe
from tinybert_hf.data import DataSettings
from tinybert_hf.evaluation import evaluate_checkpoint, measure_costs

quiet_libraries()  # one readable line a log, no progress bars
os.environ["FORCE_COLOR"] = ""  # the shell's lines as plain text; Jupyter asks for colours
folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)

# Small, so that it ends soon. The whole demo: no overrides, and ROUNDS = 100
SMALL = {"teacher.finetune.epochs": 3, "phases.0.epochs": 1, "phases.1.epochs": 1, "baseline": None}
ROUNDS = 30  # timed forwards of each model

# %% [markdown]
# ## Something to ship
#
# A run of the demo. A folder that `tinybert distill` has left from your own rows takes its place.

# %%
report = run_recipe(load_recipe("demo", {"output_dir": "out", **SMALL}))

# %% [markdown]
# ## Measure what is in the folder
#
# The figures of a run come from the model in memory. What is shipped is the folder: open it as a user will, and measure
# that. `tinybert evaluate out --validation-file yours.jsonl` does the same for a file.

# %%
rows = DataSettings(dataset="demo-sentiment", label_names=("negative", "positive"))
measured = {who: evaluate_checkpoint(path, rows) for who, path in (("teacher", "out/teacher"), ("student", "out"))}
assert measured["student"]["accuracy"] == report.metrics["student"]["accuracy"]
pd.DataFrame(measured).T.round(3)

# %% [markdown]
# ## Size and speed, side by side
#
# Every round times each model once, so that whatever else the machine does hits all of them; the median counts. Models
# this small spend much of their time on calling operations, not on arithmetic, so they may gain less than the number of
# multiplications (FLOPs) promises; with a real teacher the two come closer. On a machine that does other things beside, run
# the cell twice before you believe it.

# %%
models = {
    who: AutoModelForSequenceClassification.from_pretrained(path)
    for who, path in (("teacher", "out/teacher"), ("student", "out"))
}
table = {}
for batch_size in (1, 32):
    costs = measure_costs(models, batch_size=batch_size, length=32, rounds=ROUNDS)
    for who, cost in costs.items():
        table[who] = {
            **table.get(who, {}),
            "parameters": f"{cost.parameters:,}",
            "megabytes": f"{cost.megabytes:.2f}",
            "encoder FLOPs per token": f"{cost.encoder_flops_per_token:,}",
            f"ms, batch of {batch_size}": f"{cost.latency_ms:.2f}",
        }
pd.DataFrame(table).T

# %%
quantities = {
    "accuracy": {who: 100 * figures["accuracy"] for who, figures in measured.items()},
    "size in MB": {who: float(row["megabytes"]) for who, row in table.items()},
    "ms, batch of 1": {who: float(row["ms, batch of 1"]) for who, row in table.items()},
    "ms, batch of 32": {who: float(row["ms, batch of 32"]) for who, row in table.items()},
}
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
shares = [100 * values["student"] / values["teacher"] for values in quantities.values()]
bars = axes.barh(list(quantities), shares, color=["tab:blue", "tab:orange", "tab:orange", "tab:orange"])
axes.bar_label(bars, labels=[f"{share:.0f} %" for share in shares], label_type="center", color="white", weight="bold")
axes.axvline(100, color="black", linewidth=1, linestyle="--")
axes.invert_yaxis()
axes.set(xlim=(0, 125), xlabel="student, in per cent of its teacher (dashed: as the teacher)")
axes.set_title("What is kept (blue: high is good), and what it costs (orange: low is good)", fontsize=10)
plt.show()

# %% [markdown]
# ## `torch.compile`
#
# The student is an ordinary module, so `torch.compile` takes it as it is. The first call compiles, which takes a while and
# needs a C++ compiler; after that the answers are the same up to rounding. Where there is no compiler, the cell says so
# and goes on.

# %%
tokenizer = AutoTokenizer.from_pretrained("out")
batch = tokenizer(["The soup was never less than tasty.", "The room was dirty."], padding=True, return_tensors="pt")
student = models["student"].eval()
compiled = torch.compile(student)


def milliseconds(model):
    """The median of some forwards."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        model(**batch)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


with torch.inference_mode():
    try:
        started = time.perf_counter()
        difference = (compiled(**batch).logits - student(**batch).logits).abs().max()
        print(f"compiled in {time.perf_counter() - started:.0f} s; largest difference of a logit: {difference:.0e}")
        print(f"a batch of 2: {milliseconds(student):.2f} ms as it is, {milliseconds(compiled):.2f} ms compiled")
    except Exception as error:  # no compiler on this machine
        print("torch.compile is not available here:", type(error).__name__)

# %% [markdown]
# Whether it pays is a question for your machine and your lengths: each new shape may compile again. For
# other runtimes, and in int8, there is `tinybert export out --to onnx-int8` (`docs/export.md`).
#
# ## The model card
#
# The card is written from the run: every figure in it was measured, and no path of your machine stands in it.

# %% language="bash"
# tinybert card out --repo-id me/demo-sentiment --license apache-2.0

# %% [markdown]
# A `README.md` of your own in the folder is taken as the card instead. `tinybert card out --output out/README.md` writes
# this one there as a beginning.
#
# ## To the Hub
#
# ```bash
# hf auth login
# tinybert push out --repo-id me/demo-sentiment --private
# ```
#
# or in Python `from tinybert_hf import push; push("out", "me/demo-sentiment", private=True)`. It goes up in one commit: the
# weights, the configuration, the tokenizer, the code, the card and the figures. The training rows, the teacher, the phases
# and `run.json` stay here. What somebody else has put or edited there is not replaced unless `--overwrite` says so, and a
# push that was cut off goes on with the same command. After that, anyone can load it, with the package or without it:
#
# ```python
# pipeline("text-classification", "me/demo-sentiment", trust_remote_code=True)
# ```
#
# What lies in the folder now:

# %%
lying = sorted(Path("out").iterdir())
pd.DataFrame(
    {
        "name": [f"{one.name}/" if one.is_dir() else one.name for one in lying],
        "kB": [
            round((sum(f.stat().st_size for f in one.rglob("*")) if one.is_dir() else one.stat().st_size) / 1000, 1)
            for one in lying
        ],
    }
)
