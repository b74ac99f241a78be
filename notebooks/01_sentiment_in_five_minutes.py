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
# # Sentiment in five minutes
#
# **At the end you have** a folder `out` with a small sentiment classifier that was distilled from a larger one, a table
# that compares the two, and a `pipeline` that answers. **It takes** about two minutes on two CPU cores, and needs no
# network: the sentences come from a generator, and the teacher is trained on the spot.
#
# Install once, from a checkout: `pip install -e ".[notebooks]"`.

# %%
import os
import tempfile

import pandas as pd
from transformers import pipeline

from tinybert_hf import load_recipe, quiet_libraries, run_recipe

quiet_libraries()  # one readable line a log, no progress bars, no advice to developers
os.environ["FORCE_COLOR"] = ""  # the shell's lines as plain text; Jupyter asks for colours
folder = tempfile.TemporaryDirectory()  # everything is written here, and goes away with the notebook
os.chdir(folder.name)

# The demo made smaller, so that it ends soon. The whole demo: SMALL = []
SMALL = [
    "teacher.finetune.epochs=4",  # the demo: 5
    "phases.1.epochs=1",  # the demo: 2
    "baseline.epochs=3",  # the demo: 4
]
os.environ["SMALL"] = " ".join(f"--set {setting}" for setting in SMALL)

# %% [markdown]
# ## One line of shell
#
# The command makes the sentences, trains a teacher, distils it, trains the same student without the teacher from the
# same start, and measures all three. In a terminal it is `tinybert distill demo`; `$SMALL` are the settings from above.

# %% language="bash"
# tinybert distill demo --output-dir out $SMALL

# %% [markdown]
# What the lines say: `attention`, `hidden state` and `embedding` are the distances between student and teacher that the
# first phase makes smaller; `prediction` is the distance between their answers, which the second phase learns.
#
# ## The same in Python
#
# A run is one value, the recipe. The same recipe and folder again do not train again: a finished run shows its result,
# and a run that was stopped goes on.

# %%
recipe = load_recipe("demo", {"output_dir": "out"}, SMALL)
report = run_recipe(recipe)

# %% [markdown]
# ## The table
#
# The report holds every figure. The student has fewer layers, and narrower ones. Watch two columns: how much accuracy is
# kept, and what it costs. The last row is the same student, trained from the same start without a teacher. On these
# sentences it is as good or better: their labels follow a grammar without noise, so the labels alone say all there is
# to learn. What a teacher brings on real text, and where it brings nothing, stands in the README under Results.

# %%
table = pd.DataFrame(
    {
        "accuracy": {who: figures["accuracy"] for who, figures in report.metrics.items()},
        "F1": {who: figures["f1"] for who, figures in report.metrics.items()},
        "parameters": {who: cost["parameters"] for who, cost in report.costs.items()},
        "megabytes": {who: cost["megabytes"] for who, cost in report.costs.items()},
        "latency in ms": {who: cost["latency_ms"] for who, cost in report.costs.items()},
    }
).rename(index={"teacher": "teacher", "student": "student, distilled", "baseline": "student, alone"})
table.round(3)

# %% [markdown]
# ## Use it
#
# The folder is an ordinary Hugging Face model. Where `tinybert_hf` is installed, importing it is enough; elsewhere add
# `trust_remote_code=True`, since the code lies beside the weights. The sentences below are built so that single words
# mislead: "dull" is negated, and the clause after "but" decides.

# %%
texts = [
    "The plot is not at all dull.",
    "The dialogue is witty, but the ending is tedious.",
    "The ending is tedious, but the dialogue is witty.",
    "I expected a dull film, and I got the opposite.",
]
classify = pipeline("text-classification", "out")
pd.DataFrame({"text": texts, **{key: [answer[key] for answer in classify(texts)] for key in ("label", "score")}})

# %% [markdown]
# ## Where to go from here
#
# - your own files and teacher: [02_your_own_teacher_and_data](02_your_own_teacher_and_data.ipynb)
# - a translator: [03_translation](03_translation.ipynb)
# - what the student has taken over: [04_what_the_student_learned](04_what_the_student_learned.ipynb)
# - size, speed, model card, Hub: [05_shipping](05_shipping.ipynb)
