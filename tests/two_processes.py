"""Short runs whose result must not depend on the number of processes; `torchrun` starts this file as each of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import tiny_seq2seq
import torch
from accelerate.state import PartialState
from accelerate.utils import DistributedType
from killed_runs import rows as classification_rows
from safetensors.torch import load_file
from tiny_models import bert
from transformers import BertForQuestionAnswering, TrainerCallback, set_seed

from tinybert_hf import (
    DistillationArguments,
    DistillationTrainer,
    Seq2SeqDistillationArguments,
    Seq2SeqDistillationTrainer,
)
from tinybert_hf.training.sharding import whole, whole_state

ROWS_A_STEP = 8
# 42 rows leave 2 for the last batch of an epoch, none for the second process; 45 leave 5, which are 4 and 1. Of 2 and
# of 5 rows the first batch is such a one.
CASES: dict[str, dict[str, Any]] = {
    "intermediate": {"phase": "intermediate"},
    "prediction": {"phase": "prediction"},
    "joint, accumulated": {"phase": "joint", "gradient_accumulation_steps": 2, "rows": 45},
    "own rate of a shared projection": {"phase": "joint", "projection": "shared", "projection_learning_rate": 1e-2},
    "other maps, no projection": {
        "phase": "intermediate",
        "projection": "none",
        "layer_map": "1:1,2:4",
        "attention_layer_map": "top",
        "width": 32,
    },
    "random rows": {"phase": "joint", "train_sampling_strategy": "random"},
    "teacher cache": {"phase": "prediction", "teacher_cache": "teacher_cache", "rows": 45},
    "sharded": {"phase": "joint", "sharded": True, "projection_learning_rate": 1e-2},
    "sharded, resumed": {"phase": "joint", "sharded": True, "resumed": True, "rows": 45},
    "resumed": {"phase": "joint", "resumed": True, "rows": 45},
    "two rows": {"phase": "joint", "rows": 2},
    "five rows": {"phase": "joint", "rows": 5, "label_loss_weight": 0.5},
    "spans": {"phase": "joint", "label_loss_weight": 0.5, "rows": 45, "spans": True},
    "translator, two rows": {"phase": "joint", "rows": 2, "translator": True},
    "translator": {"phase": "joint", "label_loss_weight": 1.0, "translator": True},
    "translator, accumulated": {
        "phase": "prediction",
        "gradient_accumulation_steps": 2,
        "translator": True,
        "rows": 45,
    },
}


class NoteGradients(TrainerCallback):
    """Keeps the gradients of the first step: later ones are those of weights that are no longer the same."""

    def __init__(self) -> None:
        self.gradients: dict[str, torch.Tensor] = {}
        self.model: Any = None

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 0:
            named = self.model.named_parameters()
            self.gradients = {name: whole(p.grad).clone() for name, p in named if p.grad is not None}


@contextmanager
def sharding_on_a_cpu() -> Iterator[None]:
    """Accelerate shards on accelerators only, and silently not on a CPU, where torch could: tell it another kind."""
    original = PartialState.__init__

    def of_another_kind(self: PartialState, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.MULTI_XPU

    PartialState.__init__ = of_another_kind
    PartialState._reset_state()
    try:
        yield
    finally:
        PartialState.__init__ = original
        PartialState._reset_state()


def padded(batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Rows of unequal length as a batch."""

    def pad(name: str, value: int) -> torch.Tensor:
        parts = [torch.tensor(row[name]) for row in batch]
        return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=value)

    if "start_positions" in batch[0]:
        ends = {name: torch.tensor([row[name] for row in batch]) for name in ("start_positions", "end_positions")}
        return {"input_ids": pad("input_ids", 1), "attention_mask": pad("attention_mask", 0), **ends}
    labels = (
        pad("labels", -100) if isinstance(batch[0]["labels"], list) else torch.tensor([r["labels"] for r in batch])
    )
    return {"input_ids": pad("input_ids", 1), "attention_mask": pad("attention_mask", 0), "labels": labels}


def _two_labels(config: Any) -> Any:
    config.num_labels = 2
    return config


def make_trainer(case: dict[str, Any], folder: Path, world: int) -> tuple[DistillationTrainer, NoteGradients]:
    """The same rows in each step, whatever the number of processes."""
    case = dict(case)
    count, width, translates = case.pop("rows", 42), case.pop("width", 24), case.pop("translator", False)
    spans = case.pop("spans", False)
    if "teacher_cache" in case:
        case["teacher_cache"] = str(folder / case["teacher_cache"])
    set_seed(0)
    options = {
        "output_dir": str(folder),
        "num_train_epochs": 2,
        "per_device_train_batch_size": ROWS_A_STEP // world,
        "learning_rate": 1e-3,
        "max_grad_norm": 0.0,
        # Adam makes steps of full length out of gradients that are nothing but rounding (biases of keys have none).
        "adam_epsilon": 1e-4,
        "logging_steps": 2 if count > ROWS_A_STEP else 1,
        "save_strategy": "no",
        "use_cpu": True,
        "disable_tqdm": True,
        "log_level": "error",
        "dataloader_pin_memory": False,
        **case,
    }
    if world > 1:
        options |= {"ddp_backend": "gloo", "ddp_find_unused_parameters": False}
    noting = NoteGradients()
    data = classification_rows(count)
    if translates:
        data = data.map(lambda row, index: {"labels": row["input_ids"][: 1 + index % 7]}, with_indices=True)
        student, teacher = tiny_seq2seq.student(), tiny_seq2seq.teacher("marian")
    elif spans:
        data = data.map(lambda row: {"start_positions": 1, "end_positions": len(row["input_ids"]) - 1})
        configs = (bert(hidden=width, vocab_size=64).config, bert(layers=4, hidden=32, vocab_size=64).config)
        student, teacher = (BertForQuestionAnswering(_two_labels(config)).eval() for config in configs)
    else:
        student, teacher = bert(hidden=width, vocab_size=64), bert(layers=4, hidden=32, vocab_size=64)
    trainer = (Seq2SeqDistillationTrainer if translates else DistillationTrainer)(
        student,
        teacher,
        (Seq2SeqDistillationArguments if translates else DistillationArguments)(**options),
        train_dataset=data,
        data_collator=padded,
        callbacks=[noting],
    )
    noting.model = trainer.model
    return trainer, noting


def run_case(name: str, folder: Path) -> dict[str, Any]:
    """Train two epochs in this number of processes; returns gradients, weights and logs."""
    case, world = dict(CASES[name]), int(os.environ.get("WORLD_SIZE", 1))
    sharded, resumed = case.pop("sharded", False) and world > 1, case.pop("resumed", False)
    if sharded:
        case |= {"fsdp": True, "fsdp_config": {"version": 2, "transformer_layer_cls_to_wrap": ["BertLayer"]}}
    if resumed:
        case |= {"save_strategy": "steps", "save_steps": 4}
    with sharding_on_a_cpu() if sharded else nullcontext():
        trainer, noting = make_trainer(case, folder, world)
        trainer.train()
        if resumed:
            trainer, _ = make_trainer(case, folder, world)
            trainer.train(resume_from_checkpoint=str(folder / "checkpoint-4"))
        kinds = {type(value).__name__ for value in trainer.model.state_dict().values()}
        return {
            "kinds": kinds,
            "gradients": noting.gradients,
            "weights": whole_state(trainer.model),
            "saved": load_file(folder / "checkpoint-12" / "model.safetensors") if resumed else {},
            "logs": [{k: v for k, v in e.items() if "loss" in k} for e in trainer.state.log_history if "loss" in e],
        }


if __name__ == "__main__":
    torch.set_num_threads(1)
    target = Path(sys.argv[1])
    for number, case_name in enumerate(CASES):
        result = run_case(case_name, target / f"run {number}")
        torch.save(result, target / f"{number}-{os.environ['RANK']}.pt")
