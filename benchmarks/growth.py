"""How time and memory of a distillation step grow: with length, batch, the teacher's depth; and of a run, with rows.

    python benchmarks/growth.py [--parts PART ...]

Models with random weights: a teacher of 6 layers x 384 into a 4l-312d, attention, hidden states and embeddings, rows
without padding, student forward and backward. Each point runs in a process of its own, on one thread: CPU time is the
smallest of the timed steps; memory is the largest resident memory during them, less that just before. Dropout of
attention weights is off: outside a trainer, on a CPU, torch's attention builds the whole map where it is on. `rows`
trains an epoch of 16-token rows with `DistillationTrainer` from a small teacher (2 layers x 64 into 1 layer x 32), so
that what the trainer itself does per row is seen. The exponent is the slope of the last two points in logarithms: 1
is linear. Writes docs/results/growth.json, .md and, with matplotlib, growth.svg.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from tinybert_hf import TinyBertConfig, TinyBertForSequenceClassification, distillation_losses
from tinybert_hf.training import DistillationArguments, DistillationTrainer

LOSSES = ("attention_loss", "hidden_state_loss", "embedding_loss")
POINTS = {
    "length": (128, 256, 512, 1024, 2048, 4096),
    "batch": (1, 2, 4, 8, 16, 32, 64),
    "depth": (4, 8, 16, 32),
    "rows": (1000, 4000, 16000),
}
TITLES = {
    "length": "tokens of a row, one row a step",
    "batch": "rows of 64 tokens in a step",
    "depth": "layers of the teacher, 8 rows of 64 tokens",
    "rows": "rows of 16 tokens, one epoch, small models",
}
VOCABULARY = 1000


def models(width: int, depth: int, length: int) -> tuple[Any, Any]:
    """Teacher and student with random weights."""
    torch.manual_seed(0)
    longest = {"max_position_embeddings": max(length, 512), "vocab_size": VOCABULARY}
    shape = {"hidden_size": width, "num_hidden_layers": depth, "intermediate_size": 4 * width}
    teacher = BertForSequenceClassification(BertConfig(num_attention_heads=max(2, width // 32), **shape, **longest))
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = TinyBertConfig.from_preset(
        "4l-312d", attention_probs_dropout_prob=0.0, **longest, **(small if width < 312 else {})
    )
    return teacher.eval(), TinyBertForSequenceClassification(config).train()


def time_step(batch: int, length: int, depth: int) -> tuple[float, float]:
    """CPU seconds and megabytes of a step."""
    teacher, student = models(384, depth, length)
    layer_map = {m: m * depth // 4 for m in range(1, 5)}
    ids = torch.randint(5, VOCABULARY, (batch, length))
    rows = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    projection = nn.Linear(312, 384)

    def step() -> None:
        parts = distillation_losses(student, teacher, rows, losses=LOSSES, projections=projection, layer_map=layer_map)
        torch.stack(list(parts.values())).sum().backward()

    return timed(step, repeats=3 if batch * length <= 1024 else 2)


def time_training(rows: int) -> tuple[float, float]:
    """CPU seconds and megabytes of an epoch."""
    teacher, student = models(64, 2, 16)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{n}" for n in range(VOCABULARY - 5))]
    tokenizer = BertTokenizer(vocab={word: place for place, word in enumerate(words)})
    ids = torch.randint(5, VOCABULARY, (rows, 16)).tolist()
    data = Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * 16] * rows})
    with tempfile.TemporaryDirectory() as folder:
        args = DistillationArguments(
            output_dir=folder,
            num_train_epochs=1,
            use_cpu=True,
            disable_tqdm=True,
            save_strategy="no",
            report_to="none",
        )
        trainer = DistillationTrainer(student, teacher, args, train_dataset=data, processing_class=tokenizer)
        return timed(trainer.train, repeats=1)


def timed(work: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """CPU seconds of the quickest, and what the memory grew by in megabytes."""
    before, seconds = peak_megabytes(), []
    for _ in range(repeats):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds), peak_megabytes() - before


def peak_megabytes() -> float:
    """Of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def point(part: str, value: int, answer: Any) -> None:
    """One point, in this process."""
    torch.set_num_threads(1)
    if part == "rows":
        answer.put(time_training(value))
    else:
        setting = {"batch": 1 if part == "length" else 8, "length": 64, "depth": 6} | {part: value}
        answer.put(time_step(**setting))


def measure(part: str, value: int) -> list[float]:
    """CPU seconds and megabytes, from a process of its own."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=point, args=(part, value, answer))
    process.start()
    result = list(answer.get(timeout=1800))
    process.join()
    return result


def exponent(points: dict[str, list[float]], which: int) -> str:
    """Slope of the last two points in logarithms."""
    (x1, first), (x2, second) = list(points.items())[-2:]
    return f"{math.log(second[which] / first[which]) / math.log(int(x2) / int(x1)):.2f}"


def page(results: dict[str, dict[str, list[float]]]) -> str:
    """The Markdown page."""
    lines = [
        "# How the cost grows",
        "",
        "Written by `python benchmarks/growth.py`; its first lines say what runs. CPU, one thread, CPU time, torch",
        f"{torch.__version__}; the exponent is that of the last two points, 1 is linear.",
    ]
    lines += ["", "![Time and memory over each quantity](growth.svg)"]
    for part, points in results.items():
        heads = [f"{int(value):,}" for value in points]
        lines += ["", f"## {TITLES[part][0].upper()}{TITLES[part][1:]}", ""]
        lines.append(f"| | {' | '.join(heads)} | exponent |")
        lines.append(f"| --- |{' ---: |' * (len(heads) + 1)}")
        for which, (name, unit) in enumerate((("time", "s"), ("memory", "MB"))):
            digits = 2 if which == 0 else 0
            cells = [f"{found[which]:,.{digits}f} {unit}" for found in points.values()]
            lines.append(f"| {name} | {' | '.join(cells)} | {exponent(points, which)} |")
    return "\n".join(lines) + "\n"


def draw(results: dict[str, dict[str, list[float]]], file: Path) -> None:
    """Time and memory over each quantity, both scales logarithmic."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "growth"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(results), figsize=(3.2 * len(results), 5.2), squeeze=False)
    for column, (part, points) in enumerate(results.items()):
        values = [int(value) for value in points]
        for row, name in enumerate(("CPU seconds", "megabytes")):
            axis = axes[row][column]
            measured = [found[row] for found in points.values()]
            axis.loglog(values, measured, marker="o")
            axis.loglog(values, [measured[-1] * value / values[-1] for value in values], linestyle=":", color="grey")
            axis.set_xticks(values, [f"{value:,}" for value in values], rotation=45)
            axis.minorticks_off()
            axis.set_ylabel(name)
            axis.set_xlabel(TITLES[part].split(",")[0] + (" (dotted: linear)" if row else ""))
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=tuple(POINTS), default=list(POINTS))
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    arguments = parser.parse_args()
    results: dict[str, dict[str, list[float]]] = {}
    for part in arguments.parts:
        results[part] = {}
        for value in POINTS[part]:
            results[part][str(value)] = measure(part, value)
            print(part, value, results[part][str(value)], flush=True)
    text = page(results)
    print(text)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "growth.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (arguments.output / "growth.md").write_text(text, encoding="utf-8")
    draw(results, arguments.output / "growth.svg")


if __name__ == "__main__":
    main()
