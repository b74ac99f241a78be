"""Whole trainings against the published procedure, and against what the arithmetic alone would take.

    python benchmarks/training_speed.py --data FOLDER [--rows 640] [--rounds 3] [--threads 1]

--data holds sst2/train.jsonl.gz. Ours: `DistillationTrainer` as it is, one epoch of the intermediate phase, and three
epochs of the prediction phase with the teacher's answers kept; the time is that of `train()` whole, the first look at
the rows, the start of the projections and the filling of the cache included. The published procedure, written
plainly: every row padded to 128 tokens, eager attention, the teacher run in every step, the attention maps of all
layers built. It is the same in every step, so some steps of it are timed.

The floor: the floating-point operations of the step's matrix products (counted by torch, those of one teacher forward
and of the student's forward and backward), at the rate that this machine reaches on a product of 1,024 x 1,024
matrices, measured in the same round. It knows no softmax, no GELU, no dropout, no optimizer. Where the
models multiply in bfloat16 there are two floors: all products in fp32, and those of both at the rate of bfloat16.

The time is CPU time of the process, since others may share the machine. Writes docs/results/training_speed.json, .md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from step_time import pretrained_folder
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
)

from tinybert_hf import TinyBertConfig, TinyBertForSequenceClassification
from tinybert_hf.distillation import Objective, Projections
from tinybert_hf.distillation.teachers import multiplies_in_bfloat16
from tinybert_hf.training import DistillationArguments, DistillationTrainer

BATCH = 32
EPOCHS = {"intermediate": 1, "prediction": 3}
LOSSES = {
    "intermediate": ("attention_loss", "hidden_state_loss", "embedding_loss"),
    "prediction": ("prediction_loss",),
}
TEACHERS = {"BERT-base's shape": "base", "6 layers x 384": "small"}


def make_teacher(name: str) -> PreTrainedModel:
    """With two labels; of BERT-base the shape alone, since speed does not depend on the weights."""
    torch.manual_seed(0)
    if name == "base":
        return BertForSequenceClassification(BertConfig(num_labels=2)).eval()
    return AutoModelForSequenceClassification.from_pretrained(
        pretrained_folder(), num_labels=2, dtype="float32"
    ).eval()


def make_student() -> TinyBertForSequenceClassification:
    """A 4l-312d with dropout as shipped."""
    torch.manual_seed(0)
    return TinyBertForSequenceClassification(TinyBertConfig.from_preset("4l-312d", num_labels=2))


def read_rows(data: Path, tokenizer: Any, count: int) -> Dataset:
    """The first sentences, tokenised."""
    with gzip.open(data / "sst2/train.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["sentence"] for line, _ in zip(lines, range(count), strict=False)]
    return Dataset.from_dict(dict(tokenizer(texts, truncation=True, max_length=128)))


class Published:
    """The published step: padded rows, attention maps of all layers, the teacher each time."""

    def __init__(self, teacher: PreTrainedModel, phase: str, rows: Dataset, tokenizer: Any) -> None:
        self.teacher, self.phase, self.student = teacher, phase, make_student().train()
        self.batches = [
            dict(tokenizer.pad(rows[i : i + BATCH], padding="max_length", max_length=128, return_tensors="pt"))
            for i in range(0, len(rows) - BATCH + 1, BATCH)
        ]
        depth = self.teacher.config.num_hidden_layers
        self.layers = [(m, m * depth // 4) for m in range(1, 5)]
        self.maps = nn.ModuleList(nn.Linear(312, teacher.config.hidden_size) for _ in range(5))
        self.optimizer = torch.optim.AdamW([*self.student.parameters(), *self.maps.parameters()], lr=1e-5)

    def steps(self, indices: Iterable[int]) -> None:
        """One optimizer step for each."""
        for index in indices:
            self.step(index)

    def step(self, index: int) -> None:
        """One optimizer step."""
        batch = self.batches[index % len(self.batches)]
        for model in (self.teacher, self.student):
            model.set_attn_implementation("eager")
        wants = {"output_hidden_states": True, "output_attentions": True} if self.phase == "intermediate" else {}
        with torch.no_grad():
            seen = self.teacher(**batch, **wants)
        made = self.student(**batch, **wants)
        loss = self._intermediate(made, seen) if wants else self._prediction(made.logits, seen.logits)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        loss.item()
        for model in (self.teacher, self.student):
            model.set_attn_implementation("sdpa")

    def _intermediate(self, made: Any, seen: Any) -> Tensor:
        loss = torch.zeros(())
        for m, n in self.layers:
            loss = loss + nn.functional.mse_loss(made.attentions[m - 1], seen.attentions[n - 1])
        for (m, n), projection in zip([(0, 0), *self.layers], self.maps, strict=True):
            loss = loss + nn.functional.mse_loss(projection(made.hidden_states[m]), seen.hidden_states[n])
        return loss

    def _prediction(self, made: Tensor, seen: Tensor) -> Tensor:
        return -(seen.softmax(-1) * made.log_softmax(-1)).sum(-1).mean()


def train(teacher: PreTrainedModel, phase: str, rows: Dataset, tokenizer: Any) -> None:
    """Ours: the trainer as it is."""
    with tempfile.TemporaryDirectory() as folder:
        args = DistillationArguments(
            output_dir=f"{folder}/out",
            phase=phase,
            num_train_epochs=EPOCHS[phase],
            per_device_train_batch_size=BATCH,
            teacher_cache=f"{folder}/cache" if phase == "prediction" else None,
            use_cpu=True,
            disable_tqdm=True,
            save_strategy="no",
            report_to="none",
        )
        DistillationTrainer(make_student(), teacher, args, train_dataset=rows, processing_class=tokenizer).train()


def cpu_seconds(work: Callable[[], Any]) -> float:
    """CPU time of this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def matrix_rate(dtype: torch.dtype) -> float:
    """Floating-point operations per second of a product of large matrices."""
    left = torch.randn(1024, 1024).to(dtype)
    left @ left
    return 8 * 2 * 1024**3 / cpu_seconds(lambda: [left @ left for _ in range(8)])


def operations(teacher: PreTrainedModel, phase: str, rows: Dataset, tokenizer: Any) -> tuple[float, float]:
    """Of a training, by teacher and student: the matrix products that it cannot do without, in batches of like
    length."""
    student = make_student().train()
    depth = teacher.config.num_hidden_layers
    layer_map = {m: m * depth // 4 for m in range(1, 5)} if phase == "intermediate" else None
    options: dict[str, Any] = {} if layer_map is None else {"layer_map": layer_map}
    objective = Objective.between(student, teacher, losses=LOSSES[phase], **options)
    projections = Projections("per_layer", 312, teacher.config.hidden_size, range(5))
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["input_ids"]))
    of_teacher = of_student = 0
    for start in range(0, len(order), BATCH):
        batch = dict(tokenizer.pad(rows.select(order[start : start + BATCH])[:], return_tensors="pt"))
        with FlopCounterMode(display=False) as counter:
            seen = objective.capture_teachers(teacher, batch)
        of_teacher += counter.get_total_flops()
        with FlopCounterMode(display=False) as counter:
            made = objective.capture_student(student, batch)
            lookup = {layer: projections.of_layer(layer) for layer in range(5)} if layer_map else {}
            parts = objective.compute(made, seen, batch["attention_mask"], lookup)
            torch.stack(list(parts.values())).sum().backward()
        of_student += counter.get_total_flops()
    return of_teacher, EPOCHS[phase] * of_student


def measure(teacher_name: str, phase: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Rounds of some published steps and one whole training of ours."""
    tokenizer = AutoTokenizer.from_pretrained(pretrained_folder())
    rows = read_rows(arguments.data, tokenizer, arguments.rows)
    teacher = make_teacher(TEACHERS[teacher_name])
    published = Published(teacher, phase, rows, tokenizer)
    of_teacher, of_student = operations(teacher, phase, rows, tokenizer)
    quick = torch.bfloat16 if multiplies_in_bfloat16(teacher) else torch.float32
    student_is_quick = multiplies_in_bfloat16(make_student())
    published.step(0)
    ratios, floors, own_floors, rates = [], [], [], []
    for number in range(arguments.rounds):
        before = matrix_rate(torch.float32), matrix_rate(quick)
        steps = range(number * arguments.steps, (number + 1) * arguments.steps)
        theirs = cpu_seconds(partial(published.steps, steps)) / arguments.steps / BATCH
        seconds = cpu_seconds(lambda: train(teacher, phase, rows, tokenizer))
        after = matrix_rate(torch.float32), matrix_rate(quick)
        rate, quick_rate = ((one + two) / 2 for one, two in zip(before, after, strict=True))
        ours = seconds / len(rows) / EPOCHS[phase]
        ratios.append(theirs / ours)
        floors.append(seconds / ((of_teacher + of_student) / rate))
        own_floors.append(
            seconds / (of_teacher / quick_rate + of_student / (quick_rate if student_is_quick else rate))
        )
        rates.append((1 / theirs, 1 / ours))
        said = f"{ratios[-1]:.1f}x, {floors[-1]:.2f} and {own_floors[-1]:.2f} times the floors"
        print(teacher_name, phase, said, flush=True)
    return {
        "teacher": teacher_name,
        "phase": phase,
        "epochs": EPOCHS[phase],
        "rows": len(rows),
        "rows_per_second": [[round(one, 2) for one in pair] for pair in rates],
        "faster": sorted(ratios),
        "times_the_floor": sorted(floors),
        "products": str(quick).removeprefix("torch."),
        "times_its_own_floor": sorted(own_floors),
    }


def table(results: list[dict[str, Any]], arguments: argparse.Namespace) -> list[str]:
    """Markdown."""
    lines = [
        "# Whole trainings against the published procedure, and against the arithmetic",
        "",
        f"Written by `python benchmarks/training_speed.py --data FOLDER --rows {arguments.rows} --rounds "
        f"{arguments.rounds} --steps {arguments.steps}`; its first lines",
        f"say what is compared. CPU time, {arguments.threads} thread(s), torch {torch.__version__}; SST-2, batch "
        f"{BATCH}, student 4l-312d; median of the rounds, in brackets the smallest and the largest.",
        "",
        "| teacher | phase | rows/s: published | ours | faster | times the floor in fp32 | "
        f"with the products in {results[0]['products']} |",
        "| --- | --- | ---: | ---: | --- | --- | --- |",
    ]
    for one in results:
        theirs, ours = (statistics.median(pair[side] for pair in one["rows_per_second"]) for side in (0, 1))
        faster = one["faster"]
        spans = [f"{statistics.median(faster):.1f}x ({faster[0]:.1f} to {faster[-1]:.1f})"]
        for floor in (one["times_the_floor"], one["times_its_own_floor"]):
            spans.append(f"{statistics.median(floor):.2f} ({floor[0]:.2f} to {floor[-1]:.2f})")
        epochs = f"{one['epochs']} epoch{'s' if one['epochs'] > 1 else ''}"
        lines.append(
            f"| {one['teacher']} | {one['phase']}, {epochs} of {one['rows']} rows | {theirs:.2f} | {ours:.2f} | "
            f"{' | '.join(spans)} |"
        )
    return lines


def main() -> None:
    """Measure every case and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=640)
    parser.add_argument("--steps", type=int, default=2, help="of the published procedure in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = [measure(teacher, phase, arguments) for teacher in TEACHERS for phase in EPOCHS]
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "training_speed.json").write_text(json.dumps(results, indent=1) + "\n")
    text = "\n".join(table(results, arguments)) + "\n"
    (arguments.output / "training_speed.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
