"""What half precision costs in accuracy: the student of the demo in fp32 and in bf16, from the same seeds.

    python benchmarks/precision_accuracy.py [--seeds 1 2 3 ...] [--work runs/precision_accuracy]

The demo's recipe (generated sentences, a small teacher) makes one teacher; then its student is distilled once for each
seed and each format, everything else equal. Runs are kept in the work folder and not repeated. Writes
docs/results/precision_accuracy.md.
"""

from __future__ import annotations

import argparse
import io
import statistics
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from tinybert_hf.recipes.loader import load_recipe
from tinybert_hf.recipes.run import run_recipe

FORMATS: dict[str, dict[str, Any]] = {"fp32": {}, "bf16": {"training_arguments.bf16": True}}


def accuracy(folder: Path, changes: dict[str, Any]) -> float:
    """Of the student of one run."""
    given = {
        "baseline": None,
        "phases.0.learning_rate": 2e-3,  # the demo's when this was measured
        "training_arguments.use_cpu": not torch.cuda.is_available(),
        **changes,
    }
    recipe = load_recipe("demo", {**given, "output_dir": str(folder)})
    return float(run_recipe(recipe, Console(file=io.StringIO())).metrics["student"]["accuracy"])


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6, 7, 8])
    parser.add_argument("--work", type=Path, default=Path("runs/precision_accuracy"))
    options = parser.parse_args()
    accuracy(options.work / "first", {})
    teacher = {"teacher.config": None, "teacher.finetune": None, "teacher.model": str(options.work / "first/teacher")}
    lines = [
        "# Half precision and accuracy",
        "",
        "Written by `python benchmarks/precision_accuracy.py`: the student of `tinybert distill demo` on its",
        "validation rows, its first phase at a rate of 2e-3; each seed once in each format; "
        f"{'GPU' if torch.cuda.is_available() else 'CPU'}, torch {torch.__version__}.",
        "",
        f"| format | {' | '.join(f'seed {seed}' for seed in options.seeds)} | mean | spread |",
        f"| --- |{' ---: |' * (len(options.seeds) + 2)}",
    ]
    for name, changes in FORMATS.items():
        reached = [
            accuracy(options.work / f"{name}-{seed}", {**teacher, **changes, "seed": seed}) for seed in options.seeds
        ]
        spread = f"{100 * (max(reached) - min(reached)):.2f}"
        metrics = " | ".join(f"{100 * one:.2f}" for one in reached)
        lines.append(f"| {name} | {metrics} | {100 * statistics.fmean(reached):.2f} | {spread} |")
        print(lines[-1], flush=True)
    file = Path(__file__).resolve().parent.parent / "docs" / "results" / "precision_accuracy.md"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
