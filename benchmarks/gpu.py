"""Everything that is to be known of a GPU, in one run of at most nine minutes: written for one NVIDIA H200.

    python benchmarks/gpu.py [--json FILE] [--parts PART ...] [--minutes 9]

Ours is the trainer of a general distillation as it is, intermediate phase, in bf16. Plain is the usual procedure on
the same rows, written plainly: eager attention in both models, `output_attentions` and `output_hidden_states`, the
mean squared error of all mapped maps and projected states, autocast to bf16. All models have random weights, all
tokens are random: the speed does not depend on them, and nothing is downloaded.

    general    a teacher of BERT-base's shape into 4l-312d and 6l-768d, 256 x 128 and 64 x 512 tokens a step
    lengths    the same into 4l-312d, 512 to 8,192 tokens a row, 32,768 a step
    teacher    the teacher's weights in bfloat16 (`teacher.dtype`) beside fp32
    inference  teacher and students as classifiers, batches of 1 and 256, fp32 and bf16
    compiled   a step with `torch_compile`, and without
    report     the page, from the JSON

The first steps of each run only warm up; runs take turns, every other round backwards, and the median of the rounds
counts. The seconds of a step are those of a stretch of steps, the GPU waited for at both ends; those of a forward in
`inference`, of one call. Memory is `torch.cuda.max_memory_allocated` over the timed steps. A step's operations are
those of its matrix products: with H and I the widths, L the length, 8 H^2 + 4 H I + 4 H L for a token and layer;
once for the teacher (a forward), three times for the student (forward and backward) and its projections, 2 Hs Ht
each. Their share of the rate is that of a product of two matrices of 8,192 x 8,192 in bf16 in the same run.

The JSON is written after every row; where it is there already, from the same machine, other parts are kept. What does
not fit into --minutes is skipped and named. A part that fails is named with its error, the next goes on, and the exit
status is 1. The plain procedure's running out of memory is a result.

To try it on a CPU (a minute or two; into runs/):

    python benchmarks/gpu.py --tiny

On a machine without network that has Python, torch and a driver. Here, with the Python version of that machine (torch
is there, so it is left out, and so are datasets and evaluate, which are not needed):

    python -m pip download --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux_2_28_x86_64 \
        --platform manylinux_2_17_x86_64 -d wheels \
        "transformers>=5.23" accelerate huggingface_hub tokenizers safetensors

There, in the project's folder with wheels/ beside it (what is missing besides, pip says: add it to the line above):

    python3 -m pip install --no-index --find-links wheels "transformers>=5.23" accelerate
    PYTHONPATH=. python3 benchmarks/gpu.py --json gpu.json

And here again, with the JSON that came back, docs/results/gpu.md and gpu.json:

    python benchmarks/gpu.py --parts report --json gpu.json
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpu_tables import TITLES, page

ROOT = Path(__file__).resolve().parent.parent
# What each part may take of the time, beside the others; what one leaves goes to those after it.
SHARES = {"general": 32, "lengths": 26, "teacher": 10, "inference": 7, "compiled": 25}
REPORT = "report"


class OutOfTimeError(BaseException):
    """Not an Exception, so that nothing on the way takes it for an error of its own."""


class Budget:
    """The seconds of the run."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def left(self) -> float:
        """Of the whole run."""
        return self._ends - time.monotonic()

    def share(self, part: str, following: list[str]) -> float:
        """Seconds for a part, some being left for those that follow."""
        return self.left() * SHARES[part] / sum(SHARES[one] for one in (part, *following))


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise OutOfTimeError in the block once the seconds are over, and again every few seconds until it has ended."""
    is_open = True

    def ring(number: int, frame: Any) -> None:
        if is_open:
            raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.01), 5.0)
    try:
        yield
    finally:
        is_open = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Results:
    """The JSON, written whenever something is added."""

    def __init__(self, file: Path, machine: dict[str, Any], tiny: bool) -> None:
        """Go on with a file that is there.

        Args:
            file: of the results.
            machine: device and versions.
            tiny: the sizes are those of a trial.
        """
        self.file = file
        self.content: dict[str, Any] = {"machine": machine, "tiny": tiny, "parts": {}}
        if file.exists():
            kept = read(file)
            if (kept.get("machine"), kept.get("tiny")) != (machine, tiny):
                sys.exit(
                    f"{file} holds results of another machine, of other versions or of other sizes: name another file "
                    "with --json, or remove it."
                )
            self.content = kept
        self.write()

    def part(self, name: str, started: dict[str, Any]) -> dict[str, Any]:
        """A part, begun anew."""
        self.content["parts"][name] = started
        self.write()
        return started

    def write(self) -> None:
        """Beside, and then in its place: a run may be ended at any time."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.file.with_name(f"{self.file.name}.unfinished")
        unfinished.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")
        os.replace(unfinished, self.file)


def read(file: Path) -> dict[str, Any]:
    """Results that were written; the run ends where they cannot be read."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"{file} cannot be read as results of this benchmark: {error}")
    if not isinstance(content, dict) or not {"machine", "tiny", "parts"} <= content.keys():
        sys.exit(f"{file} holds no results of this benchmark.")
    return content


def measure(results: Results, parts: list[str], device: Any, sizes: Any, budget: Budget) -> None:
    """Each part in turn; what fails, and what does not fit, is noted."""
    from gpu_bench import Bench, matrix_rate
    from gpu_runs import PARTS

    rate = matrix_rate(device, sizes.matrix)
    print(f"matrix products in bf16: {rate / 1e12:,.2f} TFLOP/s", flush=True)
    for index, name in enumerate(parts):
        seconds = budget.share(name, parts[index + 1 :])
        started = time.monotonic()
        ends = started + seconds
        part = results.part(name, {"matrix_rate": rate, "matrix_size": sizes.matrix, "rows": [], "skipped": []})

        def note(row: dict[str, Any], part: dict[str, Any] = part, name: str = name) -> None:
            part["rows"].append(row)
            results.write()
            print(name, json.dumps(row), flush=True)

        bench = Bench(sizes, device, rate, ends, note)
        try:
            if seconds <= 0:
                raise OutOfTimeError
            with at_most(seconds):
                PARTS[name](bench)
        except OutOfTimeError:
            part["ended"] = f"the {max(seconds, 0):.0f} s that it had were over"
        except Exception as error:
            part["error"] = f"{type(error).__name__}: {error}"[:500]
        part["skipped"] = [*bench.skipped, *bench.pending]
        part["seconds"] = time.monotonic() - started
        device.free()
        results.write()
        print(f"{name}: {part['seconds']:.0f} s{''.join(f'; {one}' for one in troubles(part))}", flush=True)


def troubles(part: dict[str, Any]) -> list[str]:
    """What of a part failed, or was not measured, in words."""
    found = [f"failed: {part['error']}"] if "error" in part else []
    found += [f"ended early: {part['ended']}"] if "ended" in part else []
    found += [f"not measured: {', '.join(part['skipped'])}"] if part["skipped"] else []
    return [*found, *(f"failed: {said}" for said in failures(part))]


def failures(part: dict[str, Any]) -> list[str]:
    """What failed within the rows; running out of memory is no failure of the plain procedure."""
    return [
        f"{row['name']}, {name}: {way.get('error') or way['out_of_memory']}"
        for row in part["rows"]
        for name, way in row["ways"].items()
        if "error" in way or ("out_of_memory" in way and not name.startswith("plain"))
    ]


def write_page(content: dict[str, Any], file: Path, target: Path) -> None:
    """The page, and the JSON beside it.

    Args:
        content: of the JSON.
        file: that it stands in.
        target: the page.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    said = {name: troubles(part) for name, part in content["parts"].items()}
    target.write_text(page(content, said), encoding="utf-8")
    beside = target.with_suffix(".json")
    if beside.resolve() != file.resolve():
        beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"{target} and {beside} are written.")


def results_folder(device: str, tiny: bool) -> Path:
    """Where results go: those of a CPU, and of a trial, not among the results."""
    return ROOT / "docs" / "results" if device == "cuda" and not tiny else ROOT / "runs"


def choose_device(wanted: str | None, tiny: bool) -> str:
    """The device; the run ends where there is no GPU and a CPU was not asked for."""
    import torch

    is_there = torch.cuda.is_available()
    if wanted == "cuda" and not is_there:
        sys.exit("--device cuda: torch sees no GPU here.")
    if wanted is None and not is_there and not tiny:
        sys.exit(
            "There is no GPU here (torch.cuda.is_available() is False), and on a CPU these sizes take hours. To try "
            "the script: --tiny. If a CPU is meant: --device cpu."
        )
    return wanted or ("cuda" if is_there else "cpu")


def main() -> None:
    """Measure, write, and say by the exit status whether all went well."""
    begun = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=(*SHARES, REPORT), default=[*SHARES, REPORT])
    parser.add_argument("--minutes", type=float, default=9.0, help="that the whole run may take")
    parser.add_argument("--json", type=Path, help="default: docs/results/gpu.json; of a CPU, or tiny, in runs/")
    parser.add_argument("--device", choices=("cuda", "cpu"), help="default: the GPU")
    parser.add_argument("--tiny", action="store_true", help="small models and few steps, to try the script")
    given = parser.parse_args()
    if given.minutes <= 0:
        parser.error("--minutes has to be above 0")
    parts = [name for name in SHARES if name in given.parts]
    if parts:
        chosen = choose_device(given.device, given.tiny)
        from gpu_bench import TINY, Device, Sizes, settle

        settle()
        device = Device(chosen)
        file = given.json or results_folder(chosen, given.tiny) / "gpu.json"
        results = Results(file, device.describe(), given.tiny)
        budget = Budget(60 * given.minutes - (time.monotonic() - begun))
        measure(results, parts, device, TINY if given.tiny else Sizes(), budget)
        content = results.content
    else:
        file = given.json or results_folder(given.device or "cuda", given.tiny) / "gpu.json"
        content = read(file)
    if REPORT in given.parts:
        write_page(content, file, results_folder(content["machine"]["device"], content["tiny"]) / "gpu.md")
    missing = [name for name in parts if content["parts"][name]["skipped"] or "ended" in content["parts"][name]]
    if missing:
        print(f"Not all was measured of: {', '.join(f'{name} ({TITLES[name]})' for name in missing)}.")
    if any("error" in content["parts"][name] or failures(content["parts"][name]) for name in parts):
        sys.exit(1)


if __name__ == "__main__":
    main()
