"""Number formats and activation checkpointing against fp32: the table of docs/results/precision.md.

    python benchmarks/precision.py [--teacher-layers 12 --teacher-width 768] [--lengths 128 512] [--steps 40]

A BERT with random weights (BERT-base's shape unless told otherwise) is distilled into a 4l-312d by
DistillationTrainer, in both phases, once per mode and from the same weights, rows and order; dropout is off. Each mode
is compared with fp32 in the losses of every step, and timed over the second half of its steps. Modes that the machine
lacks are left out. Meant for a GPU; `--device cpu` runs the same there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification, TrainerCallback, set_seed

from tinybert_hf import DistillationArguments, DistillationTrainer, TinyBertConfig, TinyBertForSequenceClassification

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
CHECKPOINTING = {"gradient_checkpointing": True}
MODES: dict[str, dict[str, Any]] = {
    "fp32": {},
    "fp32, the teacher's products in bf16": {"teacher_bf16": True},
    "fp32, the student's products in bf16": {"student_bf16": True},
    "tf32": {"tf32": True},
    "bf16": {"bf16": True},
    "fp16": {"fp16": True},
    "fp32, checkpointing": {**CHECKPOINTING, "gradient_checkpointing_kwargs": {"use_reentrant": False}},
    "fp32, checkpointing (reentrant)": {**CHECKPOINTING, "gradient_checkpointing_kwargs": {"use_reentrant": True}},
    "bf16, checkpointing": {"bf16": True, **CHECKPOINTING},
}
GPU_ONLY = ("tf32", "fp16")


class Clock(TrainerCallback):
    """Seconds from the middle of the run to its end."""

    def __init__(self, steps: int) -> None:
        self.half = steps // 2
        self.steps = steps
        self.seconds = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start at the middle, stop at the last step."""
        if state.global_step in (self.half, self.steps):
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.seconds = time.perf_counter() - self.seconds


def rows(count: int, length: int, vocabulary: int) -> Dataset:
    """Random tokens, half to all of `length` long."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(length // 2, length + 1, (count,), generator=generator).tolist()
    ids = [torch.randint(5, vocabulary, (n,), generator=generator).tolist() for n in lengths]
    return Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * n for n in lengths], "labels": [0] * count})


def padded(batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Rows of one batch, padded at the right."""

    def pad(name: str) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence([torch.tensor(row[name]) for row in batch], batch_first=True)

    return {
        "input_ids": pad("input_ids"),
        "attention_mask": pad("attention_mask"),
        "labels": torch.tensor([row["labels"] for row in batch]),
    }


def train(mode: dict[str, Any], phase: str, length: int, options: argparse.Namespace) -> dict[str, Any]:
    """One run: the losses of every step, tokens per second, peak memory in GB."""
    set_seed(0)
    teacher = BertForSequenceClassification(
        BertConfig(
            hidden_size=options.teacher_width,
            num_hidden_layers=options.teacher_layers,
            num_attention_heads=12,
            intermediate_size=4 * options.teacher_width,
            initializer_range=0.05,
            **NO_DROPOUT,
        )
    )
    student = TinyBertForSequenceClassification(TinyBertConfig.from_preset("4l-312d", **NO_DROPOUT))
    data = rows(options.steps * options.batch_size, length, 30000)
    clock = Clock(options.steps)
    on_gpu = options.device == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        trainer = DistillationTrainer(
            student,
            teacher,
            DistillationArguments(
                output_dir=folder,
                phase=phase,
                max_steps=options.steps,
                per_device_train_batch_size=options.batch_size,
                learning_rate=1e-4,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                log_level="error",
                use_cpu=not on_gpu,
                dataloader_pin_memory=on_gpu,
                train_sampling_strategy="sequential",
                **{"teacher_bf16": False, "student_bf16": False, **mode},
            ),
            train_dataset=data,
            data_collator=padded,
            callbacks=[clock],
        )
        trainer.pop_callback("PrinterCallback")
        trainer.train()
    second_half = data["input_ids"][options.steps // 2 * options.batch_size :]
    return {
        "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        "tokens_per_second": sum(len(ids) for ids in second_half) / clock.seconds,
        "peak_gigabytes": torch.cuda.max_memory_allocated() / 1e9 if on_gpu else None,
    }


def main() -> None:
    """Run every mode, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher-layers", type=int, default=12)
    parser.add_argument("--teacher-width", type=int, default=768)
    parser.add_argument("--lengths", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--modes", nargs="+", choices=tuple(MODES), default=tuple(MODES))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    machine = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    lines = [
        "# Number formats and activation checkpointing",
        "",
        f"Written by `python benchmarks/precision.py` on {machine}, torch {torch.__version__}: a BERT of "
        f"{options.teacher_layers} layers and width {options.teacher_width} with",
        f"random weights into 4l-312d, batch {options.batch_size}, {options.steps} steps a run, dropout off. "
        "Deviation: of the loss of a step from that of fp32, relative.",
        "",
        "| phase | length | mode | deviation, median | largest | tokens/s | peak GB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    results: list[dict[str, Any]] = []
    for length in options.lengths:
        for phase in ("intermediate", "prediction"):
            plain: list[float] = []
            for name in options.modes:
                if options.device == "cpu" and name in GPU_ONLY:
                    continue
                entry: dict[str, Any] = {"phase": phase, "length": length, "mode": name}
                try:
                    entry.update(train(MODES[name], phase, length, options))
                except Exception as error:
                    entry["error"] = f"{type(error).__name__}: {error}"[:500]
                    lines.append(f"| {phase} | {length} | {name} | {entry['error'][:80]} | | | |")
                else:
                    plain = plain or entry["losses"]
                    apart = [abs(a - b) / abs(b) for a, b in zip(entry["losses"], plain, strict=True)]
                    entry["deviation"] = {"median": statistics.median(apart), "largest": max(apart)}
                    memory = entry["peak_gigabytes"]
                    lines.append(
                        f"| {phase} | {length} | {name} | {statistics.median(apart):.1e} | {max(apart):.1e} | "
                        f"{entry['tokens_per_second']:,.0f} | {'' if memory is None else f'{memory:.2f}'} |"
                    )
                print(lines[-1], flush=True)
                results.append(entry)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "precision.json").write_text(json.dumps({"machine": machine, "runs": results}, indent=1) + "\n")
    (options.output / "precision.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
