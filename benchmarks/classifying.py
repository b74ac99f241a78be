"""From texts to answers: our `Classifier`, the pipeline of transformers and sentence-transformers, on one thread.

    python benchmarks/classifying.py --data FOLDER [--rounds 5] [--optimum-python PYTHON] [--texts N]
        [--output FOLDER]

FOLDER of the data holds sst2/ and agnews/ (validation.jsonl.gz); 800 and 400 of their texts, at most 128 tokens each.
The student is a 4l-312d with random weights, for a step's time does not depend on them. Beside our `Classifier`:

- the pipeline as it is, at three batch sizes, and with our onnx-int8 inside, as `open_exported` opens it;
- sentence-transformers' `CrossEncoder`, where it is installed.

optimum-onnx, which ONNX in sentence-transformers goes through, does not run with the transformers that this package
asks for; PYTHON is an interpreter of an environment of its own, which a child process runs in
(classifying_optimum.py): pip install "optimum-onnx[onnxruntime]==0.1.0" "sentence-transformers<6". What is not
installed is named below the table.

All ways in fp32 must give the same labels, before anything is timed. Each round runs every way once, tokenizing
included; the table has the median of CPU seconds. Writes docs/results/classifying.md.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")

import torch
from classifying_optimum import FP32, LENGTH, Labels, cross_encoder, in_pipeline, of_cross_encoder
from pages import paragraph
from transformers import AutoTokenizer

from tinybert_hf import Classifier, export_model, open_exported
from tinybert_hf.checkpoints import save_atomically
from tinybert_hf.data import train_wordpiece_tokenizer
from tinybert_hf.model import TinyBertConfig, TinyBertForSequenceClassification

ROOT = Path(__file__).resolve().parent.parent
OPTIMUM = Path(__file__).with_name("classifying_optimum.py")
SETS = {"SST-2": ("sst2", "sentence", 800), "AG News": ("agnews", "text", 400)}
BATCH_SIZES = (1, 8, 32)
OTHER_BATCH_SIZES = (8, 32)
PIPELINE, CROSS_ENCODER = "pipeline", "CrossEncoder, PyTorch"


class Seconds(float):
    """Of the CPU: what a way measured itself, in another process."""


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
    """Median of CPU seconds of each way; the ways take turns. One that returns `Seconds` has measured itself."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, run in ways.items():
            started = time.process_time()
            result = run()
            taken = result if isinstance(result, Seconds) else time.process_time() - started
            if number:  # the first one warms up
                found[name].append(taken)
    return {name: statistics.median(each) for name, each in found.items()}


class NoChildError(Exception):
    """The interpreter that was given has not what classifying_optimum.py needs."""


class Child:
    """The ways of classifying_optimum.py, in a process of its own.

    Raises:
        RuntimeError: it has ended; with its last line.
    """

    def __init__(self, python: str, work: Path) -> None:
        self.log = work / "optimum.log"
        # PYTHONPATH is left out: the child's packages are its own.
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        own["HF_HUB_OFFLINE"] = "1"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [python, str(OPTIMUM), str(work)],
                env=own,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        about = self.read()
        self.ways: list[str] = about["ways"]
        self.versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())

    def read(self) -> dict[str, Any]:
        """Its next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            said = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
            raise RuntimeError(next((one for one in reversed(said) if one.strip()), "it said nothing"))
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, way: str, texts: list[str], batch_size: int) -> dict[str, Any]:
        """Seconds and labels."""
        assert self.process.stdin is not None
        job = {"way": way, "texts": texts, "batch_size": batch_size}
        print(json.dumps(job), file=self.process.stdin, flush=True)
        return self.read()

    def end(self) -> None:
        """Let it go."""
        self.process.communicate()


class Ways:
    """Everything that answers, opened.

    Attributes:
        ours: our `Classifier`, by the format.
        others: labels of texts in batches of a size, by name.
        child: of optimum, where an interpreter was named.
        left_out: what is not measured, and why.
    """

    def __init__(self, work: Path, python: str | None) -> None:
        opened = {"PyTorch": work / "student"}
        for form in ("onnx", "onnx-int8"):
            export_model(work / "student", work / form, form)
            opened[form] = work / form
        self.ours = {
            name: Classifier(folder, max_length=LENGTH, threads=1, device="cpu") for name, folder in opened.items()
        }
        inside = open_exported(work / "onnx-int8", threads=1)
        self.others: dict[str, Labels] = {
            PIPELINE: in_pipeline(str(work / "student"), None),
            "pipeline, our onnx-int8 inside": in_pipeline(inside, AutoTokenizer.from_pretrained(work / "onnx-int8")),
        }
        self.left_out: list[str] = []
        self.versions = f"transformers {version('transformers')}"
        if find_spec("sentence_transformers"):
            self.others[CROSS_ENCODER] = of_cross_encoder(cross_encoder(work / "student"))
            self.versions += f" and sentence-transformers {version('sentence-transformers')}"
        else:
            self.left_out.append("sentence-transformers in PyTorch (not installed)")
        try:
            self.child = Child(python, work) if python else None
        except (OSError, RuntimeError) as error:
            raise NoChildError(f"--optimum-python {python} did not open its models: {error}") from error
        if self.child is None:
            self.left_out.append(
                "ONNX in sentence-transformers, its own int8 and our onnx-int8 in optimum (no --optimum-python: "
                "optimum-onnx 0.1.0 asks for transformers below 4.58, sentence-transformers 6 and this package for 5)"
            )

    def check(self, name: str, texts: list[str]) -> None:
        """All that is in fp32 must give the same labels.

        Raises:
            SystemExit: it does not, or there is one label only.
        """
        expected = [one["label"] for one in self.ours["PyTorch"](texts)]
        found: dict[str, Sequence[str]] = {"Classifier, onnx": [one["label"] for one in self.ours["onnx"](texts)]}
        for size in OTHER_BATCH_SIZES:
            for way in (PIPELINE, CROSS_ENCODER):
                if way in self.others:
                    found[f"{way}, batch_size={size}"] = self.others[way](texts, size)
            if self.child:
                found[f"{FP32}, batch_size={size}"] = self.child.ask(FP32, texts, size)["labels"]
        for way, labels in found.items():
            differ = sum(one != other for one, other in zip(labels, expected, strict=True))
            if differ:
                raise SystemExit(f"{name}: {way} gives {differ} of {len(texts)} texts another label than ours.")
        if len(set(expected)) < 2:
            raise SystemExit(f"{name}: all texts have one label: that others give the same says nothing.")

    def timed(self, texts: list[str]) -> dict[str, Callable[[], Any]]:
        """Each way with each batch size, to be run."""

        def ask(way: str, size: int) -> Seconds:
            assert self.child is not None
            return Seconds(self.child.ask(way, texts, size)["seconds"])

        found: dict[str, Callable[[], Any]] = {}
        for way, answer in self.others.items():
            sizes = BATCH_SIZES if way == PIPELINE else OTHER_BATCH_SIZES
            found |= {f"{way}, batch_size={size}": partial(answer, texts, size) for size in sizes}
        for way in self.child.ways if self.child else ():
            found |= {f"{way}, batch_size={size}": partial(ask, way, size) for size in OTHER_BATCH_SIZES}
        return found | {f"Classifier, {name}": partial(one, texts) for name, one in self.ours.items()}


def best_of(measured: dict[str, float]) -> dict[str, float]:
    """With one row a way: all but the plain pipeline at their best batch size."""
    found: dict[str, float] = {}
    for name, taken in measured.items():
        kept = name.startswith(f"{PIPELINE}, batch_size=")
        row = name if kept else name.split(", batch_size=")[0]
        found[row] = min(taken, found.get(row, taken))
    return found


def make_student(work: Path, texts: list[str]) -> None:
    """A 4l-312d with random weights, so large, and labels, so many, that answers differ from text to text."""
    torch.manual_seed(0)
    tokenizer = train_wordpiece_tokenizer(texts, vocab_size=8000, max_length=512)
    config = TinyBertConfig.from_preset("4l-312d", vocab_size=len(tokenizer), initializer_range=0.1, num_labels=8)
    save_atomically(TinyBertForSequenceClassification(config), tokenizer, work / "student")


def page(rates: dict[str, list[str]], sets: Sequence[str], rounds: int, ways: Ways) -> str:
    """Markdown."""
    sizes = " and ".join(map(str, OTHER_BATCH_SIZES))
    told = " --optimum-python PYTHON" if ways.child else ""
    text = (
        f"Written by `python benchmarks/classifying.py --data FOLDER --rounds {rounds}{told}`: texts a second of CPU "
        "time on one thread, tokenizing included, and in parentheses how many times the pipeline's best "
        f"({where_measured()}). {ways.versions}. The pipeline with an export inside and the CrossEncoder of "
        f"sentence-transformers stand there at the better of the batch sizes {sizes}; the CrossEncoder, which takes "
        "pairs, was told that a text is an input. All that is in fp32 gave the same labels."
    )
    table = ["| texts | " + " | ".join(sets) + " |", "| --- |" + " ---: |" * len(sets)]
    table += [f"| {name} | " + " | ".join(each) + " |" for name, each in rates.items()]
    below = []
    if ways.child:
        below.append(
            "The ONNX of sentence-transformers, its own int8 and optimum ran in a process of their own, with "
            f"{ways.child.versions}: that optimum-onnx does not run with transformers 5. It opens the onnx that ours "
            "opens, and makes its int8 of it."
        )
    if ways.left_out:
        below.append(f"Left out: {'; '.join(ways.left_out)}.")
    lines = ["# From texts to answers", "", *paragraph(text), "", *table]
    for one in below:
        lines += ["", *paragraph(one)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--optimum-python", help="an interpreter with optimum-onnx and sentence-transformers")
    parser.add_argument("--texts", type=int, help="of a set, at most")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    sets = {name: texts_of(given.data, *where)[: given.texts] for name, where in SETS.items()}
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        make_student(work, list(itertools.chain(*sets.values())))
        try:
            ways = Ways(work, given.optimum_python)
        except NoChildError as error:
            parser.error(str(error))
        rates: dict[str, list[str]] = {}
        for name, texts in sets.items():
            ways.check(name, texts)
            measured = best_of(seconds(ways.timed(texts), given.rounds))
            best = min(taken for way, taken in measured.items() if way.startswith(f"{PIPELINE}, batch_size="))
            for way, taken in measured.items():
                rates.setdefault(way, []).append(f"{len(texts) / taken:,.0f}/s ({best / taken:.2f})")
        if ways.child:
            ways.child.end()
        text = page(rates, list(sets), given.rounds, ways)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "classifying.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
