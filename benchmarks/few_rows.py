"""What a student of few rows should read: its rows more often, copies, or other texts: docs/results/few_rows.md.

    python benchmarks/few_rows.py --data FOLDER --work FOLDER [--tasks TASK ...] [--ways WAY ...] [--seeds N ...]

The teachers are those of `python benchmarks/tasks.py --parts teachers --fp32`, in the same work folder; the student
starts from its teacher and has the first --rows of them by the shipped recipe: `rows` without copies, `shipped` as it
is, with as many copies as it gives to so few. All other ways take --times as many steps as `rows`, so that they cost
the same:

- longer: the same rows, in more epochs.
- copies-N: N copies of each row with other words (neighbours in the teacher's embeddings), in fewer epochs.
- task-texts: further texts of the task itself, without their labels, --times as many rows in all.
- plain-texts: as many sentences of other text (Brown), as `--text-corpus` takes them.

Every run is kept in the work folder and is not repeated.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import torch
from heads import carry_out, in_words, metric_of, options, settings_of
from task_settings import BROWN, EVERY_TASK

from tinybert_hf import load_recipe
from tinybert_hf.recipes.plan import make_plan

TASKS = ("cola-all", "sst2", "stsb-all", "wnut17", "agnews")
WAYS = ("rows", "longer", "copies-5", "copies-20", "task-texts", "plain-texts", "shipped")


def rows_of(file: Path) -> list[dict[str, Any]]:
    """Of gzip-compressed JSON Lines."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def written(rows: list[dict[str, Any]], file: Path) -> Path:
    """The rows in a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def other_rows(task: str, arguments: argparse.Namespace) -> Path:
    """Rows of the task without their labels, behind those that are learnt from."""
    count, spec = arguments.rows * (arguments.times - 1), EVERY_TASK[task]
    file: Path = arguments.work / task / f"few-{arguments.rows}" / "task-texts.jsonl"
    found = rows_of(arguments.data / (spec.folder or task) / spec.files[0])[arguments.rows :]
    return written(found[:count], file)


def settings_of_way(task: str, way: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Of a recipe."""
    settings = {**settings_of(task, seed, arguments), "student.preset": "4l-312d"}
    if way == "shipped":
        return {name: value for name, value in settings.items() if name != "augmentation"}
    plan = make_plan(load_recipe(EVERY_TASK[task].recipe, {**settings, "output_dir": str(arguments.work / "unused")}))
    epochs = [phase.known_epochs for phase in plan.recipe.phases]
    # How many rows the phases read for each row with a label.
    as_many: float = 1
    if way.startswith("copies-"):
        copies = int(way.removeprefix("copies-"))
        settings["augmentation"] = {"copies": copies, "neighbours_only": True}
        as_many = 1 + copies
    elif way == "task-texts":
        file = other_rows(task, arguments)
        settings["data.unlabelled_file"] = str(file)
        as_many = 1 + file.read_text(encoding="utf-8").count("\n") / arguments.rows
    elif way == "plain-texts":
        settings["data.text_corpus"] = str(arguments.data / BROWN)
        settings["data.text_corpus_rows"] = arguments.rows * (arguments.times - 1)
        as_many = arguments.times
    times = 1 if way == "rows" else arguments.times
    return settings | {f"phases.{place}.epochs": count * times / as_many for place, count in enumerate(epochs)}


def table(results: dict[str, dict[str, dict[str, list[float]]]], arguments: argparse.Namespace) -> str:
    """Markdown: results are task -> way -> seed -> [teacher, start, student]."""
    lines = [
        "# What a student of few rows should read",
        "",
        f"Written by `python benchmarks/few_rows.py --data FOLDER --work FOLDER --rows {arguments.rows} --times "
        f"{arguments.times}`; its first lines say what",
        "is compared. Percent on the validation rows; an empty cell was not run; ± is the standard deviation over the",
        "seeds.",
        "",
        "| task (metric) | teacher | start | " + " | ".join(WAYS) + " |",
        "| --- | ---: | ---: |" + " ---: |" * len(WAYS),
    ]
    for task, ways in results.items():
        teacher, start, _ = next(iter(next(iter(ways.values())).values()))
        cells = [in_words([one[2] for one in ways.get(way, {}).values()]) for way in WAYS]
        name = f"{task.removesuffix('-all')} ({metric_of(task).replace('_', ' ')})"
        lines.append(f"| {name} | {teacher:.1f} | {start:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the table."""
    parser = options(__doc__, TASKS, WAYS)
    parser.set_defaults(seeds=[1], rows=1000)
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    record = arguments.output / "few_rows.json"
    results = json.loads(record.read_text()) if record.exists() else {}
    for seed in arguments.seeds:
        for task in arguments.tasks:
            for way in arguments.ways:
                metric, name = metric_of(task), f"few-{arguments.rows}-{arguments.times}"
                settings = settings_of_way(task, way, seed, arguments)
                run = carry_out(task, settings, arguments.work / task / name / f"{way}-{seed}")
                found = run["metrics"]["teacher"], run["start"], run["metrics"]["student"]
                values = [100 * one[metric] for one in found]
                results.setdefault(task, {}).setdefault(way, {})[str(seed)] = values
                print(task, way, seed, [round(value, 1) for value in values], flush=True)
                arguments.output.mkdir(parents=True, exist_ok=True)
                record.write_text(json.dumps(results, indent=1) + "\n")
    text = table(results, arguments)
    (arguments.output / "few_rows.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
