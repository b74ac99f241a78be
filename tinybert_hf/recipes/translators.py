"""The two translators of a run: made or opened, and whether they read the same tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf import opening
from tinybert_hf.data import train_translation_tokenizer
from tinybert_hf.data.translation_languages import set_languages
from tinybert_hf.distillation.int8 import round_to_int8
from tinybert_hf.distillation.teacher import INT8
from tinybert_hf.evaluation import open_translator
from tinybert_hf.model import TinyBertForSeq2Seq
from tinybert_hf.opening import open_model
from tinybert_hf.recipes.plan_base import made_config

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from tinybert_hf.recipes.plan_translation import TranslationPlan
    from tinybert_hf.recipes.schema import TeacherSettings

_HEADS = {"encoder_attention_heads": "d_model", "decoder_attention_heads": "d_model"}


def made_translator(
    fields: Mapping[str, Any], pairs: Dataset, vocabulary_size: int, target_vocabulary_size: int | None
) -> tuple[PreTrainedConfig, PreTrainedTokenizerBase]:
    """What a Marian model from random weights needs: its configuration, and a tokenizer trained on the pairs.

    Args:
        fields: of the MarianConfig.
        pairs: with the columns source and target.
        vocabulary_size: of the source where the target has one of its own, else of both.
        target_vocabulary_size: of the target; None: source and target share one.

    Raises:
        TinyBertError: a field or a size that cannot be.
    """
    from transformers import MarianConfig

    positions = made_config(MarianConfig, fields, _HEADS).max_position_embeddings
    tokenizer = train_translation_tokenizer(
        pairs["source"],
        pairs["target"],
        vocab_size=vocabulary_size,
        target_vocab_size=target_vocabulary_size,
        max_length=positions,
    )
    decided = {
        "vocab_size": len(tokenizer),
        "decoder_vocab_size": getattr(tokenizer, "target_vocab_size", len(tokenizer)),
        "share_encoder_decoder_embeddings": target_vocabulary_size is None,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "decoder_start_token_id": tokenizer.pad_token_id,
        "forced_eos_token_id": None,
    }
    return made_config(MarianConfig, fields, _HEADS, **decided), tokenizer


def new_translator(config: PreTrainedConfig, seed: int) -> PreTrainedModel:
    """A Marian model with random weights."""
    from transformers import MarianMTModel, set_seed

    set_seed(seed)
    return MarianMTModel(config)


def open_teacher(plan: TranslationPlan) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The teacher as the recipe names it: trained already, or about to be.

    Raises:
        TinyBertError: it cannot be opened, or is no trained translator.
    """
    teacher = plan.recipe.teacher
    if plan.teacher_tokenizer is not None:
        return new_translator(plan.teacher_config, plan.recipe.seed), plan.teacher_tokenizer
    assert teacher.model is not None
    dtype = None if teacher.finetune is not None else teacher.dtype  # a half precision is for a teacher that is frozen
    return _open(teacher.model, replace(teacher, dtype=dtype))


def reopen_teacher(folder: Path, teacher: TeacherSettings) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The teacher that was trained in this run."""
    return _open(str(folder), teacher)


def _open(model: str, teacher: TeacherSettings) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    import torch

    network, tokenizer = open_translator(model)
    set_languages(network, tokenizer, teacher.source_language, teacher.target_language)
    network.to(getattr(torch, "float32" if teacher.dtype in (None, INT8) else teacher.dtype)).eval()
    if teacher.dtype == INT8:
        round_to_int8(network)
    return network, tokenizer


def make_start(plan: TranslationPlan) -> TinyBertForSeq2Seq:
    """The student before the first step: opened, or drawn."""
    from transformers import set_seed

    set_seed(plan.recipe.seed)
    if plan.recipe.student.model is not None:
        return open_student(plan.recipe.student.model)
    return TinyBertForSeq2Seq(plan.student_config)


def open_student(folder: str | Path) -> TinyBertForSeq2Seq:
    """A student that has been saved."""
    student: TinyBertForSeq2Seq = open_model(folder, TinyBertForSeq2Seq)
    return student


def open_tokenizer(model: str, whose: str, config: PreTrainedConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of a saved model, made to fit its tables.

    Raises:
        TinyBertError: it has none, or one with tokens that the model does not embed.
    """
    what = f"The {whose} {model} has no tokenizer that can be opened; save its tokenizer into the same folder"
    return opening.open_tokenizer(model, what=what, config=config)
