"""What a teacher's forward gains where it multiplies in bfloat16, and how far its hidden states then are.

    python benchmarks/teacher_precision.py [--rounds 9] [--threads 1]

BERTs with random weights, from the width of a toy to BERT-large's, in fp32 and with products in bfloat16 (what
`DistillationTrainer` does on CPUs with instructions for it), on the same rows in turns. The ratio is that of the
median CPU times. The distance is that of the hidden states after the last layer, against the length of those in fp32.
Writes docs/results/teacher_precision.json and .md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from tinybert_hf.distillation.teachers import bfloat16_products

# Width: heads, layers.
SHAPES = {64: (4, 4), 128: (2, 4), 192: (3, 4), 256: (4, 4), 384: (12, 6), 768: (12, 4), 1024: (16, 4)}
BATCHES = ((32, 24), (8, 128), (2, 512))


def forward(model: BertModel, ids: Tensor, wanted: bool) -> tuple[Tensor, float]:
    """The last hidden states, and the CPU time of the forward."""
    started = time.process_time()
    with torch.no_grad(), bfloat16_products(model, wanted):
        states = model(ids).last_hidden_state
    return states, time.process_time() - started


def measure(width: int, rounds: int) -> list[dict[str, Any]]:
    """One width, each batch."""
    heads, layers = SHAPES[width]
    torch.manual_seed(0)
    shape = {"hidden_size": width, "num_attention_heads": heads, "num_hidden_layers": layers}
    model = BertModel(BertConfig(intermediate_size=4 * width, **shape)).eval().requires_grad_(False)
    results = []
    for rows, length in BATCHES:
        ids = torch.randint(0, 30000, (rows, length))
        seconds: dict[bool, list[float]] = {False: [], True: []}
        states: dict[bool, Tensor] = {}
        for number in range(rounds + 1):
            for wanted in seconds:
                states[wanted], taken = forward(model, ids, wanted)
                if number:  # the first round warms up
                    seconds[wanted].append(taken)
        gain = statistics.median(seconds[False]) / statistics.median(seconds[True])
        distance = float((states[True] - states[False]).norm() / states[False].norm())
        results.append({"width": width, "rows": rows, "length": length, "faster": gain, "distance": distance})
        print(results[-1], flush=True)
    return results


def table(results: list[dict[str, Any]], threads: int) -> list[str]:
    """Markdown."""
    lines = [
        "# A teacher with products in bfloat16",
        "",
        f"Written by `python benchmarks/teacher_precision.py`. {threads} thread(s), torch {torch.__version__},",
        f"{torch.cpu.get_capabilities()['cpu_name']}. How many times as fast a forward is as in fp32; and how far its",
        "last hidden states are from those in fp32, as a share of their length.",
        "",
        f"| width | {' | '.join(f'{rows} x {length} tokens' for rows, length in BATCHES)} | distance |",
        f"| ---: |{' ---: |' * (len(BATCHES) + 1)}",
    ]
    for width in SHAPES:
        own = [one for one in results if one["width"] == width]
        gains = " | ".join(f"{one['faster']:.2f}x" for one in own)
        lines.append(f"| {width} | {gains} | {max(one['distance'] for one in own):.4f} |")
    return lines


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = [one for width in SHAPES for one in measure(width, arguments.rounds)]
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "teacher_precision.json").write_text(json.dumps(results, indent=1) + "\n")
    text = "\n".join(table(results, arguments.threads)) + "\n"
    (arguments.output / "teacher_precision.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
