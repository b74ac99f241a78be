"""Memory of one distillation step against the length of the rows: the table of docs/results/memory.md.

    python benchmarks/memory.py [--lengths 512 1024 2048 4096] [--plain-up-to 2048]

A BERT of BERT-base's width and 12 layers with random weights is distilled into a 4l-312d (attention, hidden states and
embeddings; one row of full length; student forward and backward). Each step runs in a process of its own; the number
is the largest resident memory of the process during the step, less that just before it. `plain` is the published
procedure on the same models: eager attention, every map of scores built and compared. The exponent is that of the last
doubling. Dropout is as shipped; `without` is ours with torch's own dropout, which builds the maps.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import resource
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification

from tinybert_hf import TinyBertConfig, TinyBertForSequenceClassification, distillation_losses
from tinybert_hf.training.dropout import faster_dropout

LOSSES = ("attention_loss", "hidden_state_loss", "embedding_loss")
PAIRS = ((1, 3), (2, 6), (3, 9), (4, 12))


def scores_by_hooks(model: nn.Module, kept: list[Tensor]) -> None:
    """Note the attention scores of each layer, as a modified BERT would return them."""

    def note(module: Any, inputs: Any, output: Any) -> None:
        query, key = (
            layer(inputs[0]).unflatten(-1, (module.num_attention_heads, -1)).transpose(1, 2)
            for layer in (module.query, module.key)
        )
        kept.append(query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5)

    for layer in model.base_model.encoder.layer:  # type: ignore[union-attr]
        layer.attention.self.register_forward_hook(note)


def plain_loss(student: Any, teacher: Any, batch: dict[str, Tensor], projection: nn.Module) -> Tensor:
    """Equations 7 to 9 with every map built."""
    found: list[list[Tensor]] = [[], []]
    for model, kept in zip((student, teacher), found, strict=True):
        model.set_attn_implementation("eager")
        scores_by_hooks(model, kept)
    made = student(**batch, output_hidden_states=True).hidden_states
    with torch.no_grad():
        seen = teacher(**batch, output_hidden_states=True).hidden_states
    attention = sum(F.mse_loss(found[0][m - 1], found[1][n - 1]) for m, n in PAIRS)
    return attention + sum(F.mse_loss(projection(made[m]), seen[n]) for m, n in ((0, 0), *PAIRS))


def peak() -> int:
    """Bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def step(way: str, length: int, answer: Any) -> None:
    """One step in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    options = {"max_position_embeddings": max(length, 512), "vocab_size": 1000}
    teacher = BertForSequenceClassification(BertConfig(**options)).eval()
    student = TinyBertForSequenceClassification(TinyBertConfig.from_preset("4l-312d", **options)).train()
    projection = nn.Linear(312, 768)
    batch = {
        "input_ids": torch.randint(5, 1000, (1, length)),
        "attention_mask": torch.ones(1, length, dtype=torch.long),
    }
    before = peak()
    if way == "plain":
        loss = plain_loss(student, teacher, batch, projection)
        loss.backward()
    else:
        with faster_dropout(student, torch.device("cpu")) if way == "ours" else nullcontext():
            parts = distillation_losses(student, teacher, batch, losses=LOSSES, projections=projection)
            loss = torch.stack(list(parts.values())).sum()
            loss.backward()
    answer.put((peak() - before, loss.item()))


def measure(way: str, length: int) -> tuple[int, float]:
    """Bytes, and the loss."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=step, args=(way, length, answer))
    process.start()
    result: tuple[int, float] = answer.get(timeout=1800)
    process.join()
    return result


def table(results: dict[str, dict[str, int]], lengths: list[int]) -> str:
    """The Markdown page."""
    names = {"ours": "ours", "without": "ours with torch's own dropout", "plain": "the published procedure"}
    rows = [
        [names[way], *(f"{by[str(n)] / 1e6:,.0f} MB" if str(n) in by else "" for n in lengths)]
        for way, by in results.items()
    ]
    for row, by in zip(rows, results.values(), strict=True):
        last = sorted(by, key=int)[-2:]
        row.append(f"{math.log2(by[last[1]] / by[last[0]]) / math.log2(int(last[1]) / int(last[0])):.2f}")
    head = ["", *(f"{n:,} tokens" for n in lengths), "exponent"]
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return (
        "# Memory of a distillation step\n\nWritten by `python benchmarks/memory.py`. One row, 12 layers x 768 to "
        f"4l-312d, attention, hidden states and embeddings, fp32, CPU, torch\n{torch.__version__}; largest resident "
        "memory during the step, less that before it. Dropout is as shipped, 0.1.\n\n" + "\n".join(lines) + "\n"
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 2048, 4096])
    parser.add_argument("--plain-up-to", type=int, default=2048)
    options = parser.parse_args()
    results: dict[str, dict[str, int]] = {"ours": {}, "without": {}, "plain": {}}
    for length in options.lengths:
        for way, found in results.items():
            if way != "plain" or length <= options.plain_up_to:
                found[str(length)], loss = measure(way, length)
                print(f"{way} {length}: {found[str(length)] / 1e6:,.0f} MB, loss {loss:.4f}", flush=True)
    page = table(results, options.lengths)
    print(page)
    folder = Path(__file__).parent.parent / "docs" / "results"
    (folder / "memory.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / "memory.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
