"""How long a file of JSON lines takes to be read, beside `datasets.load_dataset`.

    python benchmarks/reading.py [--rows 1000000] [--rounds 3]

Rows of 5 to 25 words and a label are written, and read in turn: by this package, into lists of texts and labels; by
`datasets` with an empty cache, into its table; and by `datasets` into lists as well, since labels are looked at there.
The last line reads the rows and checks texts and labels, as a command does before it begins. Seconds on the clock and
of the CPU, medians of the rounds. Writes docs/results/reading.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets

from tinybert_hf.data import TASKS, DataSettings
from tinybert_hf.data.files import read_file

WORDS = [
    "the",
    "film",
    "was",
    "a",
    "fine",
    "slow",
    "dull",
    "warm",
    "joke",
    "story",
    "plot",
    "ending",
    "clever",
    "weak",
]
OURS, TABLE, LISTS, TASK = (
    "`read_file`",
    "`load_dataset`",
    "`load_dataset`, then lists",
    "rows, texts and labels checked",
)


def write_rows(path: Path, rows: int) -> None:
    """JSON lines with a text and a label."""
    draw = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for index in range(rows):
            text = " ".join(draw.choices(WORDS, k=draw.randint(5, 25)))
            file.write(json.dumps({"text": text, "label": index % 2}) + "\n")


def load(path: Path, *, as_lists: bool) -> Any:
    """With a cache of its own, so that nothing is there yet."""
    with tempfile.TemporaryDirectory() as cache:
        loaded = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=cache)
        return (loaded["text"][:], loaded["label"][:]) if as_lists else loaded


def measure(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds on the clock and of the CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in (OURS, TABLE, LISTS, TASK)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        write_rows(path, arguments.rows)
        megabytes = path.stat().st_size / 1e6
        works = {
            OURS: lambda: read_file(str(path), ("text", "label")),
            TABLE: lambda: load(path, as_lists=False),
            LISTS: lambda: load(path, as_lists=True),
            TASK: lambda: TASKS["text-classification"].load(DataSettings(train_file=str(path)), need_validation=False),
        }
        for _ in range(arguments.rounds):
            for name, work in works.items():
                seconds[name].append(measure(work))
    middle = {name: [statistics.median(part) for part in zip(*found, strict=True)] for name, found in seconds.items()}
    text = "\n".join(
        [
            "# Reading",
            "",
            f"Written by `python benchmarks/reading.py`: {arguments.rows:,} rows of JSON lines ({megabytes:.0f} MB),",
            f"median of {arguments.rounds} rounds that take turns; {os.cpu_count()} cores ({platform.machine()}), "
            f"shared with other work, datasets {datasets.__version__}.",
            "",
            "| what | seconds | CPU seconds | of `load_dataset` (CPU) |",
            "| --- | ---: | ---: | ---: |",
            *(
                f"| {name} | {clock:.2f} | {cpu:.2f} | {clock / middle[TABLE][0]:.2f} ({cpu / middle[TABLE][1]:.2f}) |"
                for name, (clock, cpu) in middle.items()
            ),
            "",
        ]
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "reading.json").write_text(json.dumps(seconds, indent=1) + "\n")
    (arguments.output / "reading.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
