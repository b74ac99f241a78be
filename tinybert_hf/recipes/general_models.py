"""The two models of a general distillation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinybert_hf.data.corpus import BlockCollator, CorpusBlocks
from tinybert_hf.distillation import initialize_from_teacher
from tinybert_hf.distillation.teacher import load_encoder
from tinybert_hf.errors import TeacherError, TinyBertError
from tinybert_hf.opening import open_model
from tinybert_hf.recipes.plan_general import GeneralPlan

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Some thousand tokens, as for a classifier's start.
_START_BLOCKS, _START_TOKENS, _BATCH = 1024, 16384, 32


def open_teacher(plan: GeneralPlan) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The encoder of the teacher, without a head.

    Raises:
        TeacherError: it cannot be opened, or its tokenizer does not fit.
    """
    settings = plan.recipe.teacher
    assert settings.model is not None
    teacher, tokenizer = load_encoder(settings.model, dtype=settings.dtype or "float32")
    if plan.corpus.masked_share and tokenizer.mask_token_id is None:
        raise TeacherError(f"The tokenizer of {settings.model} has no mask token, so nothing can be masked.")
    return teacher, tokenizer


def make_start(
    plan: GeneralPlan, teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, blocks: CorpusBlocks
) -> PreTrainedModel:
    """The student before the first step: opened, projected down from the teacher, or drawn."""
    from transformers import set_seed

    set_seed(plan.recipe.seed)
    model, kind = plan.recipe.student.model, plan.student_class
    if model is not None:
        what = f"student.model {model}: config.json and the weights do not fit"
        opened: PreTrainedModel = open_model(
            model, kind, TinyBertError, what, new_head=True, config=plan.student_config
        )
        return opened
    student = kind(plan.student_config)
    if plan.starts_from_teacher:
        count = min(_START_BLOCKS, -(-_START_TOKENS * len(blocks) // blocks.tokens), len(blocks))
        chosen = np.random.default_rng(plan.recipe.seed).choice(len(blocks), count, replace=False)
        collate = BlockCollator(tokenizer)
        batches = []
        for start in range(0, count, _BATCH):
            batch = collate([blocks[number] for number in chosen[start : start + _BATCH].tolist()])
            batches.append({name: values.to(teacher.device) for name, values in batch.items()})
        initialize_from_teacher(student, teacher, batches, plan.start_map)
    return student


def open_student(plan: GeneralPlan, folder: Path) -> PreTrainedModel:
    """A student that this run has saved."""
    opened: PreTrainedModel = open_model(folder, plan.student_class)
    return opened
