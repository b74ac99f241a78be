"""Where a teacher cache that nobody asked for saves time, and which phase fills it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.distillation.losses import ANSWER_LOSSES
from tinybert_hf.training.cache_opening import USUAL_LIMIT_GB
from tinybert_hf.training.phase import Phase
from tinybert_hf.training.word_collation import labels_tokens

if TYPE_CHECKING:
    from tinybert_hf.distillation.teachers import AnyTeacher
    from tinybert_hf.training.trainer import DistillationTrainer


def pays(
    phase: Phase, teacher: AnyTeacher, *, has_decoder: bool, dataset: Any, data_collator: Any, tokenizer: Any
) -> bool:
    """Whether a cache saves a phase time, and cannot be wrong or large.

    One process writes it, so it has to be read more often than there are processes.

    Args:
        phase: that would read it.
        teacher: that would fill it.
        has_decoder: between translators.
        dataset: the rows of the phase.
        data_collator: None: rows are only padded.
        tokenizer: that pads them.
    """
    return phase.known_epochs > int(os.environ.get("WORLD_SIZE", "1")) and can_be_kept(
        phase, teacher, has_decoder=has_decoder, dataset=dataset, data_collator=data_collator, tokenizer=tokenizer
    )


def can_be_kept(
    phase: Phase, teacher: AnyTeacher, *, has_decoder: bool, dataset: Any, data_collator: Any, tokenizer: Any
) -> bool:
    """Whether a phase needs a few logits a row, or a token, and no more of its teacher; arguments as for `pays`."""
    losses = set(phase.loss_weights(has_decoder=has_decoder))
    return (
        "prediction_loss" in losses
        and losses <= set(ANSWER_LOSSES)
        and (
            type(teacher).__name__.endswith(("ForSequenceClassification", "ForQuestionAnswering"))
            or _few_answers(teacher, dataset)
        )
        and data_collator is None
        and "input_ids" in (getattr(dataset, "column_names", None) or ())
        and hasattr(dataset, "select_columns")
        and getattr(tokenizer, "padding_side", None) == "right"
    )


def cache_to_fill(
    trainer: DistillationTrainer,
    phase: Phase,
    behind: Phase,
    cache: Path,
    *,
    has_decoder: bool,
    data_collator: Any,
    tokenizer: Any,
) -> Path | None:
    """The cache of the phase behind, where this one runs the teacher over the same rows anyway.

    Only on one machine: processes that share no disk could not all read it.

    Args:
        trainer: of this phase.
        phase: this one.
        behind: the next one.
        cache: where its own cache would be.
        has_decoder: between translators.
        data_collator: None: rows are only padded.
        tokenizer: that pads them.

    Returns:
        `cache`, or None.
    """
    fills = (
        trainer.args.world_size == int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        and trainer.args.teacher_cache is None
        and trainer.distillation_objective.needs_teacher
        and phase.train_rows == behind.train_rows
        and behind.teacher_cache in (None, True)
        and behind.teacher_cache_limit_gb is None
        and can_be_kept(
            behind,
            trainer.teacher,
            has_decoder=has_decoder,
            dataset=trainer.train_dataset,
            data_collator=data_collator,
            tokenizer=tokenizer,
        )
    )
    return cache if fills else None


def _few_answers(teacher: Any, dataset: Any) -> bool:
    """Whether the answers at all tokens of a data set are small beside what a cache may take."""
    if not labels_tokens(teacher) or "length" not in (getattr(dataset, "column_names", None) or ()):
        return False
    labels: int = teacher.config.num_labels
    return bool(sum(dataset["length"]) * labels * 4 < USUAL_LIMIT_GB * 1e8)
