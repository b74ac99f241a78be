"""How long the package and its command take to be there.

    python benchmarks/start_up.py [--rounds 7]

Each line is run in a process of its own; the rounds take turns. `import transformers` alone loads no model code: what
`import tinybert_hf` is compared with is transformers with the classes that any user of a model loads. CPU time, since
others may share the machine. Writes docs/results/start_up.json and .md.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

TRANSFORMERS = "import transformers; transformers.AutoModel; transformers.BertForSequenceClassification"
COMMAND = str(Path(sys.executable).parent / "tinybert")
LINES = {
    TRANSFORMERS: [sys.executable, "-c", TRANSFORMERS],
    "import tinybert_hf": [sys.executable, "-c", "import tinybert_hf"],
    "tinybert --help": [COMMAND, "--help"],
    "tinybert distill --help": [COMMAND, "distill", "--help"],
    "tinybert distill sst2 --no-such-flag": [COMMAND, "distill", "sst2", "--no-such-flag"],
}


def cpu_seconds(arguments: list[str]) -> float:
    """User and system time of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(arguments, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def table(seconds: dict[str, list[float]]) -> list[str]:
    """Markdown."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = [own / theirs for own, theirs in zip(seconds["import tinybert_hf"], seconds[TRANSFORMERS], strict=True)]
    return [
        "# Start-up",
        "",
        f"Written by `python benchmarks/start_up.py`. CPU seconds, median of {len(ratios)} rounds.",
        "",
        "| line | seconds |",
        "| --- | ---: |",
        *(f"| `{name}` | {median:.2f} |" for name, median in medians.items()),
        "",
        f"`import tinybert_hf` takes {statistics.median(ratios):.2f} times what the first line takes (rounds:",
        f"{', '.join(f'{one:.2f}' for one in sorted(ratios))}).",
    ]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in LINES}
    for line in LINES.values():
        cpu_seconds(line)  # the files come from the disk once
    for _ in range(arguments.rounds):
        for name, line in LINES.items():
            seconds[name].append(cpu_seconds(line))
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "start_up.json").write_text(json.dumps(seconds, indent=1) + "\n")
    text = "\n".join(table(seconds)) + "\n"
    (arguments.output / "start_up.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
