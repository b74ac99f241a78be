"""Plain training on the labels: of a teacher, or of a student without a teacher."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import DataCollatorForSeq2Seq, PreTrainedModel, Trainer, TrainingArguments

from tinybert_hf.checkpoints import check_batch, limits_of, save_atomically, with_fitting_settings
from tinybert_hf.checkpoints.input_limits import without_unread_segments
from tinybert_hf.data.shards import held_folder
from tinybert_hf.distillation.architecture import is_translator
from tinybert_hf.errors import DataError, OutputFolderError
from tinybert_hf.training.arguments import count_rows, matching_strategies
from tinybert_hf.training.checkpoints import complete_checkpoint, origin_of, settings_of, step_of
from tinybert_hf.training.collators import collator_for, labels_tokens
from tinybert_hf.training.resumable import ResumableTrainer
from tinybert_hf.training.settings import USUAL_LEARNING_RATE, FinetuneSettings
from tinybert_hf.training.setup import example_rows

_LONGEST = 1_000_000  # tokens; a tokenizer's limit above it means that there is none


class FinetuneTrainer(ResumableTrainer):
    """transformers' Trainer with the right loss under gradient accumulation."""

    def __init__(self, model: PreTrainedModel, *args: Any, **kwargs: Any) -> None:
        super().__init__(model, *args, **kwargs)
        # Most heads take `num_items_in_batch` and ignore it, so the mean of a batch has to be scaled here: by the
        # number of batches, or by their target tokens or labelled words. A head that says itself whether it divides
        # (TinyBERT's do) is left to the Trainer.
        ignores = getattr(model, "accepts_loss_kwargs", None) is None
        self._mean_over_tokens = ignores and (is_translator(model) or labels_tokens(model))
        if ignores and not self._mean_over_tokens:
            self.loss_is_scaled_for_ga = False

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """As in transformers; a mean over the labels of its own batch becomes its share of the accumulated batch's."""
        inputs = dict(without_unread_segments(self.model, inputs))
        if not self._mean_over_tokens or num_items_in_batch is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        tokens = (inputs["labels"] != -100).sum()
        loss, outputs = super().compute_loss(model, inputs, True)
        processes = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
        loss = loss * processes * tokens / num_items_in_batch
        return (loss, outputs) if return_outputs else loss


def common_arguments(training_arguments: Mapping[str, Any] | None, *, has_eval: bool, seed: int) -> dict[str, Any]:
    """The TrainingArguments that every run of this package starts from; the caller's own win."""
    return {
        "seed": seed,
        "eval_strategy": "epoch" if has_eval else "no",
        "save_strategy": "steps",
        "save_steps": 0.2,  # a fifth of the run
        "save_total_limit": 1,
        "logging_steps": 50,
        "logging_nan_inf_filter": False,  # the trainer stops there; the filter would wait for the GPU in every step
        "per_device_eval_batch_size": 64,
        "train_sampling_strategy": "group_by_length",
        **matching_strategies(training_arguments or {}, has_eval=has_eval),
        "dataloader_pin_memory": torch.cuda.is_available(),
        **(training_arguments or {}),
    }


def finetune(
    model: PreTrainedModel,
    settings: FinetuneSettings,
    *,
    output_dir: str | Path,
    train_dataset: Any,
    eval_dataset: Any = None,
    processing_class: Any,
    compute_metrics: Any = None,
    seed: int = 42,
    training_arguments: Mapping[str, Any] | None = None,
    announce: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Train `model` on the labels, and put it with its tokenizer into `output_dir`.

    Checkpoints stand beside the folder while the run lasts, so a stopped run goes on where it was; the folder itself
    appears
    only when all is done.

    Args:
        model: with a head; trained in place.
        settings: epochs, rates, batch size.
        output_dir: must not exist yet.
        train_dataset: tokenised rows with `labels`.
        eval_dataset: the same, evaluated after each epoch.
        processing_class: the tokenizer.
        compute_metrics: as for transformers' Trainer.
        seed: of the shuffling and the dropout.
        training_arguments: further fields of TrainingArguments; they win.
        announce: called with the step that a stopped run goes on from, to tell the user; not at the beginning.

    Returns:
        The metrics of the last evaluation, without the `eval_` prefix; empty without an eval set.

    Raises:
        TinyBertError: a loss, gradient or weight that is not finite; no checkpoint that is whole.
        DataError: first rows with tokens, positions or segments that the model does not have.
        OutputFolderError: a checkpoint or the folder could not be written; the folder is there already; or a training
            that was stopped there had another model, tokenizer, rows or settings.
    """
    target = Path(output_dir)
    work = target.parent / f".{target.name}.training"
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputFolderError(f"{target} is there and not empty. Give another output folder, or remove it.")
    settings = settings.with_epochs(count_rows(train_dataset), has_decoder=is_translator(model))
    processing_class = with_fitting_settings(processing_class, model)
    if is_translator(model):
        _write_at_full_length(model, processing_class)
        _keep_padding_untrained(model)
    args = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=settings.known_epochs,
        learning_rate=settings.learning_rate or USUAL_LEARNING_RATE,
        per_device_train_batch_size=settings.batch_size,
        warmup_steps=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        lr_scheduler_type=settings.lr_scheduler_type,
        **common_arguments(training_arguments, has_eval=eval_dataset is not None, seed=seed),
    )
    trainer = FinetuneTrainer(
        model=model,
        args=args,
        train_dataset=train_dataset,
        eval_dataset=eval_dataset,
        processing_class=processing_class,
        compute_metrics=compute_metrics,
        data_collator=DataCollatorForSeq2Seq(processing_class, model=model)
        if is_translator(model)
        else collator_for(model, processing_class),
    )
    check_batch(model, example_rows(trainer, rows=8), "The model", DataError, processing_class)
    trainer.holds_folder = False
    trainer.origin = origin_of(
        model,
        processing_class,
        train_dataset,
        seed=seed,
        settings=asdict(settings),
        **settings_of(training_arguments, eval_dataset),
    )
    with held_folder(work, str(target)):
        checkpoint = complete_checkpoint(work)
        if announce is not None and checkpoint is not None:
            announce(step_of(checkpoint))
        trainer.train(resume_from_checkpoint=checkpoint)
        metrics = final_metrics(trainer, eval_dataset)
        if trainer.is_world_process_zero():
            save_atomically(model, processing_class, target)
            shutil.rmtree(work, ignore_errors=True)
        trainer.accelerator.wait_for_everyone()
    trainer.end_if_terminated()  # in the last evaluation; the model is whole
    return metrics


def _write_at_full_length(model: PreTrainedModel, tokenizer: Any) -> None:
    """Let a plain `generate(**batch)` write as much as the model can; where nothing says it, it ends at 20 tokens."""
    settings = model.generation_config
    if settings is None or settings.max_length is not None or settings.max_new_tokens is not None:
        return
    limit = limits_of(model).target_length or getattr(tokenizer, "model_max_length", None)
    if limit is not None and limit <= _LONGEST:
        settings.max_length = int(limit)


def _keep_padding_untrained(model: PreTrainedModel) -> None:
    """Keep Marian's vector of the padding token what it is: zeros.

    Its decoder begins with that token, and the original Marian with zeros; so do other programs that run its models
    (CTranslate2), which leave the token out. As a row of the output layer it would be trained all the same, and never
    be right. It is not written either.
    """
    padding = model.config.pad_token_id
    if model.config.model_type != "marian" or model.config.decoder_start_token_id != padding:
        return
    tables = [one for one in model.modules() if isinstance(one, torch.nn.Embedding) and one.padding_idx == padding]
    for weight in {id(one.weight): one.weight for one in tables if one.weight.requires_grad}.values():
        if not weight[padding].any():
            weight.register_hook(lambda gradient: _without_row(gradient, padding))
    settings = model.generation_config
    if settings is not None and settings.bad_words_ids is None:
        settings.bad_words_ids = [[padding]]


def _without_row(gradient: torch.Tensor, row: int) -> torch.Tensor:
    """The gradient of a table (V, H), zero in one row."""
    changed = gradient.clone()
    changed[row] = 0
    return changed


def best_step(trainer: Trainer) -> int | None:
    """The step whose weights were loaded at the end because they were the best; None: the last ones were kept."""
    state = trainer.state
    loaded = trainer.args.load_best_model_at_end and state.best_model_checkpoint is not None
    return state.best_global_step if loaded else None


def final_metrics(trainer: Trainer, eval_dataset: Any) -> dict[str, float]:
    """Of the model as it is now, evaluated once more unless its step was already; names without the `eval_` prefix."""
    if eval_dataset is None:
        return {}
    # Where the best checkpoint was loaded, its own figures are those of the model.
    step = best_step(trainer) or trainer.state.global_step
    logged = [entry for entry in trainer.state.log_history if "eval_loss" in entry and entry["step"] == step]
    last = logged[-1] if logged else trainer.evaluate()
    return {name.removeprefix("eval_"): float(value) for name, value in last.items() if name.startswith("eval_")}
