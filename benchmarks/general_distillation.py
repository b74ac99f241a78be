"""Tokens per second of a general distillation, ours against the plain procedure, side by side.

    python benchmarks/general_distillation.py --data FOLDER [--rounds 12] [--threads 1]

The plain procedure: a sentence a row, padded to 128; eager attention in both models, the maps and the hidden states
of every layer built and compared. Ours: sentences packed into blocks of up to 128 tokens by
`tinybert_hf.data.corpus`, batches of like length as the trainer draws them, and `Objective`. Between them, the
plain step on our blocks: what the packing alone gives; and our step with torch's own dropout and a student in fp32.
Teacher, student, losses and optimizer are the same; the rounds alternate in one process, and each step is timed
when it is taken a second time. Only real tokens count. Beside it, the time in which our rows are read and collated,
which the step has to wait for. Writes docs/results/general_distillation.json and .md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from step_time import Models, pretrained_folder
from torch import Tensor
from transformers import AutoTokenizer

from tinybert_hf.data.corpus import BlockCollator, CorpusBlocks, open_blocks
from tinybert_hf.data.corpus_sources import find_sources
from tinybert_hf.data.settings import CorpusSettings
from tinybert_hf.training.resumable import LengthGroupedSampler

CORPORA = {
    "Brown": "text/brown.jsonl.gz",
    "speeches": "text/us_speeches.jsonl.gz",
    "WikiText": "wikitext/train.jsonl.gz",
}
LENGTH = 128


def sentence_batches(file: Path, tokenizer: Any, rows: int, count: int) -> list[dict[str, Tensor]]:
    """Rows drawn at random, one line each, padded to the full length."""
    with gzip.open(file, "rt", encoding="utf-8") as handle:
        texts = [json.loads(line)["text"] for line in handle]
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0)).tolist()
    batches = [[texts[index] for index in order[start : start + rows]] for start in range(0, rows * count, rows)]
    options: dict[str, Any] = {
        "padding": "max_length",
        "truncation": True,
        "max_length": LENGTH,
        "return_tensors": "pt",
    }
    return [dict(tokenizer(batch, **options)) for batch in batches]


def block_batches(
    blocks: CorpusBlocks, collate: BlockCollator, rows: int, count: int
) -> tuple[list[Any], list[float]]:
    """Batches as the trainer draws them, and the seconds that each took to be read."""
    sampler = LengthGroupedSampler(blocks["length"].tolist(), rows, seed=0)
    order = list(sampler)
    batches, seconds = [], []
    for start in range(0, rows * count, rows):
        begun = time.perf_counter()
        batches.append(collate([blocks[index] for index in order[start : start + rows]]))
        seconds.append(time.perf_counter() - begun)
    return batches, seconds


def measure(file: Path, models: Models, tokenizer: Any, rows: int, rounds: int, cache: str) -> dict[str, Any]:
    """Tokens per second of each way, in alternating rounds."""
    settings = CorpusSettings((str(file),), block_size=LENGTH, cache=cache)
    begun = time.perf_counter()
    blocks = open_blocks(find_sources(settings), tokenizer, settings, with_segments=True)
    tokenising = time.perf_counter() - begun
    packed, reading = block_batches(blocks, BlockCollator(tokenizer), rows, rounds)
    batches: dict[str, list[dict[str, Tensor]]] = {
        "plain": sentence_batches(file, tokenizer, rows, rounds),
        "plain step, our blocks": packed,
        "ours": packed,
        "without": packed,
    }
    steps: dict[str, Callable[[dict[str, Tensor]], float]] = {
        "plain": models.published,
        "plain step, our blocks": models.published,
        "ours": models.ours,
        "without": models.without,
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    tokens = {name: [int(batch["attention_mask"].sum()) for batch in each] for name, each in batches.items()}
    for number in range(rounds):
        for name, step in steps.items():
            step(batches[name][number])  # so that none pays for the memory that the one before it has given back
            begun = time.process_time()
            step(batches[name][number])
            seconds[name].append(time.process_time() - begun)
    speed = {name: sum(tokens[name]) / sum(seconds[name]) for name in steps}
    each = [
        (tokens["ours"][i] / seconds["ours"][i]) / (tokens["plain"][i] / seconds["plain"][i]) for i in range(rounds)
    ]
    places = {name: sum(batch["input_ids"].numel() for batch in each) for name, each in batches.items()}
    return {
        "tokens_per_second": speed,
        "padding": {name: 1 - sum(tokens[name]) / places[name] for name in steps},
        "ratios": [min(each), statistics.median(each), max(each)],
        "reading_share": statistics.median(reading[1:]) / statistics.median(seconds["ours"]),
        "reading_milliseconds": 1000 * statistics.median(reading[1:]),
        "tokenising_tokens_per_second": blocks.tokens / tokenising,
        "blocks": len(blocks),
        "tokens": blocks.tokens,
        "rounds": rounds,
    }


def tables(results: dict[str, Any], arguments: argparse.Namespace) -> list[str]:
    """Markdown."""
    lines = [
        "# Tokens per second of a general distillation",
        "",
        f"Written by `python benchmarks/general_distillation.py --data FOLDER --threads {arguments.threads} --rounds "
        f"{arguments.rounds}`.",
        f"CPU, {arguments.threads} thread(s), torch {torch.__version__}; teacher of 6 layers x 384, student 4l-312d, "
        f"{arguments.rows} rows a step; the rounds alternate",
        "in one process, and only the ratios count on a shared machine. The plain procedure: a sentence a row, padded "
        "to 128, eager attention, all maps",
        "and hidden states built. Real tokens only. The ratio is that of all rounds; in brackets the smallest, the "
        "median and the largest of single rounds.",
        "",
        "`without`: our step with torch's own dropout and a student in fp32.",
        "",
        "| text | plain | plain step, our blocks | ours | faster | than without | padding: plain, ours | reading |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, result in results.items():
        speed, (low, middle, high) = result["tokens_per_second"], result["ratios"]
        lines.append(
            f"| {name} | {speed['plain']:,.0f} | {speed['plain step, our blocks']:,.0f} | {speed['ours']:,.0f} | "
            f"{speed['ours'] / speed['plain']:.1f}x ({low:.1f}, {middle:.1f}, {high:.1f}) | "
            f"{speed['ours'] / speed['without']:.2f}x | "
            f"{result['padding']['plain']:.0%}, {result['padding']['ours']:.1%} | "
            f"{result['reading_milliseconds']:.1f} ms, {result['reading_share']:.2%} of a step |"
        )
    made = ", ".join(f"{name} {result['tokenising_tokens_per_second']:,.0f}" for name, result in results.items())
    return [*lines, "", f"Tokenising and packing, once, tokens per second: {made}."]


def main() -> None:
    """Measure every text and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tokenizer = AutoTokenizer.from_pretrained(pretrained_folder())
    models = Models(pretrained_folder())
    results = {}
    with tempfile.TemporaryDirectory() as cache:
        for name, file in CORPORA.items():
            path = arguments.data / file
            results[name] = measure(path, models, tokenizer, arguments.rows, arguments.rounds, cache)
            print(name, results[name], flush=True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "general_distillation.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.output / "general_distillation.md").write_text("\n".join(tables(results, arguments)) + "\n")


if __name__ == "__main__":
    main()
