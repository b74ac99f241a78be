"""Short runs whose result must not depend on the number of processes; `torchrun` starts this file as each of them."""

from __future__ import annotations

import os
import shutil
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
from transformers import (
    AutoModelForTokenClassification,
    BertForQuestionAnswering,
    BertTokenizer,
    TrainerCallback,
    set_seed,
)

from tinybert_hf import (
    DistillationArguments,
    DistillationLoss,
    DistillationTrainer,
    Seq2SeqDistillationArguments,
    Seq2SeqDistillationTrainer,
)
from tinybert_hf.data.corpus import BlockCollator, CorpusBlocks, open_blocks
from tinybert_hf.data.corpus_sources import find_sources
from tinybert_hf.data.settings import CorpusSettings
from tinybert_hf.model import TinyBertConfig, TinyBertForMaskedLM
from tinybert_hf.training import GeneralDistillationTrainer
from tinybert_hf.training.resumable import whole, whole_state
from tinybert_hf.training.teacher_cache import LOGITS

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
    "own losses": {"phase": "joint", "own_losses": True, "gradient_accumulation_steps": 2, "rows": 45},
    "teacher cache": {"phase": "prediction", "teacher_cache": "teacher_cache", "rows": 45},
    "answers noted": {"phase": "intermediate", "rows": 45, "answers": True},
    "answers noted, resumed": {"phase": "joint", "rows": 45, "answers": True, "resumed": True},
    "sharded": {"phase": "joint", "sharded": True, "projection_learning_rate": 1e-2},
    "intermediate, sharded": {"phase": "intermediate", "sharded": True},  # the head follows
    "sharded, resumed": {"phase": "joint", "sharded": True, "resumed": True, "rows": 45},
    "translator, sharded": {"phase": "joint", "translator": True, "sharded": True, "rows": 16},
    "general, masked, sharded": {
        "phase": "intermediate",
        "general": True,
        "label_loss_weight": 1.0,
        "masked_share": 0.3,
        "sharded": True,
        "rows": 16,
    },
    "resumed": {"phase": "joint", "resumed": True, "rows": 45},
    "two rows": {"phase": "joint", "rows": 2},
    "five rows": {"phase": "joint", "rows": 5, "label_loss_weight": 0.5},
    "words, accumulated": {"phase": "joint", "gradient_accumulation_steps": 2, "words": True, "rows": 45},
    "general": {"phase": "intermediate", "general": True, "eval_strategy": "epoch", "per_device_eval_batch_size": 4},
    "general, masked": {"phase": "intermediate", "general": True, "label_loss_weight": 1.0, "masked_share": 0.3},
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
    made = {"input_ids": pad("input_ids", 1), "attention_mask": pad("attention_mask", 0), "labels": labels}
    return {**made, "word_starts": pad("word_starts", 0)} if "word_starts" in batch[0] else made


class MappedStates(torch.nn.Module):
    """A loss with weights: a mean over rows."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.map = torch.nn.Linear(24, 32)

    def forward(self, student: Any, teacher: Any, batch: Any) -> torch.Tensor:
        return (self.map(student.hidden_states[2][:, 0]) - teacher.hidden_states[2][:, 0]).square().mean()


def chosen_rows(student: Any, teacher: Any, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """A sum over the rows of one label; a process may have none of them."""
    chosen = batch["labels"] == 1
    return (student.logits[chosen] - teacher.logits[chosen]).square().mean(-1).sum(), chosen.sum()


def own_losses() -> dict[str, DistillationLoss]:
    """One with weights, and one that counts in a way of its own."""
    return {
        "mapped_loss": DistillationLoss(MappedStates(), weight=2.0, hidden_states="last"),
        "chosen_loss": DistillationLoss(chosen_rows, count=lambda batch: (batch["labels"] == 1).sum()),
    }


def label_words(ids: list[int], index: int) -> dict[str, list[int]]:
    """First pieces at every second or third token, so that rows have unequal numbers of them."""
    starts = [int(place > 0 and place % (2 + index % 2) == 0) for place in range(len(ids))]
    return {"word_starts": starts, "labels": [place % 3 if start else -100 for place, start in enumerate(starts)]}


def blocks(folder: Path) -> tuple[CorpusBlocks, Any]:
    """A text as blocks, and the tokenizer: each process asks for it at the same time, and one of them makes it."""
    lines = [" ".join(f"w{(index * step) % 40}" for step in range(index % 9 + 1)) for index in range(120)]
    tokenizer = BertTokenizer(
        vocab={word: at for at, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])}
        | {f"w{at}": at + 5 for at in range(40)}
    )
    file = folder / f"text-{os.environ.get('RANK', 0)}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines), encoding="utf-8")
    settings = CorpusSettings((str(file),), block_size=16, cache=str(folder / "cache"))
    return open_blocks(find_sources(settings), tokenizer, settings), tokenizer


def make_general_trainer(
    student: Any, teacher: Any, options: dict[str, Any], folder: Path, callback: Any, count: int
) -> GeneralDistillationTrainer:
    """Of encoders without labels, on blocks of a text."""
    share = options.pop("masked_share", 0.0)
    made, tokenizer = blocks(folder)
    config = TinyBertConfig(
        vocab_size=64, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.3,
    )  # fmt: skip
    torch.manual_seed(0)
    return GeneralDistillationTrainer(
        TinyBertForMaskedLM(config) if share else student.bert,
        teacher.bert,
        DistillationArguments(**options),
        train_dataset=made.select(range(count)),
        eval_dataset=made.select(range(count - 10, count - 1)),
        data_collator=BlockCollator(tokenizer, share),
        callbacks=[callback],
    )


def _two_labels(config: Any) -> Any:
    config.num_labels = 2
    return config


def make_trainer(case: dict[str, Any], folder: Path, world: int) -> tuple[DistillationTrainer, NoteGradients]:
    """The same rows in each step, whatever the number of processes."""
    case = dict(case)
    count, width, translates = case.pop("rows", 42), case.pop("width", 24), case.pop("translator", False)
    words = case.pop("words", False)
    extra = own_losses() if case.pop("own_losses", False) else None
    general = case.pop("general", False)
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
    elif words:
        data = data.map(lambda row, index: label_words(row["input_ids"], index), with_indices=True)
        student, teacher = (
            AutoModelForTokenClassification.from_config(model.config)
            for model in (bert(hidden=width, vocab_size=64), bert(layers=4, hidden=32, vocab_size=64))
        )
    elif spans:
        data = data.map(lambda row: {"start_positions": 1, "end_positions": len(row["input_ids"]) - 1})
        configs = (bert(hidden=width, vocab_size=64).config, bert(layers=4, hidden=32, vocab_size=64).config)
        student, teacher = (BertForQuestionAnswering(_two_labels(config)).eval() for config in configs)
    else:
        student, teacher = bert(hidden=width, vocab_size=64), bert(layers=4, hidden=32, vocab_size=64)
    if general:
        general_trainer = make_general_trainer(student, teacher, options, folder, noting, count)
        noting.model = general_trainer.model
        return general_trainer, noting
    trainer = (Seq2SeqDistillationTrainer if translates else DistillationTrainer)(
        student,
        teacher,
        (Seq2SeqDistillationArguments if translates else DistillationArguments)(**options),
        train_dataset=data,
        data_collator=padded,
        callbacks=[noting],
        extra_losses=extra,
    )
    noting.model = trainer.model
    return trainer, noting


def run_case(name: str, folder: Path) -> dict[str, Any]:
    """Train two epochs in this number of processes; returns gradients, weights and logs."""
    case, world = dict(CASES[name]), int(os.environ.get("WORLD_SIZE", 1))
    sharded, resumed = case.pop("sharded", False) and world > 1, case.pop("resumed", False)
    noted = folder / "noted" if case.pop("answers", False) else None
    if sharded:
        case |= {"fsdp": True, "fsdp_config": {"version": 2, "transformer_layer_cls_to_wrap": ["BertLayer"]}}
    if resumed:
        case |= {"save_strategy": "steps", "save_steps": 4}
    with sharding_on_a_cpu() if sharded else nullcontext():
        trainer, noting = make_trainer(case, folder, world)
        trainer.answers_for = noted
        trainer.train()
        if resumed:
            if noted is not None and trainer.is_world_process_zero():
                shutil.rmtree(noted)
            trainer, _ = make_trainer(case, folder, world)
            trainer.answers_for = noted
            trainer.train(resume_from_checkpoint=str(folder / "checkpoint-4"))
        kinds = {type(value).__name__ for value in trainer.model.state_dict().values()}
        return {
            "kinds": kinds,
            "gradients": noting.gradients,
            "weights": whole_state(trainer.model),
            "answers": []
            if noted is None
            else [load_file(file)[LOGITS] for file in sorted(noted.glob("*.safetensors"))],
            "saved": load_file(folder / "checkpoint-12" / "model.safetensors") if resumed else {},
            "logs": [
                {k: v for k, v in entry.items() if "loss" in k}
                for entry in trainer.state.log_history
                if "loss" in entry or "eval_loss" in entry
            ],
        }


if __name__ == "__main__":
    torch.set_num_threads(1)
    target = Path(sys.argv[1])
    for case_name in sys.argv[2:]:
        result = run_case(case_name, target / f"run {case_name}")
        torch.save(result, target / f"{case_name}-{os.environ['RANK']}.pt")
