"""Damages each kind of file in many ways, opens it, and prints what became of it.

    python benchmarks/hostile_files.py --cases 1000 [--only TEXT]

A case is "same" (bit-equal weights, equal rows, equal settings), "our error" (with the name of the file), "legit
different" (what a changed recipe or data file now says; a changed configuration or tokenizer, opened with a notice),
or a failure: another library's error, a hang, a filled memory, a result that is silently another one. A run over all
kinds writes docs/results/hostile_files.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))


def main() -> int:
    """Run, print, and say by the exit status whether there was a failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000, help="of each kind")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds whose name holds this")
    options = parser.parse_args()

    import datasets
    import torch
    import transformers
    from hostile.cases import kinds, run_kind
    from hostile.sandbox import DIFFERENT, FAILED, REFUSED, SAME

    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    columns = (SAME, REFUSED, DIFFERENT, FAILED)
    failures = 0
    table = [f"| kind | cases | {' | '.join(columns)} | seconds |", "| --- |" + " ---: |" * (len(columns) + 2)]
    print("\n".join(table), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        seeds = range(options.first_seed, options.first_seed + options.cases)
        for name, kind in kinds(Path(folder)).items():
            if options.only not in name:
                continue
            started = time.perf_counter()
            outcomes = run_kind(kind, seeds)
            seconds = time.perf_counter() - started
            counts = " | ".join(str(outcomes.counts[column]) for column in columns)
            table.append(f"| {name} | {len(seeds)} | {counts} | {seconds:.0f} |")
            print(table[-1], flush=True)
            for failure in outcomes.failures[:40]:
                print(f"  {failure}", file=sys.stderr, flush=True)
            failures += outcomes.counts[FAILED]
            if list(Path(folder).rglob("executed")):
                failures += 1
                print(f"  {name}: something of a file was executed", file=sys.stderr)
        os.chdir("/")
    if not options.only:
        page = [
            "# Damaged files",
            "",
            f"Written by `python benchmarks/hostile_files.py --cases {options.cases} --first-seed "
            f"{options.first_seed}`;",
            "what the columns mean stands there. The failures, which were to be none, are printed with their seeds.",
            "",
            *table,
        ]
        file = ROOT / "docs" / "results" / "hostile_files.md"
        file.write_text("\n".join(page) + "\n", encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
