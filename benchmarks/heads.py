"""What becomes of the head in the phase that learns hidden states: docs/results/heads.md.

    python benchmarks/heads.py --data FOLDER --work FOLDER [--tasks TASK ...] [--seeds N ...] [--rows 2000]

The teachers are those of `python benchmarks/tasks.py --parts teachers --fp32`, in the same work folder, and have seen
all rows of their task; the student, a 4l-312d that starts from its teacher, learns from the first --rows of them by
the shipped recipe, without copies. Three ways through its first phase:

- follows: as shipped. The head is made of the teacher's, seen through a map that is solved on example rows.
- stays: as published (`follow_head: false`). The second phase begins with the same weights but for the head, which
  is that of the start, so the first phase is not run again: training is the same to the last bit, by a test.
- joint: the teacher's answers are learnt from the first step on (phases.0.name=joint), so the head is trained.

Every run is kept in the work folder and is not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors.torch import load_file
from task_settings import EVERY_TASK
from tasks import QUIET, data_of
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tinybert_hf import load_recipe, run_recipe
from tinybert_hf.distillation.architecture import head_of
from tinybert_hf.recipes.models import make_start, open_teacher
from tinybert_hf.recipes.plan import make_plan
from tinybert_hf.recipes.run import Run

TASKS = ("cola-all", "mrpc-all", "wnut17")
WAYS = ("follows", "stays", "joint")
SCREEN = Console(width=160)
MOMENTS = ("start", "after the first phase", "end")


def settings_of(task: str, seed: int, arguments: argparse.Namespace, **more: Any) -> dict[str, Any]:
    """Of a run that learns from few rows."""
    data = {f"data.{name}": value for name, value in data_of(task, arguments.data, arguments.work).items()}
    data["data.max_train_rows"] = arguments.rows
    own = {
        "teacher.model": str(arguments.work / task / "teacher"),
        "baseline": None,
        "augmentation": None,
        "seed": seed,
    }
    return {**data, **own, "training_arguments": QUIET, **more}


def metric_of(task: str) -> str:
    """The one that is 0 where nothing was learnt."""
    return EVERY_TASK[task].strict_metric or EVERY_TASK[task].metric


def carry_out(task: str, settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """run.json of a run; a finished one is not repeated."""
    if not (folder / "run.json").exists():
        run_recipe(load_recipe(EVERY_TASK[task].recipe, {**settings, "output_dir": str(folder)}), SCREEN)
    content: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return content


def start_of(task: str, settings: dict[str, Any], unused: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The student of a run before its first step, and its tokenizer; nothing is written.

    Args:
        task: by its name.
        settings: of its recipe.
        unused: a folder that the recipe names for its output.
    """
    plan = make_plan(load_recipe(EVERY_TASK[task].recipe, {**settings, "output_dir": str(unused)}))
    run = Run(plan, Console(quiet=True))
    run.teacher, run.tokenizer = open_teacher(plan, run.steps)
    run.teacher.eval()
    return make_start(plan, run.teacher, run.steps), run.tokenizer


def with_head_of_the_start(task: str, settings: dict[str, Any], first: Path, target: Path) -> Path:
    """The student of a first phase, its head as it was before that phase."""
    if (target / "config.json").exists():
        return target
    start, tokenizer = start_of(task, settings, target / "unused")
    head = head_of(start)
    assert head is not None
    own = {id(parameter) for layer in head.layers for parameter in layer.parameters()}
    kept = {name: value.detach().clone() for name, value in start.named_parameters() if id(value) in own}
    start.load_state_dict({**load_file(first / "model.safetensors"), **kept})
    start.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return target


def measure(task: str, seed: int, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """The metric at its three moments, by the way through the first phase."""
    metric, place = metric_of(task), arguments.work / task / f"head-{arguments.rows}-{seed}"
    settings = {**settings_of(task, seed, arguments), "student.preset": "4l-312d"}
    resolved = load_recipe(EVERY_TASK[task].recipe, settings).as_dict()["phases"]
    first = carry_out(task, {**settings, "phases": resolved[:1]}, place / "first")
    found = {"teacher": [100 * first["metrics"]["teacher"][metric]]}
    models = {"follows": place / "first"}
    if "stays" in arguments.ways:
        models["stays"] = with_head_of_the_start(task, settings, place / "first", place / "stays-start")
    for way, model in models.items():
        second = {"student.preset": None, "student.model": str(model), "phases": resolved[1:]}
        rest = carry_out(task, {**settings, **second}, place / way)
        each = first["start"], rest["start"], rest["metrics"]["student"]
        found[way] = [100 * one[metric] for one in each]
    if "joint" in arguments.ways:
        phases = [{**resolved[0], "name": "joint"}, resolved[1]]
        whole = carry_out(task, {**settings, "phases": phases}, place / "joint")
        each = whole["start"], whole["phases"][0]["metrics"], whole["metrics"]["student"]
        found["joint"] = [100 * one[metric] for one in each]
    print(task, seed, {way: [round(value, 1) for value in values] for way, values in found.items()}, flush=True)
    return found


def in_words(values: list[float]) -> str:
    """Mean and spread over seeds."""
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.1f}{spread}"


def table(results: dict[str, dict[str, dict[str, list[float]]]], rows: int) -> str:
    """Markdown: results are task -> seed -> way -> values."""
    seeds_of = sorted({seed for seeds in results.values() for seed in seeds})
    ways = [way for way in WAYS if any(way in one for seeds in results.values() for one in seeds.values())]
    lines = [
        "# The head in the first phase",
        "",
        "Written by `python benchmarks/heads.py --data FOLDER --work FOLDER --rows "
        f"{rows} --tasks {' '.join(results)} --seeds {' '.join(seeds_of)} --ways {' '.join(ways)}`; its first lines",
        "say what is compared.",
        "Percent on the validation rows; ± is the standard deviation over the seeds.",
        "",
        "| task (metric), teacher | way through the first phase | seeds | start | after the first phase | end |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for task, seeds in results.items():
        teacher = next(iter(seeds.values()))["teacher"][0]
        for way in WAYS:
            values = [one[way] for one in seeds.values() if way in one]
            if values:
                cells = " | ".join(in_words([one[moment] for one in values]) for moment in range(len(MOMENTS)))
                name = f"{task.removesuffix('-all')} ({metric_of(task).replace('_', ' ')}), {teacher:.1f}"
                lines.append(f"| {name} | {way} | {len(values)} | {cells} |")
    return "\n".join(lines) + "\n"


def options(description: str | None, tasks: tuple[str, ...], ways: tuple[str, ...]) -> argparse.ArgumentParser:
    """Of a benchmark that runs recipes on few rows, in several ways."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/tasks"))
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    parser.add_argument("--tasks", nargs="+", choices=tasks, default=tasks)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--ways", nargs="+", choices=ways, default=ways)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser


def main() -> None:
    """Measure, and write the table."""
    arguments = options(__doc__, TASKS, WAYS).parse_args()
    torch.set_num_threads(arguments.threads)
    record = arguments.output / "heads.json"
    results = json.loads(record.read_text()) if record.exists() else {}
    for seed in arguments.seeds:
        for task in arguments.tasks:
            results.setdefault(task, {})[str(seed)] = measure(task, seed, arguments)
            arguments.output.mkdir(parents=True, exist_ok=True)
            record.write_text(json.dumps(results, indent=1) + "\n")
    text = table(results, arguments.rows)
    (arguments.output / "heads.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
