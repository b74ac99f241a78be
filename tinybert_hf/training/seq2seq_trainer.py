"""The Trainer that distils translators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import DataCollatorForSeq2Seq, PreTrainedModel, Seq2SeqTrainer

from tinybert_hf.distillation.teachers import AnyTeacher
from tinybert_hf.opening import with_fitting_settings
from tinybert_hf.training.arguments import Seq2SeqDistillationArguments
from tinybert_hf.training.trainer import DistillationTrainer


class Seq2SeqDistillationTrainer(DistillationTrainer, Seq2SeqTrainer):
    """transformers' Seq2SeqTrainer, with a teacher: `DistillationTrainer` for an encoder with a decoder.

    The rows have `input_ids`, `attention_mask` and `labels` (target ids). Each model makes what its decoder reads from
    the labels, so the two may start their targets with different tokens. `predict_with_generate` and its metrics work
    as in Seq2SeqTrainer.
    """

    def __init__(
        self,
        model: PreTrainedModel | None,
        teacher: AnyTeacher | Sequence[PreTrainedModel],
        args: Seq2SeqDistillationArguments,
        **kwargs: Any,
    ) -> None:
        """As DistillationTrainer; batches are padded by DataCollatorForSeq2Seq unless another collator is given.

        Args:
            model: the student, for example a TinyBertForSeq2Seq; None where `model_init` makes it.
            teacher: a translator with the same tokenizer, or several.
            args: the settings.
            **kwargs: as for DistillationTrainer.

        Raises:
            TinyBertError: two models that do not fit.
        """
        tokenizer = kwargs.get("processing_class")
        if model is not None:
            tokenizer = with_fitting_settings(tokenizer, model)
        if kwargs.get("data_collator") is None and tokenizer is not None:
            kwargs["data_collator"] = DataCollatorForSeq2Seq(tokenizer)
        super().__init__(model, teacher, args, **kwargs)
