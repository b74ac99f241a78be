"""The teacher of a run: opened, made, or fine-tuned first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tinybert_hf.data import TaskData
from tinybert_hf.distillation import load_teacher
from tinybert_hf.opening import HEADS
from tinybert_hf.recipes.plan_encoder import EncoderPlan

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def open_teacher(plan: EncoderPlan) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The teacher as the recipe names it: fine-tuned already, or about to be.

    Raises:
        TeacherError: it cannot be opened, or its head is untrained and the recipe does not say to fine-tune it.
    """
    from transformers import set_seed

    teacher = plan.recipe.teacher
    if teacher.config is not None:
        assert plan.teacher_tokenizer is not None
        set_seed(plan.recipe.seed)
        return HEADS[plan.recipe.task].opener.from_config(plan.teacher_config), plan.teacher_tokenizer
    assert teacher.model is not None
    if teacher.finetune is not None:
        return open_pretrained(teacher.model, plan.recipe.task, plan.data, plan.recipe.seed)
    return load_teacher(teacher.model, task=plan.recipe.task, dtype=teacher.dtype or "float32")


def reopen_teacher(folder: Path, task: str, dtype: str | None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The teacher that was fine-tuned in this run."""
    return load_teacher(str(folder), task=task, dtype=dtype or "float32")


def open_pretrained(
    model: str, task: str, data: TaskData, seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A pretrained model with a head for the labels of the data: its own where that fits, else a fresh one."""
    from transformers import set_seed

    set_seed(seed)  # the fresh head is drawn here
    problem = data.config_fields.get("problem_type")
    return load_teacher(
        model, task=task, label_names=data.label_names, problem_type=problem, new_head=True, dtype="float32"
    )
