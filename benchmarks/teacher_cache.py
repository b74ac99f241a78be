"""Time that a teacher cache saves: a step of the prediction phase, and both phases together.

    python benchmarks/teacher_cache.py [--rounds 2] [--threads 1]

The student is a TinyBERT 4l-312d, the rows are random tokens of 8 to 40, 16 a step; speed does not depend on what
they say. Of steps, two trainers live in one process and take turns, each the steps of one epoch a round; the time is
that between the ends of steps, so that collating and reading the cache count. The cache is written before. Of both
phases, the runs take turns: the teacher in each step, a cache that the second phase writes, and one that the first
phase fills. Writes docs/results/teacher_cache.json and .md.
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
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    TrainerCallback,
)

from tinybert_hf import (
    DistillationArguments,
    DistillationTrainer,
    Phase,
    TinyBertConfig,
    TinyBertForSequenceClassification,
    run_phases,
)

ROWS_A_STEP, STEPS = 16, 7
QUIET = {"disable_tqdm": True, "save_strategy": "no", "logging_strategy": "no", "use_cpu": True}
EPOCHS = (1, 3)  # of the two phases; as many as are usual where each row has copies
# A phase that sets a limit writes its cache itself.
WAYS: dict[str, dict[str, Any]] = {
    "live": {"teacher_cache": False},
    "asked": {"teacher_cache": True, "teacher_cache_limit_gb": 10.0},
    "filled": {},
}
TEACHERS: dict[str, dict[str, int]] = {
    "4 times the parameters (8 layers x 624)": {
        "num_hidden_layers": 8,
        "hidden_size": 624,
        "num_attention_heads": 12,
        "intermediate_size": 2496,
    },
    "4 times the layers (16 layers x 312)": {
        "num_hidden_layers": 16,
        "hidden_size": 312,
        "num_attention_heads": 12,
        "intermediate_size": 1200,
    },
    "BERT-base's shape (12 layers x 768)": {},
}


class StepEnds(TrainerCallback):
    """Notes when each step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One more."""
        self.ends.append(time.perf_counter())


def rows() -> Dataset:
    """Random tokens."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(8, 41, (ROWS_A_STEP * STEPS,), generator=generator).tolist()
    ids = [torch.randint(1000, 30000, (length,), generator=generator).tolist() for length in lengths]
    return Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * n for n in lengths]})


def padded(batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch of rows."""
    return {
        name: torch.nn.utils.rnn.pad_sequence([torch.tensor(row[name]) for row in batch], batch_first=True)
        for name in ("input_ids", "attention_mask")
    }


def make_trainer(teacher: PreTrainedModel, data: Dataset, folder: Path, cache: Path | None) -> Any:
    """A student of its own, and the settings of the prediction phase."""
    torch.manual_seed(0)
    arguments = DistillationArguments(
        output_dir=str(folder),
        phase="prediction",
        max_steps=STEPS,
        per_device_train_batch_size=ROWS_A_STEP,
        dataloader_pin_memory=False,
        **QUIET,
        teacher_cache=None if cache is None else str(cache),
    )
    student = TinyBertForSequenceClassification(TinyBertConfig.from_preset("4l-312d", num_labels=2))
    ends = StepEnds()
    trainer: Any = DistillationTrainer(
        student, teacher, arguments, train_dataset=data, data_collator=padded, callbacks=[ends]
    )
    trainer.step_ends = ends.ends
    return trainer


def seconds_a_step(trainer: Any) -> float:
    """Of one epoch, the first step left out."""
    trainer.step_ends.clear()
    trainer.train()
    return (trainer.step_ends[-1] - trainer.step_ends[0]) / (len(trainer.step_ends) - 1)


def whole_run(teacher: PreTrainedModel, data: Dataset, way: str) -> float:
    """Seconds of both phases."""
    torch.manual_seed(0)
    known = {"[PAD]": 0, "[UNK]": 1}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(known, unk_token="[UNK]")), pad_token="[PAD]", unk_token="[UNK]"
    )
    phases = [
        Phase("intermediate", epochs=EPOCHS[0], batch_size=ROWS_A_STEP),
        Phase("prediction", epochs=EPOCHS[1], batch_size=ROWS_A_STEP, **WAYS[way]),
    ]
    with tempfile.TemporaryDirectory() as folder:
        results = run_phases(
            TinyBertForSequenceClassification(TinyBertConfig.from_preset("4l-312d", num_labels=2)),
            teacher,
            phases,
            output_dir=folder,
            train_dataset=data,
            processing_class=tokenizer,
            training_arguments=QUIET,
        )
    return sum(result.seconds for result in results)


def measure(shape: dict[str, int], rounds: int) -> dict[str, Any]:
    """The two trainers, taking turns; then the whole runs."""
    torch.manual_seed(1)
    teacher = BertForSequenceClassification(BertConfig(num_labels=2, **shape)).eval()
    data = rows()
    with tempfile.TemporaryDirectory() as folder:
        live = make_trainer(teacher, data, Path(folder) / "live", None)
        cached = make_trainer(teacher, data, Path(folder) / "cached", Path(folder) / "cache")
        seconds_a_step(cached)  # writes the cache
        size = sum(file.stat().st_size for file in (Path(folder) / "cache").glob("*.safetensors"))
        times = [(seconds_a_step(live), seconds_a_step(cached)) for _ in range(rounds)]
    runs = [{way: whole_run(teacher, data, way) for way in WAYS} for _ in range(rounds)]
    return {
        "teacher_parameters": teacher.num_parameters(),
        "student_parameters": live.student.num_parameters(),
        "teacher_bf16": live.teacher_is_bf16,
        "live_seconds": statistics.fmean(one for one, _ in times),
        "cached_seconds": statistics.fmean(other for _, other in times),
        "faster": sum(one for one, _ in times) / sum(other for _, other in times),
        "faster_of_rounds": sorted(one / other for one, other in times),
        "cache_bytes_a_row": size / len(data),
        "run_seconds": {way: statistics.fmean(one[way] for one in runs) for way in WAYS},
        "run_faster_of_rounds": sorted(one["asked"] / one["filled"] for one in runs),
    }


def table(results: dict[str, Any], threads: int) -> str:
    """The Markdown page."""
    products = ", its products in bfloat16" if any(one["teacher_bf16"] for one in results.values()) else ""
    lines = [
        "# What a teacher cache saves",
        "",
        f"Written by `python benchmarks/teacher_cache.py --threads {threads}`. CPU, {threads} thread(s), torch "
        f"{torch.__version__}; teacher",
        f"in float32{products}; student 4l-312d, {ROWS_A_STEP} rows of 8 to 40 tokens a step,",
        "optimizer included. The two take turns in one process; the ratio is that of the",
        "summed times, in brackets the smallest and the largest of single rounds. A step costs the student a forward",
        "and about two more for its backward, and the teacher one: a cache cannot save more than the teacher's part.",
        "",
        "| teacher | parameters: teacher, student | teacher in each step | from the cache | faster |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, one in results.items():
        rounds = one["faster_of_rounds"]
        lines.append(
            f"| {name} | {one['teacher_parameters'] / 1e6:.1f} M, {one['student_parameters'] / 1e6:.1f} M | "
            f"{one['live_seconds']:.3f} s | {one['cached_seconds']:.3f} s | {one['faster']:.1f}x "
            f"({rounds[0]:.1f}, {rounds[-1]:.1f}) |"
        )
    lines += [
        "",
        f"## Both phases: {EPOCHS[0]} epoch of the intermediate one, {EPOCHS[1]} of the prediction phase",
        "",
        "The second phase runs the teacher in each step; or once over all rows, before its first step; or it reads",
        "what the first phase has noted. The last column compares the last two, as above.",
        "",
        "| teacher | in each step | cache written by the second phase | cache filled by the first | faster |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, one in results.items():
        seconds, rounds = one["run_seconds"], one["run_faster_of_rounds"]
        lines.append(
            f"| {name} | {seconds['live']:.1f} s | {seconds['asked']:.1f} s | {seconds['filled']:.1f} s | "
            f"{seconds['asked'] / seconds['filled']:.2f}x ({rounds[0]:.2f}, {rounds[-1]:.2f}) |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = {}
    for name, shape in TEACHERS.items():
        results[name] = measure(shape, options.rounds)
        print(f"{name}: {results[name]['faster']:.1f}x", flush=True)
    page = table(results, options.threads)
    print(page)
    folder = Path(__file__).parent.parent / "docs" / "results"
    (folder / "teacher_cache.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / "teacher_cache.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
