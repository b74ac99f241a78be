"""What is checked, prepared and measured before a distillation begins."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import EvalPrediction, PreTrainedConfig, PreTrainedModel

from tinybert_hf.checkpoints import check_batch, check_tokens, limits_of
from tinybert_hf.distillation.architecture import answers_with_spans, decoder_shape, encoder_shape, is_translator
from tinybert_hf.distillation.batch import masks_of
from tinybert_hf.distillation.capturing import capture, model_inputs
from tinybert_hf.distillation.losses import DistillationLoss
from tinybert_hf.distillation.losses.own import check_first_values
from tinybert_hf.distillation.losses.prediction import MULTI_LABEL, REGRESSION, SINGLE_LABEL, mixed_logits
from tinybert_hf.distillation.objective import Objective, TowardsTeacher, evaluation_mode
from tinybert_hf.distillation.projections import AnyProjections, JointProjections, Projections
from tinybert_hf.distillation.teachers import (
    AnyTeacher,
    Teachers,
    better_label_order,
    constant_answer_warning,
    each_teacher,
    label_order,
    majority_warning,
    order_warning,
    problem_type_of,
)
from tinybert_hf.errors import DataError, RecipeError, TeacherError, TinyBertError
from tinybert_hf.training.arguments import DistillationArguments
from tinybert_hf.training.cache_files import INSTEAD

if TYPE_CHECKING:
    from transformers import Trainer

    from tinybert_hf.training.trainer import DistillationModel, DistillationTrainer


# Whether student and teachers fit together, asked before anything is computed.


def check_kind(student: PreTrainedModel, args: DistillationArguments, for_translators: bool) -> None:
    """Refuse a trainer or arguments that are for the other kind of model.

    Raises:
        TinyBertError: naming those that fit.
    """
    translates = is_translator(student)
    if translates != args.has_decoder or translates != for_translators:
        kind, prefix = ("a translator", "Seq2Seq") if translates else ("an encoder", "")
        raise TinyBertError(
            f"{type(student).__name__} is {kind}: use {prefix}DistillationTrainer with {prefix}DistillationArguments."
        )


def check_cache(teacher: AnyTeacher, args: DistillationArguments) -> None:
    """Refuse a cache of what several teachers say.

    Raises:
        RecipeError: it was asked for.
    """
    if args.teacher_cache is not None and isinstance(teacher, Teachers):
        raise RecipeError(
            "teacher_cache keeps what one teacher says to the student's tokens; here are "
            f"{len(teacher.models)} teachers, or one with tokens or a layer map of its own. {INSTEAD}"
        )


def check_own_modules(losses: Mapping[str, DistillationLoss], teacher: AnyTeacher) -> None:
    """Refuse a loss of one's own that holds a teacher as a part: its weights would be trained.

    Raises:
        TinyBertError: naming the loss.
    """
    of_teachers = {id(parameter) for one in each_teacher(teacher) for parameter in one.parameters()}
    for name, loss in losses.items():
        if isinstance(loss.function, nn.Module) and any(id(one) in of_teachers for one in loss.function.parameters()):
            raise TinyBertError(
                f"{name} holds weights of the teacher, which would be trained with its own. It is given what the "
                "teacher shows; leave the model out of the module."
            )


def check_vocabularies(student: PreTrainedModel, teacher: AnyTeacher, tokenizer: Any) -> None:
    """Refuse two models that cannot read the same tokens; teachers with tokens of their own are left out.

    Args:
        student: the model that learns.
        teacher: from `resolve_teachers`.
        tokenizer: of the student; None: not known.

    Raises:
        TeacherError: the sizes differ, or are too small for the tokenizer.
    """
    same = each_teacher(teacher)
    if isinstance(teacher, Teachers):
        same = [one for one, other in zip(same, teacher.differences, strict=True) if not other]
    for one in same:
        _check_sizes(student, one, tokenizer)


def _check_sizes(student: PreTrainedModel, teacher: PreTrainedModel, tokenizer: Any) -> None:
    known = hasattr(tokenizer, "get_vocab")
    if known:
        advice = (
            "Both models must read the teacher's tokenizer: make the student with "
            "vocab_size=teacher.config.vocab_size, and a teacher whose tokenizer was extended with "
            "teacher.resize_token_embeddings(...)."
        )
        for whose, model in (("student", student), ("teacher", teacher)):
            check_tokens(tokenizer, model, f"The {whose}", TeacherError, advice)
    limits = {"student": limits_of(student), "teacher": limits_of(teacher)}
    halves = [] if known else [("", {whose: one.tokens for whose, one in limits.items()})]
    if is_translator(student) and is_translator(teacher):
        halves.append((" of the target", {whose: one.target_tokens for whose, one in limits.items()}))
    for which, sizes in halves:
        if sizes["student"] != sizes["teacher"]:
            raise TeacherError(
                f"The student embeds {sizes['student']} tokens and the teacher {sizes['teacher']}{which}: they do not "
                "read the same tokenizer. Make the student with the vocabulary sizes of the teacher."
                + (
                    " With a tokenizer of its own it can still learn from the teacher's translations: "
                    "`tinybert pseudo-label`."
                    if is_translator(student)
                    else ""
                )
            )


def check_rows(student: PreTrainedModel, teacher: AnyTeacher, batch: Mapping[str, Any], tokenizer: Any) -> None:
    """Refuse rows with numbers that a table of the student, or of a teacher that reads them, does not hold.

    Args:
        student: the model that learns.
        teacher: from `resolve_teachers`.
        batch: some rows, as the collator makes them.
        tokenizer: of the student, to call tokens by name; None: not known.

    Raises:
        DataError: naming the model, what is beyond its table, and what to do.
    """
    tokenizer = tokenizer if hasattr(tokenizer, "get_vocab") else None
    check_batch(student, batch, "The student", DataError, tokenizer)
    if not isinstance(teacher, Teachers):
        check_batch(teacher, batch, "The teacher", DataError, tokenizer)
        return
    for index, one in enumerate(teacher.models):
        own = teacher.tokenizers[index] if teacher.differences[index] else tokenizer
        check_batch(one, teacher.batch_of(index, batch), teacher.name_of(index), DataError, own)


# What is found out on a few rows before the first step.

# Enough tokens to solve a projection between usual widths, few enough to take seconds.
PROJECTION_TOKENS = 4096
PROJECTION_ROWS = 512
PROJECTION_BATCH = 32


@contextmanager
def unchanged_randomness() -> Iterator[None]:
    """Whatever random numbers the block draws, the run goes on as if it had drawn none."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    # Of all GPUs only the process's own: to ask another for its state would take memory there.
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)


def example_rows(trainer: Trainer, rows: int) -> dict[str, Any]:
    """A collated batch of the first rows of the training set.

    Raises:
        DataError: the training set has no rows.
    """
    with unchanged_randomness():
        chosen = _rows(trainer, rows, 0)
        if not chosen:
            raise DataError("The training set has no rows.")
        return _collated(trainer, chosen)


def _rows(trainer: Trainer, rows: int, start: int) -> list[Any]:
    dataset = trainer.train_dataset
    if dataset is None:
        raise DataError("There is no training set: give train_dataset to the trainer.")
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        return [dataset[i] for i in range(start, min(start + rows, len(dataset)))]
    return list(islice(iter(dataset), start, start + rows))


def _collated(trainer: Trainer, rows: list[Any]) -> dict[str, Any]:
    batch: dict[str, Any] = trainer._get_collator_with_removed_columns(trainer.data_collator)(rows)
    return batch


def batches_to_fit_on(trainer: DistillationTrainer) -> Iterator[dict[str, Any]]:
    """The first rows with tokens enough, in batches of like length: others would be padding for the most part."""
    with unchanged_randomness():
        chosen: list[Any] = []
        tokens = 0
        while tokens < PROJECTION_TOKENS and len(chosen) < PROJECTION_ROWS:
            more = _rows(trainer, PROJECTION_BATCH, len(chosen))
            if not more:
                break
            chosen += more
            tokens += sum(map(_length, more))
        chosen.sort(key=_length)
        batches = [chosen[i : i + PROJECTION_BATCH] for i in range(0, len(chosen), PROJECTION_BATCH)]
        collated = [_collated(trainer, batch) for batch in batches]
    for batch in collated:
        check_rows(trainer.student, trainer.teacher, batch, trainer.processing_class)
        yield trainer._prepare_inputs(batch)


def _length(row: Any) -> int:
    """Tokens of a row; one of a kind that only its collator knows counts as none."""
    return len(row["input_ids"]) if isinstance(row, Mapping) and "input_ids" in row else 0


def unreached_parameters(
    model: DistillationModel, teacher: Any, objective: Objective, batch: Mapping[str, Any]
) -> list[nn.Parameter]:
    """The trainable parameters that no loss depends on, found by one small backward.

    Left in training they would make DistributedDataParallel wait for gradients that never come.

    Raises:
        TinyBertError: a loss of one's own is not finite, or does not reach the student.
    """
    buffers = [(buffer, buffer.clone()) for buffer in model.extra_losses.buffers()]
    with unchanged_randomness():
        parts = model(batch, teachers=objective.capture_teachers(teacher, batch))
        check_first_values(objective.extra_losses, parts, model.student)
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad(torch.stack(list(parts.values())).sum(), trainable, allow_unused=True)
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
    return [parameter for parameter, gradient in zip(trainable, gradients, strict=True) if gradient is None]


def new_projections(mode: str, student: PreTrainedModel, teacher: AnyTeacher, objective: Objective) -> AnyProjections:
    """The maps between the widths of student and teachers, for the layers that are compared, not yet fitted.

    Raises:
        LayerMapError: mode "none" between different widths.
    """
    pairs = zip(each_teacher(teacher), objective.each, strict=True)
    made = [_projections(mode, student, one, towards) for one, towards in pairs]
    return JointProjections(made) if isinstance(teacher, Teachers) else made[0]


def _projections(
    mode: str, student: PreTrainedModel, teacher: PreTrainedModel, towards: TowardsTeacher
) -> Projections:

    def half(
        layers: tuple[int, ...], student_width: int, teacher_width: int, decoder: Projections | None = None
    ) -> Projections:
        # Where no state is compared, nothing is projected, whatever the widths are.
        return Projections(
            mode if layers else "none", student_width, teacher_width if layers else student_width, layers, decoder
        )

    decoder = None
    if towards.projected_decoder_layers:
        widths = decoder_shape(student.config).width, decoder_shape(teacher.config).width
        decoder = half(towards.projected_decoder_layers, *widths)
    widths = encoder_shape(student.config).width, encoder_shape(teacher.config).width
    return half(towards.projected_layers, *widths, decoder=decoder)


def fit_projections(trainer: DistillationTrainer) -> None:
    """Solve the projections by least squares on the first rows of the training set."""
    objective = trainer.distillation_objective
    each = zip(each_teacher(trainer.teacher), objective.each, trainer.projections.each(), strict=True)
    for teacher, towards, projections in each:
        _fit_towards(trainer, teacher, towards, projections)


def _fit_towards(
    trainer: DistillationTrainer, teacher: nn.Module, towards: TowardsTeacher, projections: Projections
) -> None:
    if projections.is_empty:
        return
    encoders, decoders = (_States(towards.projected(f"{half}hidden_states")) for half in ("", "decoder_"))
    with torch.no_grad(), evaluation_mode(trainer.student):
        for batch in batches_to_fit_on(trainer):
            masks = masks_of(batch)
            seen = towards.capture_teacher(teacher, batch)
            made = trainer.distillation_objective.capture_student(trainer.student, batch)
            encoders.note(made.hidden_states, seen.hidden_states, masks.source)
            if masks.target is not None:
                decoders.note(made.decoder_hidden_states, seen.decoder_hidden_states, masks.target)
    encoders.fit(projections)
    if projections.decoder is not None:
        decoders.fit(projections.decoder)


class _States:
    """States of the same tokens in both models, layer by layer."""

    def __init__(self, pairs: dict[int, int]) -> None:
        self.pairs = pairs
        self.of_student: dict[int, list[Tensor]] = {layer: [] for layer in pairs}
        self.of_teacher: dict[int, list[Tensor]] = {layer: [] for layer in pairs}

    def note(self, student: Mapping[int, Tensor], teacher: Mapping[int, Tensor], mask: Tensor) -> None:
        real = mask.bool()
        for layer, other in self.pairs.items():
            self.of_student[layer].append(student[layer][real].float())
            self.of_teacher[layer].append(teacher[other][real].float())

    def fit(self, projections: Projections) -> None:
        if self.pairs:
            of_student = {layer: torch.cat(parts) for layer, parts in self.of_student.items()}
            projections.fit(of_student, {layer: torch.cat(parts) for layer, parts in self.of_teacher.items()})


# What the teachers themselves reach, before a student learns from them.


def evaluate_teachers(trainer: DistillationTrainer, dataset: Any) -> dict[str, float]:
    """The metrics of each teacher and of their mean; a warning for one that knows no more than the label counts.

    Args:
        trainer: with the teachers in their place.
        dataset: rows with labels, as the student reads them; with the columns of teachers that read others.

    Returns:
        The metrics of the trainer's compute_metrics (accuracy at least, where a row has one label), named teacher_...
        of one teacher; of several teacher_0_..., teacher_1_... and, of their mean, teachers_...

    Raises:
        TinyBertError: the teachers do not answer once a row, or the rows have no labels.
    """
    logits, labels = _answers(trainer, dataset)
    problem_type, config = problem_type_of(trainer.student.config), trainer.student.config
    teachers = each_teacher(trainer.teacher)
    several = isinstance(trainer.teacher, Teachers) and len(teachers) > 1
    metrics: dict[str, float] = {}
    for index, (one, own_logits) in enumerate(zip(teachers, logits, strict=True)):
        prefix = f"teacher_{index}_" if several else "teacher_"
        found = _metrics_of(trainer, own_logits, labels, problem_type)
        metrics |= {f"{prefix}{name}": value for name, value in found.items()}
        who = f"teachers[{index}]" if several else "the teacher"
        warning = _knows_nothing(own_logits, labels, problem_type, who)
        if problem_type == SINGLE_LABEL:
            better = better_label_order(own_logits.argmax(-1).tolist(), labels.tolist(), own_logits.shape[-1])
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
        found = _metrics_of(trainer, mean, labels, problem_type)
        metrics |= {f"teachers_{name}": value for name, value in found.items()}
    return metrics


def _knows_nothing(logits: Tensor, labels: Tensor, problem_type: str, who: str) -> str | None:
    """What to say of a teacher of several labels, or of numbers, that knows no more than one answer for every row."""
    if problem_type == MULTI_LABEL:
        given, wanted = logits > 0, labels > 0.5
        f1_micro = float(2 * (given & wanted).sum() / (given.sum() + wanted.sum()).clamp(min=1))
        return constant_answer_warning(f1_micro, wanted.int().tolist(), who)
    if problem_type == REGRESSION and len(labels) > 1 and labels.unique().numel() > 1:
        answers, right = logits.double().flatten(), labels.double().flatten()
        rises = (answers - answers.mean()) @ (right - right.mean())
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
        each = []
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
            each.append(logits[:, order].float())
        gathered = trainer.accelerator.gather_for_metrics((*each, batch["labels"]))
        parts.append([one.cpu() for one in gathered])
    columns = [torch.cat(column) for column in zip(*parts, strict=True)]
    return columns[:-1], columns[-1]


def _metrics_of(trainer: DistillationTrainer, logits: Tensor, labels: Tensor, problem_type: str) -> dict[str, float]:
    metrics = {}
    if problem_type == SINGLE_LABEL:
        metrics["accuracy"] = float((logits.argmax(-1) == labels).float().mean())
    if trainer.compute_metrics is not None:
        outcome = EvalPrediction(predictions=logits.numpy(), label_ids=labels.numpy())
        # Accuracy stays the one that was counted here: the warning speaks of it.
        metrics = {**trainer.compute_metrics(outcome), **metrics}
    return metrics


def _names(config: PreTrainedConfig) -> list[str]:
    return [str(config.id2label[index]) for index in sorted(config.id2label)]
