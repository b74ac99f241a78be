"""What a student loses that learns in bfloat16: docs/results/precision_accuracy.md.

    python benchmarks/precision_accuracy.py --data FOLDER --work FOLDER [--tasks TASK ...] [--seeds N ...] [--rows N]

For a CPU that multiplies bfloat16 natively. The teachers are those of `python benchmarks/tasks.py --parts teachers
--fp32`, in the same work folder, and have seen all rows of their task; the student, a 4l-312d that starts from its
teacher, learns from the first --rows of them by the shipped recipe, without copies: `bf16` as shipped, `fp32` with
training_arguments.bf16=false. All students are measured in fp32.

Every run is kept in the work folder and is not repeated.
"""

from __future__ import annotations

import json
import statistics
from typing import Any

import torch
from heads import carry_out, in_words, metric_of, options, settings_of
from pages import paragraph

from tinybert_hf.distillation.teachers import multiplies_in_bfloat16
from tinybert_hf.model import TinyBertConfig, TinyBertForSequenceClassification

PRESET = "4l-312d"
TASKS = ("sst2-all", "stsb-all", "cola-all")
WAYS = ("fp32", "bf16")
Results = dict[str, dict[str, dict[str, list[float]]]]


def settings_of_way(task: str, way: str, seed: int, arguments: Any) -> dict[str, Any]:
    """Of a recipe."""
    settings = settings_of(task, seed, arguments, **{"student.preset": PRESET})
    if way == "fp32":
        settings["training_arguments"] = {**settings["training_arguments"], "bf16": False}
    return settings


def measure(task: str, way: str, seed: int, arguments: Any) -> list[float]:
    """The metric of teacher and student in percent."""
    folder = arguments.work / task / f"precision-{arguments.rows}" / f"{way}-{seed}"
    run = carry_out(task, settings_of_way(task, way, seed, arguments), folder)
    assert {phase["student_bf16"] for phase in run["phases"]} == {way == "bf16"}, folder
    return [100 * run["metrics"][who][metric_of(task)] for who in ("teacher", "student")]


def table(results: Results, rows: int) -> str:
    """Markdown: results are task -> way -> seed -> [teacher, student]."""
    lines = [
        "# A student that learns in bfloat16",
        "",
        *paragraph(
            f"Written by `python benchmarks/precision_accuracy.py --data FOLDER --work FOLDER --rows {rows} "
            f"--tasks {' '.join(results)}`; its first lines say what is compared. Percent on the validation "
            "rows; ± is the standard deviation over the "
            f"seeds, behind the mean of the differences its standard error. torch {torch.__version__}."
        ),
        "",
        "| task (metric), teacher | seeds | fp32 | bf16 | difference |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for task, ways in results.items():
        seeds = [seed for seed in ways["fp32"] if seed in ways.get("bf16", {})]
        if not seeds:
            continue
        found = {way: [ways[way][seed] for seed in seeds] for way in WAYS}
        apart = [new[1] - old[1] for old, new in zip(found["fp32"], found["bf16"], strict=True)]
        error = statistics.stdev(apart) / len(apart) ** 0.5 if len(apart) > 1 else float("nan")
        cells = " | ".join(in_words([one[1] for one in found[way]]) for way in WAYS)
        name = f"{task.removesuffix('-all')} ({metric_of(task).replace('_', ' ')}), {found['fp32'][0][0]:.1f}"
        lines.append(f"| {name} | {len(seeds)} | {cells} | {statistics.fmean(apart):+.2f} ± {error:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the table."""
    parser = options(__doc__, TASKS, WAYS)
    parser.set_defaults(seeds=[1, 2, 3, 4, 5], rows=1000)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if not multiplies_in_bfloat16(TinyBertForSequenceClassification(TinyBertConfig.from_preset(PRESET))):
        parser.error("this processor does not multiply bfloat16 natively, so every student learns in fp32")
    record = arguments.output / "precision_accuracy.json"
    kept: dict[str, Results] = json.loads(record.read_text()) if record.exists() else {}
    results = kept.setdefault(str(arguments.rows), {})
    for task in arguments.tasks:
        for seed in arguments.seeds:
            for way in arguments.ways:
                values = measure(task, way, seed, arguments)
                results.setdefault(task, {}).setdefault(way, {})[str(seed)] = values
                print(task, way, seed, [round(value, 2) for value in values], flush=True)
                arguments.output.mkdir(parents=True, exist_ok=True)
                record.write_text(json.dumps(kept, indent=1) + "\n")
    text = table(results, arguments.rows)
    (arguments.output / "precision_accuracy.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
