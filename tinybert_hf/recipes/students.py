"""The student of a run before it learns: its start weights, and whether it knows its tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tinybert_hf.distillation import initialize_from_teacher
from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening import HEADS, open_model
from tinybert_hf.recipes.plan_encoder import EncoderPlan

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# What the teacher's hidden spaces are estimated from: some thousand tokens, which fit into memory at any width.
_START_ROWS = 1024
_START_TOKENS = 16384
_BATCH = 32


def make_start(
    plan: EncoderPlan, teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, train: Dataset
) -> PreTrainedModel:
    """The student before the first step: opened, projected down from the teacher, or drawn."""
    from transformers import set_seed

    set_seed(plan.recipe.seed)
    settings, student_class = plan.recipe.student, HEADS[plan.recipe.task].student_class
    if settings.model is not None:
        what = f"student.model {settings.model}: config.json and the weights do not fit"
        opened: PreTrainedModel = open_model(
            settings.model, student_class, TinyBertError, what, new_head=True, config=plan.student_config
        )
        return opened
    student: PreTrainedModel = student_class(plan.student_config)
    if plan.starts_from_teacher:
        rows = train.shuffle(seed=plan.recipe.seed)
        batches = list(unlabelled_batches(rows, tokenizer, teacher, _START_ROWS, _START_TOKENS))
        initialize_from_teacher(student, teacher, batches, plan.start_map)
    return student


def open_student(folder: Path, task: str) -> PreTrainedModel:
    """A student that this run has saved."""
    student: PreTrainedModel = open_model(folder, HEADS[task].student_class)
    return student


def unlabelled_batches(
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    max_rows: int,
    max_tokens: int = _START_TOKENS,
) -> Iterator[dict[str, Tensor]]:
    """The first rows in padded batches, without labels, where the model is."""
    names = [name for name in rows.column_names if name in tokenizer.model_input_names]
    rows = rows.select_columns(names).select(range(min(max_rows, len(rows))))
    tokens = 0
    for start in range(0, len(rows), _BATCH):
        batch = tokenizer.pad(rows[start : start + _BATCH], return_tensors="pt")
        yield {name: values.to(model.device) for name, values in batch.items()}
        tokens += int(batch["attention_mask"].sum())
        if tokens >= max_tokens:
            return
