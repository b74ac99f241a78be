"""What the teachers themselves reach, before a student learns from them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import EvalPrediction, PreTrainedConfig

from tinybert_hf.distillation.capture import capture, model_inputs
from tinybert_hf.distillation.losses.prediction import MULTI_LABEL, REGRESSION, SINGLE_LABEL, mixed_logits
from tinybert_hf.distillation.objective import evaluation_mode
from tinybert_hf.distillation.shapes import answers_with_spans
from tinybert_hf.distillation.teacher import (
    better_label_order,
    constant_answer_warning,
    label_order,
    majority_warning,
    order_warning,
    problem_type_of,
)
from tinybert_hf.distillation.teachers import Teachers, each_teacher
from tinybert_hf.errors import TinyBertError

if TYPE_CHECKING:
    from tinybert_hf.training.trainer import DistillationTrainer


def evaluate_teachers(trainer: DistillationTrainer, dataset: Any) -> dict[str, float]:
    """The figures of each teacher and of their mean; a warning for one that knows no more than the label counts.

    Args:
        trainer: with the teachers in their place.
        dataset: rows with labels, as the student reads them; with the columns of teachers that read others.

    Returns:
        The figures of the trainer's compute_metrics (accuracy at least, where a row has one label), named teacher_...
        of one teacher; of several teacher_0_..., teacher_1_... and, of their mean, teachers_...

    Raises:
        TinyBertError: the teachers do not answer once a row, or the rows have no labels.
    """
    logits, labels = _answers(trainer, dataset)
    problem_type, config = problem_type_of(trainer.student.config), trainer.student.config
    teachers = each_teacher(trainer.teacher)
    several = isinstance(trainer.teacher, Teachers) and len(teachers) > 1
    figures: dict[str, float] = {}
    for index, (one, said) in enumerate(zip(teachers, logits, strict=True)):
        prefix = f"teacher_{index}_" if several else "teacher_"
        found = _figures(trainer, said, labels, problem_type)
        figures |= {f"{prefix}{name}": value for name, value in found.items()}
        who = f"teachers[{index}]" if several else "the teacher"
        warning = _knows_nothing(said, labels, problem_type, who)
        if problem_type == SINGLE_LABEL:
            better = better_label_order(said.argmax(-1).tolist(), labels.tolist(), said.shape[-1])
            order = {} if better is None else {"better_label_order": {"order": better[0], "accuracy": better[1]}}
            warning = order_warning({**found, **order}, who, one.config, config) or majority_warning(
                found["accuracy"],
                labels.tolist(),
                who=who,
                teacher_names=_names(one.config),
                label_names=_names(config),
            )
        if warning is not None:
            warnings.warn(warning, stacklevel=3)
    if isinstance(trainer.teacher, Teachers) and several:
        mean = mixed_logits(logits, trainer.teacher.weights, problem_type)
        found = _figures(trainer, mean, labels, problem_type)
        figures |= {f"teachers_{name}": value for name, value in found.items()}
    return figures


def _knows_nothing(logits: Tensor, labels: Tensor, problem_type: str, who: str) -> str | None:
    """What to say of a teacher of several labels, or of numbers, that knows no more than one answer for every row."""
    if problem_type == MULTI_LABEL:
        given, wanted = logits > 0, labels > 0.5
        f1_micro = float(2 * (given & wanted).sum() / (given.sum() + wanted.sum()).clamp(min=1))
        return constant_answer_warning(f1_micro, wanted.int().tolist(), who)
    if problem_type == REGRESSION and len(labels) > 1 and labels.unique().numel() > 1:
        said, right = logits.double().flatten(), labels.double().flatten()
        rises = (said - said.mean()) @ (right - right.mean())
        if not rises > 0:
            return f"{who} gives numbers that do not rise with the right ones. Was it fine-tuned on these labels?"
    return None


def _answers(trainer: DistillationTrainer, dataset: Any) -> tuple[list[Tensor], Tensor]:
    """The logits of each teacher, the labels in the student's order, and the labels of the rows."""
    teachers = each_teacher(trainer.teacher)
    orders = [label_order(trainer.student.config, one.config) for one in teachers]
    parts: list[list[Tensor]] = []
    for batch in trainer.get_eval_dataloader(dataset):
        batch = trainer._prepare_inputs(batch)
        if answers_with_spans(trainer.student):
            raise TinyBertError(
                "A teacher that answers questions is measured by its texts, which are not in these rows: "
                "use evaluate_checkpoint, or `tinybert evaluate`."
            )
        if batch.get("labels") is None:
            raise TinyBertError(
                "The teacher cannot be measured: the rows have no column labels. Keep it in eval_dataset."
            )
        said = []
        for index, (model, order) in enumerate(zip(teachers, orders, strict=True)):
            own: Mapping[str, Any] = batch
            if isinstance(trainer.teacher, Teachers):
                own = trainer.teacher.batch_of(index, batch)
            with evaluation_mode(model), torch.no_grad():
                logits = capture(model, model_inputs(model, own)).logits
            if logits is None or logits.dim() != 2:
                raise TinyBertError(
                    f"{type(model).__name__} does not answer once a row, so its accuracy cannot be counted here. "
                    "Translators and token classifiers are measured by `tinybert evaluate`."
                )
            said.append(logits[:, order].float())
        gathered = trainer.accelerator.gather_for_metrics((*said, batch["labels"]))
        parts.append([one.cpu() for one in gathered])
    columns = [torch.cat(column) for column in zip(*parts, strict=True)]
    return columns[:-1], columns[-1]


def _figures(trainer: DistillationTrainer, logits: Tensor, labels: Tensor, problem_type: str) -> dict[str, float]:
    figures = {}
    if problem_type == SINGLE_LABEL:
        figures["accuracy"] = float((logits.argmax(-1) == labels).float().mean())
    if trainer.compute_metrics is not None:
        outcome = EvalPrediction(predictions=logits.numpy(), label_ids=labels.numpy())
        # Accuracy stays the one that was counted here: the warning speaks of it.
        figures = {**trainer.compute_metrics(outcome), **figures}
    return figures


def _names(config: PreTrainedConfig) -> list[str]:
    return [str(config.id2label[index]) for index in sorted(config.id2label)]
