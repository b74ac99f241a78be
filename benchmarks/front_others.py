"""TextBrewer and torchdistill in the time that a student of front.py takes: a table of docs/results/front.md.

    python benchmarks/front_others.py --data FOLDER --work FOLDER \
        --textbrewer-python PYTHON --torchdistill-python PYTHON [--preset 2l-128d] [--rows 20000] [--seed 1]
        [--probe 100] [--seconds N] [--output FOLDER]

FOLDER of the work is that of front.py, with the teacher of SST-2. Each PYTHON is as for other_tools.py, and the tools
are given what they are given there, batches of like length by transformers' own sampler among it. From the same start,
with the same rows, teacher, batch size, rates and warm-up (the losses of one batch are found to be the same, or the
tool is not run):

1. the student's recipe is carried out as by front.py, and its CPU seconds are counted: what run.json has is the clock,
   which goes on while other programs have the processor.
2. each tool runs --probe steps of each phase, which are thrown away. In batches of like length 50 batches after each
   other go from long to short: take a multiple of 50.
3. its number of steps is what fits into the CPU seconds of the student, divided between the phases as there, and the
   rates fall linearly over them.

Every run is kept in the work folder and is not repeated; run it on a quiet machine. Writes front_others.json; `python
benchmarks/front.py --parts report` then brings the table into the page. --seconds stands in for those of the student,
to try it out.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from classifying import where_measured
from front import OTHERS, equal_time, rows_of, settings_of_way
from heads import carry_out, start_of
from other_tools import Bench, Tool
from other_tools_runs import BATCH
from transformers import PreTrainedModel

from tinybert_hf.distillation.layer_map import resolve_layer_map
from tinybert_hf.model import TinyBertConfig

TASK = "sst2-all"
# Accuracy of the start here and in the student's own run, in points: rows are batched otherwise.
SAME = 0.1
SAME_LOSS = 1e-4


class FrontBench(Bench):
    """The start of a student of front.py, and its accuracy.

    Attributes:
        given: the arguments.
        settings: of the student's recipe; without copies of few rows, which the other tools are not given either.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.preset, self.given = arguments.preset, arguments
        self.settings = {**settings_of_way(TASK, self.preset, "distilled", arguments), "augmentation": None}
        depth, layers = TinyBertConfig.from_preset(self.preset).num_hidden_layers, 6
        self.layer_map = dict(resolve_layer_map("uniform", depth, layers).pairs)
        place = arguments.work / TASK
        work = place / f"front-{arguments.rows}" / f"others-{arguments.preset}-{arguments.seed}"
        work.mkdir(parents=True, exist_ok=True)
        own = {"work": work, "teacher": place / "teacher", "validation_rows": None}
        super().__init__(argparse.Namespace(**{**vars(arguments), **own}))
        if self.teacher.config.num_hidden_layers != layers:
            raise SystemExit(f"{place / 'teacher'} has {self.teacher.config.num_hidden_layers} layers, not {layers}.")

    def start(self) -> PreTrainedModel:
        """As in the student's own run."""
        return start_of(TASK, self.settings, self.work / "unused")[0]


def ours(bench: FrontBench) -> dict[str, Any]:
    """run.json of the student, carried out once, and "share": CPU seconds a second of the clock.

    Raises:
        SystemExit: its phases are not those that the other tools know.
    """
    file, folder = bench.work / "ours.json", bench.work / "ours"
    if not file.exists():
        shutil.rmtree(folder, ignore_errors=True)  # begun without an end
        cpu, clock = time.process_time(), time.perf_counter()
        done = carry_out(TASK, bench.settings, folder)
        share = (time.process_time() - cpu) / (time.perf_counter() - clock)
        file.write_text(json.dumps({**done, "share": share}), encoding="utf-8")
    run: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    phases = {phase["name"]: phase for phase in run["recipe"]["phases"]}
    if list(phases) != ["intermediate", "prediction"]:
        raise SystemExit(f"{file} has the phases {', '.join(phases)}; intermediate and prediction are asked for.")
    if wrong := {phase["batch_size"] for phase in phases.values()} - {BATCH}:
        raise SystemExit(f"{file} has batches of {wrong.pop()} rows; the other tools are given {BATCH}.")
    return run


def budget_of(run: dict[str, Any], seconds: float | None = None) -> dict[str, float]:
    """CPU seconds by the phase: all that the student took, or others, divided as its phases were."""
    each = {phase["name"]: float(phase["seconds"]) for phase in run["phases"]}
    total = seconds or run["share"] * run["seconds"]["student"]
    return {name: total * taken / sum(each.values()) for name, taken in each.items()}


def sum_of(losses: dict[str, float]) -> float:
    """Of all losses between layers that a tool says of one batch."""
    return losses["sum"] if "sum" in losses else losses["attention"] + losses["hidden"]


def teach(
    name: str, python: str, bench: FrontBench, plan: dict[str, Any], budget: dict[str, float], loss: float
) -> dict[str, Any]:
    """A tool's student in a given time.

    Args:
        name: of the tool.
        python: its interpreter.
        bench: rows, teacher and start.
        plan: fields of a `Plan`; its steps are those of the measurement before.
        budget: CPU seconds by the phase.
        loss: of this package, between the layers of one batch.

    Returns:
        Version, steps by the phase, CPU seconds, accuracy in percent; {"error": ...} where it fails, or where its
        losses of one batch are not those of this package.
    """
    tool, seed = Tool(name, python, bench), int(bench.given.seed)
    try:
        one_batch = tool.ask(f"{name}-losses", losses=True, plan=plan)
        if "error" in one_batch:
            return one_batch
        theirs = sum_of(one_batch["losses"])
        if not math.isclose(theirs, loss, rel_tol=SAME_LOSS):
            return {"error": f"the losses of one batch are {theirs:.6f}, and ours {loss:.6f}"}
        probe = tool.ask(f"{name}-probe-{bench.given.probe}", like_lengths=True, seed=seed, plan=plan)
        if "error" in probe:
            return probe
        rates = {phase: plan["steps"][phase] / probe["seconds"][phase]["cpu"] for phase in budget}
        steps = {phase: max(1, int(rates[phase] * budget[phase])) for phase in budget}
        print(name, {phase: f"{BATCH * rate:.0f} rows/s" for phase, rate in rates.items()}, steps, flush=True)
        folder = "-".join([name, *map(str, steps.values())])
        found = tool.ask(folder, like_lengths=True, seed=seed, plan={**plan, "steps": steps})
    finally:
        tool.end()
    if "error" in found:
        return found
    taken = {phase: found["seconds"][phase]["cpu"] for phase in budget}
    about = {"version": found["versions"][name.lower()], "steps": steps}
    return {**about, "seconds": sum(taken.values()), "by_phase": taken, "accuracy": found["accuracy"]}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Our run and those of the other tools."""
    bench = FrontBench(arguments)
    run = ours(bench)
    start = bench.accuracy(bench.student)
    if abs(start - 100 * run["start"]["accuracy"]) > SAME:
        raise SystemExit(f"The start has {start:.2f} here and had {100 * run['start']['accuracy']:.2f} in the run.")
    loss = sum_of(bench.own_losses())
    phases = {phase["name"]: phase for phase in run["recipe"]["phases"]}
    budget = budget_of(run, arguments.seconds)
    plan = {
        "layer_map": bench.layer_map,
        "rates": {name: phase["learning_rate"] for name, phase in phases.items()},
        "warmup": {name: phase["warmup_ratio"] for name, phase in phases.items()},
        "steps": dict.fromkeys(budget, arguments.probe),
    }
    accuracy = run["metrics"]["student"]["accuracy"]
    tools: dict[str, dict[str, Any]] = {
        "tinybert_hf": {
            "version": run["versions"]["tinybert_hf"],
            "steps": {phase["name"]: phase["steps"] for phase in run["phases"]},
            "seconds": sum(budget_of(run).values()),
            "accuracy": 100 * accuracy,
        }
    }
    pythons = {"TextBrewer": arguments.textbrewer_python, "torchdistill": arguments.torchdistill_python}
    for name, python in pythons.items():
        tools[name] = teach(name, python, bench, plan, budget, loss)
        print(name, tools[name], flush=True)
    about = {"preset": arguments.preset, "rows": len(bench.rows), "validation_rows": len(bench.validation)}
    about |= {"batch": BATCH, "probe": arguments.probe, "where": where_measured(), "seed": arguments.seed}
    about |= {"rates": plan["rates"], "start": start, "budget": budget}
    about["standard_error"] = 100 * math.sqrt(accuracy * (1 - accuracy) / len(bench.validation))
    return {**about, "tools": tools}


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/tasks"))
    parser.add_argument("--textbrewer-python", required=True)
    parser.add_argument("--torchdistill-python", required=True)
    parser.add_argument("--preset", default="2l-128d")
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--probe", type=int, default=100, help="steps that the speed is taken from")
    parser.add_argument("--seconds", type=float, help="of the CPU, instead of those of the student")
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    arguments = parser.parse_args()
    arguments.rows, arguments.data = rows_of(TASK, arguments), arguments.data.absolute()
    torch.set_num_threads(1)
    found = measure(arguments)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / OTHERS).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print("\n".join(equal_time(found)))


if __name__ == "__main__":
    main()
