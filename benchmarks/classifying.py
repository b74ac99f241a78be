"""From texts to answers: our `Classifier` beside the pipeline of transformers, on one thread.

    python benchmarks/classifying.py --data FOLDER [--rounds 5]

FOLDER holds sst2/ and agnews/ (validation.jsonl.gz); 800 and 400 of their texts, at most 128 tokens each. The student
is a 4l-312d with random weights, for a step's time does not depend on them. Each round runs every way once, tokenizing
included; the table has the median of CPU seconds. The pipeline stands there with the batch size that is its best.
Writes docs/results/classifying.md.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")

import torch
from transformers import pipeline

from tinybert_hf import Classifier, export_model
from tinybert_hf.checkpoints import save_atomically
from tinybert_hf.data import train_wordpiece_tokenizer
from tinybert_hf.model import TinyBertConfig, TinyBertForSequenceClassification

ROOT = Path(__file__).resolve().parent.parent
SETS = {"SST-2": ("sst2", "sentence", 800), "AG News": ("agnews", "text", 400)}
BATCH_SIZES = (1, 8, 32)
LENGTH = 128


def texts_of(data: Path, folder: str, column: str, count: int) -> list[str]:
    """The first texts of a validation file."""
    with gzip.open(data / folder / "validation.jsonl.gz", "rt", encoding="utf-8") as handle:
        return [json.loads(line)[column] for line, _ in zip(handle, range(count), strict=False)]


def where_measured() -> str:
    """The processor, and whether it multiplies whole numbers by an instruction of its own."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    has = "with" if "vnni" in said.get("flags", "") else "without"
    return f"{said.get('model name', 'a processor')}, {has} VNNI"


def seconds(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median of CPU seconds of each way; the ways take turns."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, run in ways.items():
            started = time.process_time()
            run()
            if number:  # the first one warms up
                found[name].append(time.process_time() - started)
    return {name: statistics.median(each) for name, each in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    sets = {name: texts_of(given.data, *where) for name, where in SETS.items()}
    table = ["| texts | " + " | ".join(sets) + " |", "| --- |" + " ---: |" * len(sets)]
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        tokenizer = train_wordpiece_tokenizer(itertools.chain(*sets.values()), vocab_size=8000, max_length=512)
        config = TinyBertConfig.from_preset("4l-312d", vocab_size=len(tokenizer))
        save_atomically(TinyBertForSequenceClassification(config), tokenizer, work / "student")
        opened = {"PyTorch": work / "student"}
        for form in ("onnx", "onnx-int8"):
            export_model(work / "student", work / form, form)
            opened[form] = work / form
        pipe = pipeline("text-classification", str(work / "student"), device="cpu", truncation=True, max_length=LENGTH)
        ours = {
            name: Classifier(folder, max_length=LENGTH, threads=1, device="cpu") for name, folder in opened.items()
        }
        rates: dict[str, list[str]] = {}
        for texts in sets.values():
            ways: dict[str, Callable[[], Any]] = {
                f"pipeline, batch_size={size}": partial(pipe, texts, batch_size=size) for size in BATCH_SIZES
            }
            ways |= {f"Classifier, {name}": partial(one, texts) for name, one in ours.items()}
            measured = seconds(ways, given.rounds)
            best = min(taken for name, taken in measured.items() if name.startswith("pipeline"))
            for name, taken in measured.items():
                rates.setdefault(name, []).append(f"{len(texts) / taken:,.0f}/s ({best / taken:.2f})")
    table += [f"| {name} | " + " | ".join(each) + " |" for name, each in rates.items()]
    head = [
        "# From texts to answers",
        "",
        f"Written by `python benchmarks/classifying.py --data FOLDER --rounds {given.rounds}`: texts a second of CPU "
        "time on one thread, tokenizing included, and in parentheses how many times the pipeline's best "
        f"({where_measured()}).",
        "",
    ]
    text = "\n".join([*head, *table, ""])
    (ROOT / "docs" / "results" / "classifying.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
