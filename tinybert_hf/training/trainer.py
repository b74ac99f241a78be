"""The Trainer that distils, and its twin for translators."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.utils import DynamoBackend
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import DataCollatorForSeq2Seq, PreTrainedModel, Seq2SeqTrainer, TrainingArguments, set_seed
from transformers.trainer_utils import SaveStrategy
from transformers.utils.generic import find_labels

from tinybert_hf.checkpoints import PROJECTIONS_FILE, with_fitting_settings
from tinybert_hf.distillation.batch import WORD_STARTS, Counts, attention_mask, labels_of, masks_of
from tinybert_hf.distillation.capturing import Capture, model_inputs
from tinybert_hf.distillation.losses import LOSSES, DistillationLoss
from tinybert_hf.distillation.losses.own import own_losses
from tinybert_hf.distillation.objective import Objective
from tinybert_hf.distillation.projections import AnyProjections
from tinybert_hf.distillation.teachers import (
    AnyTeacher,
    Teachers,
    bfloat16_products,
    each_teacher,
    multiplies_in_bfloat16,
    resolve_teachers,
)
from tinybert_hf.errors import OutputFolderError, TinyBertError
from tinybert_hf.training.arguments import (
    DISTILLATION_LOSS,
    DistillationArguments,
    Seq2SeqDistillationArguments,
    best_by,
    check_best_model,
    plain_name,
)
from tinybert_hf.training.checkpoints import origin_of
from tinybert_hf.training.collators import OwnTokensCollator, collator_for, own_inputs
from tinybert_hf.training.following import FollowingHead, fate_of_head
from tinybert_hf.training.logs import LossCurve, held_out_losses, write_model_card
from tinybert_hf.training.phase_losses import check_cached_losses, losses_of_phase
from tinybert_hf.training.resumable import ResumableTrainer, load_whole_state, whole_state
from tinybert_hf.training.setup import (
    check_cache,
    check_kind,
    check_own_modules,
    check_rows,
    check_vocabularies,
    evaluate_teachers,
    example_rows,
    fit_projections,
    new_projections,
    unreached_parameters,
)
from tinybert_hf.training.teacher_cache import (
    AnswerRecord,
    CachingCollator,
    TeacherCache,
    capture_from,
    open_teacher_cache,
)

# torch.compile for the models that a trainer captures from.


@contextmanager
def compiled(models: Sequence[nn.Module], args: TrainingArguments) -> Iterator[None]:
    """Compile the models in place while they train, if `args.torch_compile` asks for it.

    In place, because a wrapper round a model would hide it: queries and keys are taken from the model itself, and
    checkpoints and attributes are its own. Each keeps its class, its parameters and their names.

    Args:
        models: student and teachers.
        args: `torch_compile`, `torch_compile_backend` and `torch_compile_mode` as for every Trainer.
    """
    if not args.torch_compile:
        yield
        return
    for model in models:
        # Batches of text differ in length: what is compiled for one length would be compiled again for the next.
        model.compile(backend=args.torch_compile_backend or "inductor", mode=args.torch_compile_mode, dynamic=True)
    try:
        yield
    finally:
        for model in models:
            model._compiled_call_impl = None


# The student together with its projections: what the trainer wraps, steps and checkpoints.

EXTRA_LOSSES_FILE = "extra_losses.safetensors"
"""In a checkpoint: the weights of losses of one's own."""


def weights_of_losses(losses: Mapping[str, DistillationLoss]) -> nn.ModuleDict:
    """The losses of one's own that are modules, by name."""
    own = {name: loss.function for name, loss in losses.items()}
    return nn.ModuleDict({name: one for name, one in own.items() if isinstance(one, nn.Module)})


def load_extra_losses(folder: Path, losses: Mapping[str, DistillationLoss]) -> None:
    """Give losses of one's own the weights that a finished phase ended with.

    Args:
        folder: of the phase.
        losses: those of the phase.
    """
    modules = weights_of_losses(losses)
    if modules.state_dict():
        load_whole_state(modules, load_file(folder / EXTRA_LOSSES_FILE))


class DistillationModel(nn.Module):
    """Called with what the teachers show of a batch it returns the losses, otherwise it is the student.

    The projections, and the weights of losses of one's own, are used inside this forward, so that wrappers such as
    DistributedDataParallel see every parameter. Any other attribute (`config`, `save_pretrained`, ...) is the
    student's.
    """

    # The losses are divided by counts of the whole batch here; the student's own loss is only used in evaluation.
    accepts_loss_kwargs = False

    def __init__(
        self,
        student: PreTrainedModel,
        projections: AnyProjections,
        objective: Objective,
        student_bf16: bool | None = False,
    ) -> None:
        super().__init__()
        self.student_bf16 = student_bf16
        self.student = student
        self.projections = projections
        self.extra_losses = weights_of_losses(objective.extra_losses)
        self.objective = objective
        self.is_sharded = False

    def get_input_embeddings(self) -> nn.Module | None:
        """The student's; none where the parameters are sharded.

        Accelerate would put embeddings and head into groups of their own, and of a weight that two modules share torch
        wants both in one group. Unnamed, they all stay in that of the whole model.
        """
        return None if self.is_sharded else self.student.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module | None:
        """As `get_input_embeddings`."""
        return None if self.is_sharded else self.student.get_output_embeddings()

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("student"), name)

    def forward(
        self,
        batch: Mapping[str, Any] | None = None,
        teachers: tuple[Capture, ...] | None = None,
        counts: Counts | None = None,
        **inputs: Any,
    ) -> Any:
        """The losses by name towards the teachers, or the student's own output where there is no capture of them.

        Args:
            batch: rows, with `labels` (or the positions of an answer) for the label loss and the decoder's input.
            teachers: from `Objective.capture_teachers`, of the same batch.
            counts: what the means divide by; None: the counts of this batch.
            **inputs: the student's inputs, where it is to be itself.
        """
        if teachers is None:
            return self.student(**inputs) if batch is None else self.student(batch, **inputs)
        assert batch is not None
        quick = self.training and multiplies_in_bfloat16(self.student, self.student_bf16)
        with bfloat16_products(self.student, quick):
            made = self.objective.capture_student(self.student, batch)
        if quick:
            made = made.widened()  # the losses, one's own too, are computed in fp32
        return self.objective.compute(
            made,
            teachers,
            masks_of(batch),
            self.projections,
            counts,
            labels=labels_of(batch),
            batch=batch,
        )


# The Trainer that distils.

FILLER = "is_filler"  # marks a batch that is computed, and counted as nothing


class DistillationTrainer(ResumableTrainer):
    """transformers' Trainer, with a teacher or several.

    Each step runs each model once: the teacher in eval mode and without gradient, the student with its projections.
    The losses of `args.phase`, and those of one's own, are added with their weights and logged one by one. Checkpoints
    hold the projections and the weights of losses, so that a run can be resumed; the saved student does not.

    `trainer.student` is the model that was given, `trainer.teacher` the teacher, or `Teachers` where there are
    several; `trainer.loss_curve` holds the losses of all steps, finer than they are logged. The labels of a dataset
    are used in evaluation only.
    """

    model: nn.Module
    _signature_columns: list[str] | None
    # compute_loss divides by the counts of the whole batch, accumulation and processes included.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: PreTrainedModel | None,
        teacher: AnyTeacher | Sequence[PreTrainedModel],
        args: DistillationArguments,
        *,
        projections: AnyProjections | None = None,
        extra_losses: Mapping[str, DistillationLoss | Callable[..., Any]] | None = None,
        model_init: Callable[..., PreTrainedModel] | None = None,
        **kwargs: Any,
    ) -> None:
        """Check that the two models fit, and wrap the student.

        Args:
            model: the student; None where `model_init` makes it.
            teacher: a fine-tuned model with the same tokenizer; or several, as a list or as `Teachers`, which gives
                them weights, layer maps and tokenizers of their own.
            args: the settings.
            projections: those of an earlier phase, to go on with; None: new ones.
            extra_losses: losses of your own by name, added to those of `args` and logged beside them: see
                `DistillationLoss`. A function alone is given the logits of both models, with the weight 1.
            model_init: makes a student for each call of `train`, for `hyperparameter_search`; may take the trial.
                Projections are made anew with it.
            **kwargs: as for transformers' Trainer (train_dataset, eval_dataset, processing_class, compute_metrics,
                ...).

        Raises:
            TinyBertError: layers, heads, widths, labels or vocabularies that do not fit; each message says what to
                do.
        """
        if (model is None) == (model_init is None) or (model_init is not None and projections is not None):
            raise TinyBertError(
                "Give the student as `model`, or a function that makes it as `model_init`: one of the two"
                + (", and no projections, which belong to one student." if projections is not None else ".")
            )
        self.args = args
        self.model_init = model_init
        self.extra_losses = losses_of_phase(own_losses(extra_losses, LOSSES), args.phase)
        if not self.loss_weights:
            raise TinyBertError(
                f"Nothing is to be learnt: the phase {args.phase!r} has no loss of its own, and extra_losses gives "
                "none for it."
            )
        self.teacher = resolve_teachers(teacher, kwargs.get("processing_class"))
        if model is not None:  # what pads, and is saved with the student
            kwargs["processing_class"] = with_fitting_settings(kwargs.get("processing_class"), model)
        self.processing_class = kwargs.get("processing_class")
        check_cache(self.teacher, args)
        if args.teacher_cache is not None:
            every = {**dict.fromkeys(args.loss_weights), **self.extra_losses}
            check_cached_losses(every, args.teacher_cache_hidden_states)
        if kwargs.get("data_collator") is None:
            kwargs["data_collator"] = collator_for(model, self.processing_class)
        if model_init is not None:
            self._extra_starts = {
                name: copy.deepcopy(loss.function.state_dict())
                for name, loss in self.extra_losses.items()
                if isinstance(loss.function, nn.Module)
            }
            set_seed(args.seed)
            model = super().call_model_init()
            kwargs["processing_class"] = with_fitting_settings(self.processing_class, model)
        super().__init__(self._wrap(cast(PreTrainedModel, model), projections), args, **kwargs)
        self.model_init = model_init
        if self.args.n_gpu > 1:
            raise TinyBertError(
                f"{self.args.n_gpu} GPUs are visible to one process, which would split batches with DataParallel. "
                "Start "
                "with `accelerate launch` (one process a GPU), or show one GPU with CUDA_VISIBLE_DEVICES=0."
            )
        if self.args.label_names is None:
            self.label_names = find_labels(type(self.student))
        if isinstance(self.teacher, Teachers) and any(self.teacher.differences):
            self.data_collator = OwnTokensCollator(self.data_collator, self.teacher)
        self._part_sums: dict[str, Tensor] = {}
        self._parts_since = 0
        self.loss_curve = LossCurve()
        self._cache: TeacherCache | None = None
        self.owns_cache = False  # a stale or damaged teacher cache is then written anew, and not refused
        self.answers_for: Path | None = None  # the cache of a later phase, that the teacher's answers of this one fill
        self._answers: AnswerRecord | None = None
        self._following: FollowingHead | None = None
        self.head = ""  # what became of the student's head, as `PhaseResult` has it

    def _wrap(self, student: PreTrainedModel, projections: AnyProjections | None = None) -> DistillationModel:
        """The student with projections and losses, as `self.args` now wants them."""
        args: DistillationArguments = self.args
        check_kind(student, args, isinstance(self, Seq2SeqTrainer))
        check_vocabularies(student, self.teacher, self.processing_class)
        self.student = student
        # Not `objective`: transformers' hyperparameter search keeps a number of its own there.
        check_own_modules(self.extra_losses, self.teacher)
        self.distillation_objective = Objective.between(
            student,
            self.teacher,
            losses=tuple(args.loss_weights),
            named=args.named_losses,
            extra_losses=self.extra_losses,
            temperature=args.temperature,
            teacher_bf16=args.teacher_bf16,
            **args.layer_maps,
        )
        self._projections_are_new = projections is None
        self.projections = projections or new_projections(
            args.projection, student, self.teacher, self.distillation_objective
        )
        wrapped = DistillationModel(student, self.projections, self.distillation_objective, args.student_bf16)
        self.extra_modules = wrapped.extra_losses
        return wrapped

    @property
    def loss_weights(self) -> dict[str, float]:
        """The losses that are computed, with their weights: those of the arguments, and those of one's own."""
        return {**self.args.loss_weights, **{name: loss.weight for name, loss in self.extra_losses.items()}}

    def create_accelerator_and_postprocess(self) -> None:
        """As in transformers' Trainer; compilation is left to `train`, which compiles the models in place.

        Accelerate would wrap them, and hide what is captured.
        """
        super().create_accelerator_and_postprocess()
        self.accelerator.state.dynamo_plugin.backend = DynamoBackend.NO

    def call_model_init(self, trial: Any = None) -> nn.Module:
        """The student that `train` has made, wrapped: transformers' Trainer asks for it once more."""
        return self.model

    def _begin_anew(self, trial: Any) -> None:
        """Make the student of a trial, and all that hangs on it and on the trial's settings."""
        self._hp_search_setup(trial)
        set_seed(self.args.seed)
        for name, start in self._extra_starts.items():
            cast(nn.Module, self.extra_losses[name].function).load_state_dict(start)
        self.model = self._wrap(super().call_model_init(trial))
        if self.place_model_on_device:
            self._move_model_to_device(self.model, self.args.device)
        self.model_wrapped = self.model

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> Any:
        """Train, or go on from a checkpoint; see transformers' Trainer.

        Before the first step one small batch is looked at, whether its numbers lie within the tables of both models,
        and runs through them: what cannot be captured raises here, and parameters that no loss reaches (the head, in
        the intermediate phase) are left out of training.

        Args:
            resume_from_checkpoint: folder of a checkpoint, or True: the newest whole one of `args.output_dir`.
            **kwargs: as for transformers' Trainer.

        Returns:
            What transformers' Trainer gives: the number of steps, the mean loss, the time.

        Raises:
            CaptureError: something cannot be taken from a model.
            DataError: rows with tokens, positions or segments that a model does not have, or padded before the text.
            TinyBertError: as ResumableTrainer; or a teacher cache that cannot be used, with the reason.
        """
        if self.model_init is not None:
            self._begin_anew(kwargs.get("trial"))
        self.loss_curve = LossCurve()
        self.place_teacher()
        check_best_model(self)  # before minutes of a teacher's answers
        examples = example_rows(self, rows=8)
        check_rows(self.student, self.teacher, examples, self.processing_class)
        self._cache = open_teacher_cache(self, examples) if self.args.teacher_cache is not None else None
        self._answers = AnswerRecord.of(self, examples, self.answers_for) if self.answers_for is not None else None
        batch = self._prepare_inputs(examples)
        idle = unreached_parameters(
            cast(DistillationModel, self.model), self.teacher, self.distillation_objective, batch
        )
        starts_fresh = not resume_from_checkpoint and self._projections_are_new
        if starts_fresh and self.args.projection_start == "least_squares":
            fit_projections(self)
            self._projections_are_new = False
        self._following = FollowingHead.of(self, idle) if self.args.follow_head else None
        self.head = fate_of_head(self.student, idle, self._following)
        chosen = self.args.load_best_model_at_end or self.args.save_strategy == SaveStrategy.BEST
        if idle and self._following is None and chosen:
            best_by(self.loss_weights, self.args.metric_for_best_model)  # refused: the head says nothing
        for parameter in idle:
            parameter.requires_grad_(False)
        if isinstance(self.model, DistillationModel):
            self.model.is_sharded = self.is_fsdp_enabled
        try:
            with compiled([self.student, *each_teacher(self.teacher)], self.args):
                result = super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)
            if self._answers is not None:
                self._answers.write(self.accelerator)
            self._lead_head()
            return result
        finally:
            self._following = None
            for parameter in idle:
                parameter.requires_grad_(True)

    def _lead_head(self) -> None:
        """Let the student's head read its states as they are now, where no loss trains it."""
        if self._following is not None:
            self._following.lead(self)

    def evaluate_teacher(self, eval_dataset: Any = None) -> dict[str, float]:
        """What the teachers themselves reach on the evaluation rows; to be looked at before training.

        Warns of a teacher that is no better than always answering the most frequent label.

        Args:
            eval_dataset: None: the trainer's. For teachers with another tokenizer, made by `with_teacher_tokens`.

        Returns:
            The figures of `compute_metrics`, and accuracy where a row has one label: teacher_accuracy, ...; of several
            teachers teacher_0_accuracy, ..., and teachers_accuracy, ... of the mean of their probabilities.
        """
        self.place_teacher()
        return evaluate_teachers(self, eval_dataset)

    @property
    def teacher_is_bf16(self) -> bool:
        """Whether a teacher multiplies in bfloat16, because it was asked to or because that is faster here."""
        return self.args.bf16 or any(
            multiplies_in_bfloat16(one, self.args.teacher_bf16) for one in each_teacher(self.teacher)
        )

    @property
    def student_is_bf16(self) -> bool:
        """Likewise of the student, while it learns."""
        return self.args.bf16 or multiplies_in_bfloat16(self.student, self.args.student_bf16)

    @property
    def throughput(self) -> dict[str, float]:
        """What was read and how fast, where that is counted: here not."""
        return {}

    def describe_origin(self) -> dict[str, Any]:
        """The teachers, too, and the weights of losses of one's own."""
        own = {name: loss.weight for name, loss in self.extra_losses.items()}
        return origin_of(self.student, self.processing_class, self.train_dataset, self.teacher, extra_losses=own)

    def place_teacher(self) -> None:
        """Put the teachers on the device of the run."""
        if isinstance(self.teacher, Teachers):
            for index, one in enumerate(self.teacher.models):
                self.teacher.models[index] = self.accelerator.prepare_model(one, evaluation_mode=True)
        else:
            self.teacher = self.accelerator.prepare_model(self.teacher, evaluation_mode=True)

    def get_train_dataloader(self) -> Any:
        """As in ResumableTrainer; with a teacher cache, its answers stand beside the rows."""
        plain: Any = self.data_collator
        if self._cache is not None:
            self.data_collator = CachingCollator(plain, self._cache)
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = plain

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The weighted sum of the losses; in evaluation the student's own loss on the labels."""
        if not model.training:
            return super().compute_loss(model, model_inputs(self.student, inputs, labels=True), return_outputs)
        counts = num_items_in_batch if isinstance(num_items_in_batch, Counts) else None
        seen = self._teacher_capture(inputs)
        parts = model(dict(inputs), teachers=seen, counts=counts)
        if FILLER in inputs:
            parts = {name: part * 0.0 for name, part in parts.items()}
        weights = self.loss_weights
        loss = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
        self._note_parts(parts)
        # DistributedDataParallel averages gradients over processes; each holds a share of one sum.
        loss = loss * self.args.world_size
        return (loss, parts) if return_outputs else loss

    def _teacher_capture(self, inputs: dict[str, Any]) -> tuple[Capture, ...]:
        """What the teachers show of a batch: out of a cache, or from forwards, the answers noted on request."""
        if self._cache is not None:
            return (capture_from(inputs),)
        if self._answers is None or self._answers.is_complete:
            return self.distillation_objective.capture_teachers(self.teacher, inputs)
        seen = self.distillation_objective.each[0].capture_teacher(self.teacher, inputs, answer=True)
        self._answers.note(inputs, seen)
        return (seen,)

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, Any]], device: torch.device) -> Counts | None:
        """Counts over all batches of an optimizer step, in all processes."""
        if not batch_samples:
            return None
        if self.args.world_size > 1:
            batch_samples[-1] = self._without_repeated_rows(batch_samples[-1])
        device = torch.device("cpu") if device.type == "mps" else device  # which has no float64
        none = self.distillation_objective.no_counts
        totals = none.as_tensor(device)
        for batch in batch_samples:
            if FILLER not in batch:
                totals += self.distillation_objective.counts_of(batch).as_tensor(device)
        if self.args.world_size > 1:
            totals = self.accelerator.reduce(totals, "sum")
        return none.filled(totals.to(self.args.device, torch.float32))

    def _without_repeated_rows(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch, without the rows that Accelerate repeats at the end of an epoch to give each process as many.

        A process for which none is left computes one row and counts it as nothing: the others wait for its gradients.
        """
        left = self._rows_of_last_batch()
        if not self.accelerator.gradient_state.end_of_dataloader or left <= 0:
            return batch
        rows = len(attention_mask(batch))
        own = max(0, min(rows, left - self.args.process_index * self.args.train_batch_size))
        if own == rows:
            return batch
        kept = {
            name: value[: max(own, 1)] if isinstance(value, Tensor) and len(value) == rows else value
            for name, value in batch.items()
        }
        return kept if own else {**kept, FILLER: True}

    def _rows_of_last_batch(self) -> int:
        """Rows of all processes together in the last batch of an epoch; 0 or less where it is full."""
        if self.args.dataloader_drop_last:
            return 0
        if not hasattr(self.train_dataset, "__len__"):
            return int(self.accelerator.gradient_state.remainder)
        # Accelerate's own number is that of one process in the epoch in which a run goes on from a checkpoint.
        return len(cast(Sized, self.train_dataset)) % (self.args.train_batch_size * self.args.world_size)

    def _note_parts(self, parts: Mapping[str, Tensor]) -> None:
        if not self._part_sums:
            self._parts_since = self.state.global_step
        self._loss_parts = dict(parts)
        for name, part in parts.items():
            self._part_sums[name] = self._part_sums.get(name, 0.0) + part.detach()
        self.loss_curve.note(parts, self.state.global_step, self.state.max_steps)

    def running_sums(self) -> dict[str, Any]:
        """The losses one by one, too."""
        parts = {name: float(value) for name, value in self._part_sums.items()}
        own = {"parts": parts, "parts_since": self._parts_since, "curve": self.loss_curve.state()}
        return {**super().running_sums(), **own}

    def set_running_sums(self, sums: Mapping[str, Any]) -> None:
        """The losses one by one, too."""
        super().set_running_sums(sums)
        self._part_sums = {name: torch.tensor(value, device=self.args.device) for name, value in sums["parts"].items()}
        self._parts_since = sums["parts_since"]
        if "curve" in sums:  # an older checkpoint has none
            self.loss_curve.restore(sums["curve"], self.args.device)

    def _restore_running_sums(self) -> None:
        super()._restore_running_sums()
        if self._answers is not None and self._resumed_from is not None:
            self._answers.load(Path(self._resumed_from) / self._answers_file)

    @property
    def _answers_file(self) -> str:
        return self._of_this_process("teacher_answers", ".safetensors")

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        if self._answers is not None:
            self._answers.save(Path(output_dir) / self._answers_file)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Add the losses one by one to the training log."""
        steps = self.state.global_step - self._parts_since
        if "loss" in logs and self._part_sums and steps > 0:
            sums = self.accelerator.reduce(torch.stack(list(self._part_sums.values())), "sum") / steps
            logs = {**logs, **dict(zip(self._part_sums, sums.tolist(), strict=True))}
            self._part_sums = {}
        super().log(logs, *args, **kwargs)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """transformers' optimizer, the projections in a group with their own learning rate where one is given."""
        fresh = self.optimizer is None
        optimizer = super().create_optimizer(model)
        rate = self.args.projection_learning_rate
        own = {id(parameter) for parameter in self.projections.parameters()}
        if fresh and own and rate is not None:
            for group in optimizer.param_groups:
                group["params"] = [parameter for parameter in group["params"] if id(parameter) not in own]
            optimizer.add_param_group({"params": list(self.projections.parameters()), "lr": rate, "weight_decay": 0.0})
        return optimizer

    def _set_signature_columns_if_needed(self) -> None:
        """Keep the columns that any of the models takes: a teacher may need token_type_ids, and the student not."""
        if self._signature_columns is None:
            names = [*inspect.signature(self.student.forward).parameters]
            for index, teacher in enumerate(each_teacher(self.teacher)):
                inputs = [*inspect.signature(teacher.forward).parameters]
                # Columns for a teacher that reads the student's tokens all the same are not needed.
                reads_own = isinstance(self.teacher, Teachers) and self.teacher.differences[index]
                names += [*inputs, *(own_inputs(index, inputs) if reads_own else ())]
            names += [column for loss in self.extra_losses.values() for column in loss.columns]
            self._signature_columns = list(
                dict.fromkeys([*names, "label", "label_ids", WORD_STARTS, *self.label_names])
            )

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        if state_dict is not None:
            prefix = "student."
            state_dict = {k.removeprefix(prefix): v for k, v in state_dict.items() if k.startswith(prefix)}
        self._as_student(super()._save, output_dir, state_dict)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the student as an ordinary model; in a checkpoint, the projections and weights of losses beside it.

        Args:
            output_dir: None: `args.output_dir`.
            _internal_call: a checkpoint is being written.
        """
        super().save_model(output_dir, _internal_call)
        if _internal_call and output_dir is not None:
            for name, module in self.kept_modules.items():
                state = whole_state(module)
                if self.args.should_save:
                    save_file(state, os.path.join(output_dir, name))

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        self._lead_head()
        super()._save_checkpoint(model, trial)

    @property
    def kept_modules(self) -> dict[str, nn.Module]:
        """What a checkpoint keeps beside the student, by the name of its file: projections, weights of losses."""
        each = {PROJECTIONS_FILE: self.projections, EXTRA_LOSSES_FILE: self.extra_modules}
        return {name: module for name, module in each.items() if module.state_dict()}

    def create_model_card(
        self,
        language: str | None = None,
        license: str | None = None,
        tags: str | list[str] | None = None,
        model_name: str | None = None,
        finetuned_from: str | None = None,
        tasks: str | list[str] | None = None,
        dataset_tags: str | list[str] | None = None,
        dataset: str | list[str] | None = None,
        dataset_args: str | list[str] | None = None,
    ) -> None:
        """Write a card that says what the student was distilled from, how, and what it reaches.

        A README.md of one's own in the output folder stays. `finetuned_from`, `tasks`, `dataset` and `dataset_args`
        are for cards of other trainers: teacher and task are known here.

        Args:
            language: for the metadata.
            license: for the metadata.
            tags: further ones.
            model_name: None: that of the repository, or of the folder.
            finetuned_from: not used.
            tasks: not used.
            dataset_tags: id of the dataset on the Hub; of several the first.
            dataset: not used.
            dataset_args: not used.
        """
        if self.is_world_process_zero():
            ids = [dataset_tags] if isinstance(dataset_tags, str) else list(dataset_tags or ())
            more = [tags] if isinstance(tags, str) else list(tags or ())
            write_model_card(
                self, model_name, tags=more, dataset=ids[0] if ids else None, language=language, license=license
            )

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model if model is not None else self.student)
        self._load_beside_the_student(resume_from_checkpoint)

    def _load_beside_the_student(self, resume_from_checkpoint: str) -> None:
        for name, module in self.kept_modules.items():
            path = os.path.join(resume_from_checkpoint, name)
            if not os.path.isfile(path):
                raise OutputFolderError(
                    f"{resume_from_checkpoint} has no {name}, so the run cannot go on as it was. Remove this "
                    "checkpoint to resume from an earlier one, or start anew in another folder."
                )
            try:
                load_whole_state(module, load_file(path))
            except RuntimeError as error:
                raise OutputFolderError(
                    f"{path} holds other weights than the run has now: {error}. Give the losses that it was begun "
                    "with, or start anew in another folder."
                ) from error

    def evaluation_loop(self, dataloader: Any, description: str, *args: Any, **kwargs: Any) -> Any:
        """As in transformers; with the losses towards the teacher, where the best checkpoint is chosen by one of them
        or a user's own is among them."""
        self._lead_head()
        output = super().evaluation_loop(dataloader, description, *args, **kwargs)
        if description == "Evaluation" and (self._is_chosen_by_distillation or self.extra_losses):
            prefix = kwargs.get("metric_key_prefix", "eval")
            parts = held_out_losses(self, dataloader.dataset)
            weighted = sum(self.loss_weights[name] * value for name, value in parts.items())
            for name, value in {**parts, DISTILLATION_LOSS: weighted}.items():
                output.metrics[f"{prefix}_{name}"] = value
        return output

    def evaluation_metrics(self) -> set[str] | None:
        """The losses towards the teacher, too: they are measured where one of them is asked for."""
        losses = {DISTILLATION_LOSS, *self.loss_weights}
        known = set() if self._is_chosen_by_distillation else super().evaluation_metrics()
        return None if known is None else known | losses

    @property
    def _is_chosen_by_distillation(self) -> bool:
        return plain_name(self.args.metric_for_best_model) in (DISTILLATION_LOSS, *self.loss_weights)

    def _load_best_model(self) -> None:
        self._as_student(super()._load_best_model)
        best: Any = self.state.best_model_checkpoint
        self._load_beside_the_student(best)

    def _as_student(self, method: Callable[..., Any], *args: Any) -> Any:
        """Call a method of transformers' Trainer that speaks of `self.model` and means the model that users load."""
        wrapped, self.model = self.model, self.student
        try:
            return method(*args)
        finally:
            self.model = wrapped


# The Trainer that distils translators.


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
