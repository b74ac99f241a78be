"""The two phases of TinyBERT in TextBrewer, in torchdistill and in this package: rows a second and final accuracy.

    python benchmarks/other_tools.py --data FOLDER --teacher FOLDER \
        --textbrewer-python PYTHON --torchdistill-python PYTHON [--rows 1600] [--rounds 3] [--work FOLDER]

FOLDER of the data holds sst2/train.jsonl.gz and sst2/validation.jsonl.gz (columns sentence, label); the teacher is a
fine-tuned classifier of SST-2 of 6 layers, built like BERT. Each PYTHON is an interpreter with torch, transformers and
that tool. Each tool is a process of its own with one thread (other_tools_runs.py); they take turns, in another order
each round, and a round has its own seed. A tool that fails is reported with its error. What the work folder holds
already is not run again. Writes docs/results/other_tools.json and .md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from other_tools_runs import BATCH, EPOCHS, MAP, RATES, states_of
from pages import paragraph
from safetensors.torch import load_file
from transformers import PreTrainedModel, set_seed

from tinybert_hf import TinyBertConfig, TinyBertForSequenceClassification
from tinybert_hf.distillation import Objective, Projections, initialize_from_teacher, load_teacher

RUNS = Path(__file__).with_name("other_tools_runs.py")
# Title -> the tool, and whether it is given batches of like length (ours makes them by itself).
CONTESTANTS: dict[str, tuple[str, bool]] = {
    "tinybert_hf": ("tinybert_hf", False),
    "TextBrewer": ("TextBrewer", False),
    "TextBrewer, like lengths": ("TextBrewer", True),
    "torchdistill": ("torchdistill", False),
    "torchdistill, like lengths": ("torchdistill", True),
}
OURS, *OTHERS = ("tinybert_hf", "TextBrewer", "torchdistill")


def read(path: Path, count: int | None = None) -> list[dict[str, Any]]:
    """Rows of a file, or the first ones."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file][:count]


class Bench:
    """What all runs share: teacher, rows, the student's start, and the accuracy of any student.

    Attributes:
        preset: of the student.
        layer_map: from its layers to the teacher's; 0, the embeddings, is not in it.
    """

    preset, layer_map = "4l-312d", MAP

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.work: Path = arguments.work.absolute()
        self.teacher_folder = str(arguments.teacher.absolute())
        self.teacher, self.tokenizer = load_teacher(self.teacher_folder, dtype="float32")
        train = read(arguments.data / "sst2/train.jsonl.gz", arguments.rows)
        validation = read(arguments.data / "sst2/validation.jsonl.gz", arguments.validation_rows)
        self.validation = sorted(validation, key=lambda row: len(row["sentence"]))  # little padding
        encoded = self.tokenizer([row["sentence"] for row in train], truncation=True, max_length=64)
        ids, masks = encoded["input_ids"], encoded["attention_mask"]
        self.rows = [{"input_ids": a, "attention_mask": b} for a, b in zip(ids, masks, strict=True)]
        set_seed(0)
        width = TinyBertConfig.from_preset(self.preset).hidden_size
        self.states = list(states_of(self.layer_map))
        self.projections = Projections("per_layer", width, self.teacher.config.hidden_size, self.states)
        if not (self.work / "projections.pt").exists():
            self.make_start()
        self.student = TinyBertForSequenceClassification.from_pretrained(self.work / "start")
        for layer, weights in zip(self.states, torch.load(self.work / "projections.pt"), strict=True):
            self.projections.maps[str(layer)].load_state_dict(weights)

    def make_start(self) -> None:
        """Save the student from which every tool begins, and rows and projections for the children."""
        student = self.start()
        student.save_pretrained(self.work / "start")
        (self.work / "rows.json").write_text(json.dumps(self.rows))
        weights = [self.projections.maps[str(layer)].state_dict() for layer in self.states]
        torch.save(weights, self.work / "projections.pt")

    def start(self) -> PreTrainedModel:
        """The student before its first step."""
        set_seed(0)
        same = {name: getattr(self.teacher.config, name) for name in ("vocab_size", "id2label", "label2id")}
        student = TinyBertForSequenceClassification(TinyBertConfig.from_preset(self.preset, **same))
        examples = [self.batch(self.rows[i : i + BATCH]) for i in range(0, min(512, len(self.rows)), BATCH)]
        initialize_from_teacher(student, self.teacher, examples)
        return student

    def batch(self, rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        """Rows as padded tensors."""
        return dict(self.tokenizer.pad(rows, return_tensors="pt"))

    @torch.no_grad()
    def accuracy(self, model: PreTrainedModel) -> float:
        """Share of right labels on the validation rows, in percent."""
        model.eval()
        right = 0
        for i in range(0, len(self.validation), 100):
            rows = self.validation[i : i + 100]
            texts = [row["sentence"] for row in rows]
            batch = self.tokenizer(texts, truncation=True, max_length=64, padding=True, return_tensors="pt")
            found = model(**batch).logits.argmax(-1).tolist()
            right += sum(one == row["label"] for one, row in zip(found, rows, strict=True))
        return 100 * right / len(self.validation)

    def own_losses(self) -> dict[str, float]:
        """This package's losses of the batch that the other tools compute theirs of."""
        objective = Objective.between(
            self.student.eval(),
            self.teacher,
            losses=("attention_loss", "hidden_state_loss", "embedding_loss"),
        )
        assert dict(objective.each[0].layer_map("hidden_state_loss").pairs) == self.layer_map, (
            "the teacher needs 6 layers"
        )
        batch = self.batch(self.rows[:BATCH])
        lookup = {layer: self.projections.of_layer(layer) for layer in self.states}
        with torch.no_grad():
            seen = objective.capture_teachers(self.teacher, batch)
            made = objective.capture_student(self.student, batch)
            parts = objective.compute(made, seen, batch["attention_mask"], lookup)
        losses = {"attention": float(parts["attention_loss"])}
        losses["hidden"] = float(parts["hidden_state_loss"] + parts["embedding_loss"])
        return {**losses, "padding": 1 - float(batch["attention_mask"].float().mean())}

    def basics(self) -> dict[str, Any]:
        """What does not depend on a tool's training."""
        path = self.work / "basics.json"
        if not path.exists():
            found: dict[str, Any] = {"rows": len(self.rows), "validation_rows": len(self.validation)}
            found["losses"] = {"tinybert_hf": self.own_losses()}
            found["teacher_accuracy"] = self.accuracy(self.teacher)
            found["start_accuracy"] = self.accuracy(self.student)
            path.write_text(json.dumps(found))
        basics: dict[str, Any] = json.loads(path.read_text())
        if basics["rows"] != len(self.rows):
            sys.exit(f"{self.work} holds runs with {basics['rows']} rows: take another --work, or as many --rows.")
        return basics


class Tool:
    """A process that trains with one tool when it is told to, and waits in between."""

    def __init__(self, name: str, python: str, bench: Bench) -> None:
        self.name, self.bench = name, bench
        settings = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        settings["HF_MODULES_CACHE"] = str(bench.work / "modules")
        command = [python, str(RUNS), name, str(bench.work), bench.teacher_folder]
        self.log = (bench.work / f"{name}.log").open("a")
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def ask(
        self, folder: str, like_lengths: bool = False, seed: int = 0, losses: bool = False, plan: Any = None
    ) -> dict[str, Any]:
        """Its answer to one job, from the work folder where it is there already; {"error": ...} where it fails.

        Args:
            folder: of the results, in the work folder's.
            like_lengths: batches of like length.
            seed: of the run.
            losses: of one batch, instead of a training.
            plan: fields of a `Plan`; None: that of this file's page.
        """
        out = self.bench.work / "results" / folder
        if not (out / "result.json").exists():
            out.mkdir(parents=True, exist_ok=True)
            job = {"out": str(out), "like_lengths": like_lengths, "seed": seed, "losses": losses, "plan": plan}
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            with suppress(BrokenPipeError):  # it has ended: its status says so
                print(json.dumps(job), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
            found: dict[str, Any] = json.loads(line) if line else {"error": f"ended with status {self.process.wait()}"}
            if "error" in found:
                return found  # tried again next time
            if not losses:
                self.bench.student.load_state_dict(load_file(out / "student.safetensors"))
                found["accuracy"] = self.bench.accuracy(self.bench.student)
            (out / "result.json").write_text(json.dumps(found))
        result: dict[str, Any] = json.loads((out / "result.json").read_text())
        return result

    def end(self) -> None:
        """Let it go."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.log.close()


def measure(bench: Bench, pythons: dict[str, str], rounds: int, output: Path) -> None:
    """Every contestant once a round, the losses of one batch; the page is written after each round."""
    results = {**bench.basics(), "runs": {title: [] for title in CONTESTANTS}}
    tools = {name: Tool(name, python, bench) for name, python in pythons.items()}
    for name in OTHERS:
        results["losses"][name] = tools[name].ask(f"losses/{name}", losses=True)
    titles = list(CONTESTANTS)
    for index in range(rounds):
        for title in titles[index % len(titles) :] + titles[: index % len(titles)]:
            name, like_lengths = CONTESTANTS[title]
            run = tools[name].ask(f"{title.replace(', ', '-').replace(' ', '-')}/{index}", like_lengths, index)
            results["runs"][title].append(run)
            print(index, title, run, flush=True)
        results["rounds"] = index + 1
        (output / "other_tools.json").write_text(json.dumps(results, indent=1) + "\n")
        lines = [*page(results), *tables(results), *conditions(results)]
        (output / "other_tools.md").write_text("\n".join(lines) + "\n")
    for tool in tools.values():
        tool.end()


def spread(values: list[float], form: str) -> str:
    """The median, and in brackets the smallest and the largest."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def tables(results: dict[str, Any]) -> list[str]:
    """Markdown: who runs and what comes out, time by phase, and the losses of one batch."""
    runs, rows = results["runs"], results["rows"]
    good = {title: found for title, found in runs.items() if found and not any("error" in run for run in found)}
    lines = ["| tool | version | runs | accuracy of the students |", "| --- | --- | --- | --- |"]
    for title, found in runs.items():
        if title in good:
            tool_version = next(iter(found[0]["versions"].values()))
            accuracy = ", ".join(f"{run['accuracy']:.2f}" for run in found)
            mean = statistics.mean(run["accuracy"] for run in found)
            lines.append(f"| {title} | {tool_version} | yes | {mean:.2f} ({accuracy}) |")
        else:
            errors = sorted({run["error"] for run in found if "error" in run})
            lines.append(f"| {title} | | no: {'; '.join(errors)} | |")
    for phase in RATES:
        lines += ["", f"## Phase {phase}", ""]
        lines.append("| tool | rows/s of the CPU | ours is faster | rows/s of the clock | ours is faster |")
        lines.append("| --- | --- | --- | --- | --- |")
        for title, found in good.items():
            cells = []
            for clock in ("cpu", "wall"):
                seconds = [run["seconds"][phase][clock] for run in found]
                cells.append(f"{statistics.median(EPOCHS * rows / s for s in seconds):.0f}")
                ours = [run["seconds"][phase][clock] for run in good.get(OURS, [])]
                ratios = [theirs / own for theirs, own in zip(seconds, ours, strict=True)] if ours else []
                cells.append(f"{spread(ratios, '.2f')}" if ratios and title != OURS else "")
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return [*lines, "", *loss_lines(results["losses"])]


def loss_lines(losses: dict[str, Any]) -> list[str]:
    """Markdown: the same batch, the same projections, no dropout."""
    own = losses["tinybert_hf"]
    lines = [
        "## The losses of one batch",
        "",
        *paragraph(
            f"The first {BATCH} rows in one batch ({100 * own['padding']:.0f} % of it padding), the same random "
            "projections everywhere, no dropout. Attention: the sum over the mapped layers; hidden states: likewise, "
            "with embeddings."
        ),
        "",
        "| | attention | hidden states |",
        "| --- | --- | --- |",
        f"| tinybert_hf | {own['attention']:.6f} | {own['hidden']:.6f} |",
    ]
    textbrewer, torchdistill = (losses.get(tool, {}).get("losses") for tool in ("TextBrewer", "torchdistill"))
    for which in ("", " without mask") if textbrewer else ():
        cells = [
            f"{textbrewer[kind + which]:.6f} ({100 * (textbrewer[kind + which] / own[kind] - 1):+.2f} %)"
            for kind in ("attention", "hidden")
        ]
        lines.append(f"| TextBrewer{which or ', inputs_mask given'} | {' | '.join(cells)} |")
    if torchdistill:
        both = own["attention"] + own["hidden"]
        lines += ["", f"torchdistill with the losses written for it here: {torchdistill['sum']:.6f} together, ours "]
        lines[-1] += f"{both:.6f}."
    return lines


def page(results: dict[str, Any]) -> list[str]:
    """What was done, above the tables."""
    rows, rounds, teacher = results["rows"], results["rounds"], results["teacher_accuracy"]
    rates = " and ".join(f"{rate:g}" for rate in RATES.values())
    parts = [
        "Written by `python benchmarks/other_tools.py --data FOLDER --teacher FOLDER --textbrewer-python PYTHON",
        f"--torchdistill-python PYTHON --rows {rows} --rounds {rounds}`. SST-2: the first {rows} training rows,",
        f"{results['validation_rows']} validation rows, a teacher of 6 layers x 384 ({teacher:.2f}), a student",
        f"`4l-312d` that begins as `initialize_from_teacher` makes it ({results['start_accuracy']:.2f}). {EPOCHS}",
        f"epochs of each phase, batch {BATCH}, AdamW, rates {rates} falling linearly to 0, gradients clipped at 1,",
        f"temperature 1. One thread; {rounds} rounds, each with its own seed, in which the tools take turns. In",
        "brackets: of the ratios the smallest and the largest round, of the accuracies each seed.",
    ]
    return ["# TextBrewer, torchdistill and this package", "", *paragraph(" ".join(parts)), ""]


CONDITIONS = """
## What each has and is given

- All: the teacher runs in every step (no cache), batches are padded to their longest row, and only the training call
  is timed. The student is opened with the code in its folder.
- tinybert_hf: `DistillationTrainer` as it is, with batches of like length; on a CPU with instructions for it teacher
  and student multiply in bfloat16; the others in fp32. Timed with it: the projections are solved by least squares on
  the first rows before the first step, and a checkpoint with the optimizer is written at the end of each phase.
- TextBrewer: `GeneralDistiller` with `attention_mse`, and `hidden_mse` with a `linear` projection, which begins at
  random; `inputs_mask`. Given to it: an attention function, registered in transformers, whose second output are the
  scores before the softmax (`output_attentions` gives probabilities); `DataCollatorWithPadding` in a plain `dict`, the
  only mapping that it takes; where it says "like lengths", the `LengthGroupedSampler` of transformers. It writes the
  weights after each epoch. It clips the student's gradients, not those of the projections.
- torchdistill: `DistillationBox` with forward hooks, `WeightedSumLoss`, `KDLoss`, its optimizer and scheduler, and the
  loop of its examples without their log. Written for it and registered, as it has none: a wrapper with projections
  (random start), and squared errors of scores and of states that leave padding out (the scores are computed from
  hooked queries and keys, so attention stays sdpa). Collator and sampler as for TextBrewer. It writes no checkpoint.
"""
GOT_OVER = """- torchdistill imports torchvision, and that ended here in `{}`: the
  torchvision of PyPI is built for CUDA and does not find its operators beside a CPU build of torch. The least that
  lets it run, done in the script: the operators `torchvision::nms` and `torchvision::qnms` are declared first.
"""


def conditions(results: dict[str, Any]) -> list[str]:
    """What each tool has and is given, below the tables."""
    errors = sorted({run.get("got_over", "") for run in results["runs"]["torchdistill"]} - {""})
    text = CONDITIONS + "".join(GOT_OVER.format(error) for error in errors)
    return text.rstrip().split("\n")


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--textbrewer-python", required=True)
    parser.add_argument("--torchdistill-python", required=True)
    parser.add_argument("--rows", type=int, default=1600)
    parser.add_argument("--validation-rows", type=int, default=None, help="only the first rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("runs/other_tools"))
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    pythons = {"tinybert_hf": sys.executable, "TextBrewer": arguments.textbrewer_python}
    pythons["torchdistill"] = arguments.torchdistill_python
    arguments.output.mkdir(parents=True, exist_ok=True)
    measure(Bench(arguments), pythons, arguments.rounds, arguments.output)
    print((arguments.output / "other_tools.md").read_text())


if __name__ == "__main__":
    main()
