"""The student of a run before it learns: its start weights, and whether it reads the teacher's tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tinybert_hf.distillation import initialize_from_teacher
from tinybert_hf.errors import TeacherError
from tinybert_hf.model import TinyBertForSequenceClassification
from tinybert_hf.recipes.plan_classification import ClassificationPlan

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# What the teacher's hidden spaces are estimated from: some thousand tokens, which fit into memory at any width.
_START_ROWS = 1024
_START_TOKENS = 16384
_BATCH = 32


def make_start(
    plan: ClassificationPlan, teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, train: Dataset
) -> TinyBertForSequenceClassification:
    """The student before the first step: opened, projected down from the teacher, or drawn."""
    from transformers import set_seed

    set_seed(plan.recipe.seed)
    settings = plan.recipe.student
    if settings.model is not None:
        return TinyBertForSequenceClassification.from_pretrained(
            settings.model, config=plan.student_config, ignore_mismatched_sizes=True
        )
    student = TinyBertForSequenceClassification(plan.student_config)
    if plan.starts_from_teacher:
        layer_map, _ = plan.layer_maps[0]
        rows = train.shuffle(seed=plan.recipe.seed)
        batches = list(unlabelled_batches(rows, tokenizer, teacher, _START_ROWS, _START_TOKENS))
        initialize_from_teacher(student, teacher, batches, layer_map)
    return student


def open_student(folder: Path) -> TinyBertForSequenceClassification:
    """A student that this run has saved."""
    return TinyBertForSequenceClassification.from_pretrained(folder)


def unlabelled_batches(
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    max_rows: int,
    max_tokens: int = _START_TOKENS,
) -> Iterator[dict[str, Tensor]]:
    """The first rows in padded batches, without labels, where the model is."""
    names = [name for name in rows.column_names if name not in ("labels", "length")]
    rows = rows.select_columns(names).select(range(min(max_rows, len(rows))))
    tokens = 0
    for start in range(0, len(rows), _BATCH):
        batch = tokenizer.pad(rows[start : start + _BATCH], return_tensors="pt")
        yield {name: values.to(model.device) for name, values in batch.items()}
        tokens += int(batch["attention_mask"].sum())
        if tokens >= max_tokens:
            return


def check_vocabularies(plan: ClassificationPlan, teacher_tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a student that gives the teacher's token ids another meaning. A student from a preset has no meaning yet.

    Raises:
        TeacherError: the two vocabularies differ; names tokens in which they do.
    """
    from transformers import AutoTokenizer

    teacher_size, size = len(teacher_tokenizer), plan.student_config.vocab_size
    if size < teacher_size:
        raise TeacherError(
            f"The student has a vocabulary of {size} tokens, but the teacher's tokenizer gives {teacher_size}. Leave "
            "vocab_size out of student.overrides, so that it is taken from the teacher."
        )
    if plan.recipe.student.model is None:
        return
    theirs = teacher_tokenizer.get_vocab()
    ours = AutoTokenizer.from_pretrained(plan.recipe.student.model).get_vocab()
    if theirs == ours:
        return
    different = sorted((token for token in {*theirs, *ours} if theirs.get(token) != ours.get(token)), key=str)[:4]
    examples = ", ".join(f"{token!r} ({theirs.get(token)} and {ours.get(token)})" for token in different)
    raise TeacherError(
        f"The teacher's vocabulary ({len(theirs)} tokens) is not the one of the student {plan.recipe.student.model} "
        f"({len(ours)} tokens): the same ids would mean other words, for example {examples}. Take a teacher with the "
        "student's tokenizer, or a student from a preset, which takes over the teacher's."
    )
