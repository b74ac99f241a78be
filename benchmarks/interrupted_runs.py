"""Kills a run of three phases at random moments, lets it go on, and compares its end with that of a run left alone.

    python benchmarks/interrupted_runs.py [--kills 100] [--evaluations 50] [--terminations 20] [--output docs/results]

Every second kill falls at a random write to the run's folder, the others at a random time; those of the evaluations
after a random batch of all batches that the run evaluates, every second one by Ctrl-C; SIGTERM at a random time.
A run has attention, hidden-state, embedding and prediction losses, accumulation, dynamic masking, dropout, an
evaluation after each epoch, and a checkpoint every second step. Its end is: weights, projections, optimizer,
scheduler, random numbers, and the log.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import BertTokenizer

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import killed_runs
from conftest import PIECES


def main() -> None:
    """Run all cases, print each, write the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--evaluations", type=int, default=50)
    parser.add_argument("--terminations", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = BertTokenizer(vocab={piece: index for index, piece in enumerate(PIECES)}, model_max_length=64)
    draw = random.Random(options.seed)
    counts: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as base:
        whole = Path(base) / "whole"
        started = time.perf_counter()
        writes, batches = killed_runs.count(whole, tokenizer)
        seconds = time.perf_counter() - started
        expected = killed_runs.outcome(whole)
        for case in range(options.kills + options.evaluations + options.terminations):
            folder = Path(base) / f"case-{case}"
            if case >= options.kills + options.evaluations:
                kind = "SIGTERM at a random time"
                killed_runs.signal_after(folder, tokenizer, draw.uniform(0.1, seconds), signal.SIGTERM)
            elif case >= options.kills:
                number = signal.SIGINT if case % 2 else signal.SIGKILL
                kind = f"{number.name} in an evaluation"
                killed_runs.kill_in_evaluation(folder, tokenizer, draw.randint(1, batches), number)
            elif case % 2:
                kind = "SIGKILL at a random write"
                killed_runs.kill_at_write(folder, tokenizer, draw.randint(1, writes))
            else:
                kind = "SIGKILL at a random time"
                killed_runs.signal_after(folder, tokenizer, draw.uniform(0.1, seconds), signal.SIGKILL)
            status = killed_runs.wait(killed_runs.in_child(lambda folder=folder: killed_runs.train(folder, tokenizer)))
            same = status == 0 and killed_runs.outcome(folder) == expected
            count = counts.setdefault(kind, {"cases": 0, "identical": 0, "did not go on": 0})
            count["cases"] += 1
            count["identical"] += same
            count["did not go on"] += status != 0
            print(case, kind, "identical" if same else f"DIFFERENT (exit {status})", flush=True)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "interrupted_runs.json").write_text(json.dumps(counts, indent=1) + "\n")
    for kind, count in counts.items():
        print(f"{kind}: {count['identical']} of {count['cases']} identical, {count['did not go on']} did not go on")


if __name__ == "__main__":
    main()
