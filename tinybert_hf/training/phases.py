"""A distillation run as a list of phases, each finished, resumed or skipped as a whole."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from tinybert_hf.data.shard_folder import file_digest, replace_file
from tinybert_hf.distillation.joint_objective import objective_between
from tinybert_hf.distillation.losses import LOSSES
from tinybert_hf.distillation.projections import AnyProjections, Projections
from tinybert_hf.distillation.shapes import is_translator
from tinybert_hf.distillation.teachers import AnyTeacher, settled
from tinybert_hf.errors import OutputFolderError, RecipeError
from tinybert_hf.opening import PROJECTIONS_FILE, put_in_place
from tinybert_hf.training.arguments import (
    DistillationArguments,
    Seq2SeqDistillationArguments,
    check_cached_losses,
    resolve_loss_weights,
)
from tinybert_hf.training.cache_opening import pays
from tinybert_hf.training.checkpoints import complete_checkpoint
from tinybert_hf.training.finetuning import common_arguments, final_metrics
from tinybert_hf.training.preparation import new_projections
from tinybert_hf.training.seq2seq_trainer import Seq2SeqDistillationTrainer
from tinybert_hf.training.trainer import DistillationTrainer

PHASE_FILE = "phase.json"
RESULT_FILE = "result.json"
STUDENT_WEIGHTS = "student/model.safetensors"
OWN_CACHE = "teacher_cache"


@dataclass(frozen=True)
class Phase:
    """One phase of a run. A weight of None takes what the phase's name says; 0 leaves the loss out.

    The losses and layer maps of a decoder are for translators.
    """

    name: str
    """intermediate (attention, hidden states, embeddings), prediction (the teacher's answers) or joint (all)."""
    epochs: float = 1.0
    """Passes over the rows; may be a fraction."""
    learning_rate: float = 3e-4
    """Of the student, the highest of the schedule."""
    projection_learning_rate: float | None = None
    """Of the projections; None: as learning_rate."""
    lr_scheduler_type: str = "linear"
    """A schedule of transformers: linear, cosine, constant, constant_with_warmup, ..."""
    warmup_ratio: float = 0.1
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.0
    """As in AdamW; never of the projections."""
    batch_size: int = 32
    """Rows of a forward, of each process."""
    gradient_accumulation_steps: int = 1
    """Forwards of a step."""
    attention_loss_weight: float | None = None
    """Of the squared difference between attention scores, before the softmax."""
    hidden_state_loss_weight: float | None = None
    """Of the squared difference between projected hidden states."""
    embedding_loss_weight: float | None = None
    """Of the same between embedding outputs."""
    prediction_loss_weight: float | None = None
    """Of the cross-entropy against the teacher's probabilities; for a regression, of the squared difference."""
    label_loss_weight: float | None = None
    """Of the student's own loss on the labels, or on the target text."""
    decoder_attention_loss_weight: float | None = None
    """Translators: between the decoders' attention scores, later places left out."""
    cross_attention_loss_weight: float | None = None
    """Translators: between the scores of target places and source places."""
    decoder_hidden_state_loss_weight: float | None = None
    """Translators: between projected hidden states of the decoders."""
    temperature: float = 1.0
    """Of the prediction loss; above 1 the teacher's answers are softer."""
    layer_map: str | list[int] = "uniform"
    """Which teacher layer each student layer learns: uniform, top, bottom, a list, or pairs such as 1:3,2:6."""
    attention_layer_map: str | list[int] | None = None
    """For the attention loss; None: as layer_map."""
    decoder_layer_map: str | list[int] = "uniform"
    """Translators: the same between the decoders."""
    decoder_attention_layer_map: str | list[int] | None = None
    """Translators: for the decoder's attention; None: as decoder_layer_map."""
    cross_attention_layer_map: str | list[int] | None = None
    """Translators: for the cross-attention; None: as decoder_layer_map."""
    projection: str = "per_layer"
    """From the student's width to the teacher's: per_layer, shared (one for all layers), or none between equal
    widths."""
    projection_start: str = "least_squares"
    """least_squares: fitted on some rows before the first step; random."""
    train_rows: int | None = None
    """Only the first rows; None: all."""
    teacher_cache: bool | str | None = None
    """Run the teacher once over the rows instead of once an epoch: true, or a folder that is kept for other runs;
    false: never. None: where a phase of several epochs needs only a classifier's logits."""
    teacher_cache_hidden_states: bool = False
    """Keep the mapped hidden states too, in float16: for phases whose losses need them."""
    teacher_cache_limit_gb: float | None = None
    """How large the folder may become. None: 10, and nothing for translators."""

    def __post_init__(self) -> None:
        for name in ("epochs", "learning_rate", "batch_size", "gradient_accumulation_steps", "temperature"):
            if not getattr(self, name) > 0:
                raise RecipeError(f"Phase {self.name!r}: {name} is {getattr(self, name)}; it must be above 0.")
        self.loss_weights(has_decoder=True)  # raises early on a wrong weight or name

    def check_cache(self, *, has_decoder: bool) -> None:
        """Refuse a teacher cache that was asked for and cannot serve the losses.

        Raises:
            RecipeError: naming the loss.
        """
        if self.teacher_cache:
            check_cached_losses(self.loss_weights(has_decoder=has_decoder), self.teacher_cache_hidden_states)

    def loss_weights(self, *, has_decoder: bool = False) -> dict[str, float]:
        """The losses that this phase computes, with their weights.

        Args:
            has_decoder: between translators.

        Raises:
            RecipeError: a weight that is none, no loss left, or a decoder's loss between encoders.
        """
        given = {name: getattr(self, f"{name}_weight") for name in LOSSES}
        return resolve_loss_weights(self.name, given, has_decoder=has_decoder)

    def arguments(
        self,
        output_dir: str | Path,
        *,
        seed: int,
        has_eval: bool,
        has_decoder: bool = False,
        teacher_cache: str | None = None,
        training_arguments: Mapping[str, Any] | None = None,
    ) -> DistillationArguments:
        """The trainer's arguments for this phase."""
        own = asdict(self)
        for name in ("name", "epochs", "batch_size", "warmup_ratio", "train_rows", "teacher_cache"):
            own.pop(name)
        kind = Seq2SeqDistillationArguments if has_decoder else DistillationArguments
        known = {field.name for field in fields(kind)}
        return kind(
            output_dir=str(output_dir),
            phase=self.name,
            num_train_epochs=self.epochs,
            per_device_train_batch_size=self.batch_size,
            warmup_steps=self.warmup_ratio,
            teacher_cache=teacher_cache,
            **{name: value for name, value in own.items() if name in known},
            **common_arguments(training_arguments, has_eval=has_eval, seed=seed),
        )


@dataclass(frozen=True)
class PhaseResult:
    """What a phase took and reached. `losses` holds the training losses of the last log, by name."""

    name: str
    seconds: float
    steps: int
    metrics: dict[str, float]
    losses: dict[str, float]


def run_phases(
    student: PreTrainedModel,
    teacher: AnyTeacher | Sequence[PreTrainedModel],
    phases: Sequence[Phase],
    *,
    output_dir: str | Path,
    train_dataset: Any,
    eval_dataset: Any = None,
    processing_class: Any,
    compute_metrics: Any = None,
    seed: int = 42,
    training_arguments: Mapping[str, Any] | None = None,
    callbacks: Sequence[Any] = (),
    data_collator: Any = None,
    projections: AnyProjections | None = None,
) -> list[PhaseResult]:
    """Distil `teacher` into `student`, phase after phase.

    Each phase works in `output_dir/phases/<index>-<name>/`. A phase that was finished is not run again: its student
    is loaded.
    A phase that was stopped goes on from its last complete checkpoint. So the same call, given again, completes a run.

    Args:
        student: trained in place.
        teacher: fine-tuned on the task; several as a list or as `Teachers`.
        phases: in order.
        output_dir: of the run.
        train_dataset: tokenised rows.
        eval_dataset: the same, evaluated after each epoch.
        processing_class: the tokenizer of the student, and of every teacher that brings no other.
        compute_metrics: as for transformers' Trainer.
        seed: of shuffling and dropout.
        training_arguments: further fields of TrainingArguments; they win.
        callbacks: as for transformers' Trainer.
        data_collator: makes batches of rows; None: pads them. It may draw random numbers (masking): a resumed run
            draws the same.
        projections: to begin with, from `projections_from`; None: new ones.

    Returns:
        One result a phase.

    Raises:
        TinyBertError: models, maps or data that do not fit; before training.
        OutputFolderError: the folder holds phases of another run.
    """
    folder = Path(output_dir) / "phases"
    _check_same_phases(folder, phases)
    teacher = settled(teacher, processing_class)
    results = []
    for index, phase in enumerate(phases):
        work = folder / f"{index}-{phase.name}"
        if (work / RESULT_FILE).is_file():
            results.append(_finished(work))
            student.load_state_dict(load_file(work / STUDENT_WEIGHTS), strict=False)
            projections = _kept_projections(work, student, teacher, phase)
            continue
        with _said_if_not_written(work / PHASE_FILE):
            work.mkdir(parents=True, exist_ok=True)
            _write_json(work / PHASE_FILE, asdict(phase))
        rows = train_dataset if phase.train_rows is None else _first_rows(train_dataset, phase.train_rows)
        has_decoder = is_translator(student)
        cache = phase.teacher_cache
        if cache is None:
            losses = phase.loss_weights(has_decoder=has_decoder)
            cache = pays(
                tuple(losses),
                phase.epochs,
                teacher,
                dataset=rows,
                data_collator=data_collator,
                tokenizer=processing_class,
            )
        arguments = phase.arguments(
            work,
            seed=seed,
            has_eval=eval_dataset is not None,
            has_decoder=has_decoder,
            teacher_cache=str(work / OWN_CACHE) if cache is True else cache or None,
            training_arguments=training_arguments,
        )
        trainer = (Seq2SeqDistillationTrainer if has_decoder else DistillationTrainer)(
            student,
            teacher,
            arguments,
            projections=_that_fit(projections, student, teacher, phase),
            train_dataset=rows,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            compute_metrics=compute_metrics,
            callbacks=list(callbacks),
            data_collator=data_collator,
        )
        trainer.owns_cache = cache is True
        started = time.perf_counter()
        trainer.train(resume_from_checkpoint=complete_checkpoint(work))
        seconds = time.perf_counter() - started
        metrics = final_metrics(trainer, eval_dataset)
        result = PhaseResult(phase.name, seconds, trainer.state.global_step, metrics, _last_losses(trainer))
        if trainer.is_world_process_zero():
            with _said_if_not_written(work):
                _finish(work, student, processing_class, trainer.projections, result)
        trainer.accelerator.wait_for_everyone()
        projections = trainer.projections
        results.append(result)
    return results


def _check_same_phases(folder: Path, phases: Sequence[Phase]) -> None:
    """Refuse to go on with a run whose finished or begun phases had other settings."""
    for index, phase in enumerate(phases):
        for path in folder.glob(f"{index}-*/{PHASE_FILE}"):
            if json.loads(path.read_text(encoding="utf-8")) != json.loads(json.dumps(asdict(phase))):
                raise OutputFolderError(
                    f"{path.parent} was begun with other settings of phase {index}. Give another output folder, "
                    "or remove "
                    f"{folder} to start anew."
                )


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Beside, then renamed: a run that is stopped here leaves no half of it."""
    replace_file(path, lambda handle: handle.write(json.dumps(content).encode()))


@contextmanager
def _said_if_not_written(path: Path) -> Iterator[None]:
    """An error of the disk as one of ours, with what to do."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise OutputFolderError(
            f"{path} could not be written: {error}. Make room, and give the same call again: it goes on from the last "
            "checkpoint."
        ) from error


def _finished(work: Path) -> PhaseResult:
    """The result of a phase that was finished, its files checked."""
    try:
        content = json.loads((work / RESULT_FILE).read_text(encoding="utf-8"))
        digests: dict[str, str] = content.pop("sha256")
        result = PhaseResult(**content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise OutputFolderError(
            f"{work / RESULT_FILE} is damaged ({error}). Remove {work} to repeat the phase."
        ) from None
    for name, digest in digests.items():
        path = work / name
        if not path.is_file() or file_digest(path) != digest:
            what = "has been changed since it was written" if path.is_file() else "is missing"
            raise OutputFolderError(f"{path} {what}. Remove {work} to repeat the phase.")
    return result


def _first_rows(dataset: Any, rows: int) -> Any:
    return dataset.select(range(min(rows, len(dataset))))


def _projections_of(student: PreTrainedModel, teacher: AnyTeacher, phase: Phase) -> AnyProjections:
    """New projections as this phase makes them."""
    has_decoder = is_translator(student)
    names = ("layer_map", "decoder_layer_map")
    objective = objective_between(
        student,
        teacher,
        losses=tuple(phase.loss_weights(has_decoder=has_decoder)),
        **{name: getattr(phase, name) for name in names},
    )
    return new_projections(phase.projection, student, teacher, objective)


def _kept_projections(
    work: Path, student: PreTrainedModel, teacher: AnyTeacher, phase: Phase
) -> AnyProjections | None:
    """The projections that a finished phase ended with."""
    if not (work / PROJECTIONS_FILE).is_file():
        return None
    projections = _projections_of(student, teacher, phase)
    projections.load_state_dict(load_file(work / PROJECTIONS_FILE))
    return projections


def projections_from(
    kept: Mapping[str, Tensor], student: PreTrainedModel, teacher: AnyTeacher, phase: Phase
) -> Projections | None:
    """The projections of a phase, begun with those that a student was saved with.

    One map for all layers serves as the start of one for each.

    Args:
        kept: from `read_projections`.
        student: the model that they were saved with.
        teacher: of the phase.
        phase: says which layers are projected, and how.

    Returns:
        None where the phase projects nothing, or where they are for a teacher of another width.
    """
    made = _projections_of(student, teacher, phase)
    if not isinstance(made, Projections) or made.is_empty:
        return None
    state = {}
    for name, value in made.state_dict().items():
        part = name.rpartition(".")[2]
        start = kept.get(name, kept.get(f"maps.shared.{part}"))
        if start is None or start.shape != value.shape:
            return None
        state[name] = start
    made.load_state_dict(state)
    return made


def _that_fit(
    projections: AnyProjections | None, student: PreTrainedModel, teacher: AnyTeacher, phase: Phase
) -> AnyProjections | None:
    """The projections of the phase before, where this phase would make the same ones; else None."""
    if projections is None or projections.is_empty:
        return None
    return projections if projections.same_as(_projections_of(student, teacher, phase)) else None


def _last_losses(trainer: DistillationTrainer) -> dict[str, float]:
    last: dict[str, Any] = next((entry for entry in reversed(trainer.state.log_history) if "loss" in entry), {})
    return {name: float(value) for name, value in last.items() if name.endswith("loss")}


def _finish(
    work: Path, student: PreTrainedModel, processing_class: Any, projections: AnyProjections, result: PhaseResult
) -> None:
    shutil.rmtree(work / "student", ignore_errors=True)  # of a run that was stopped right here
    put_in_place(student, processing_class, work / "student")
    written = [STUDENT_WEIGHTS]
    if not projections.is_empty:
        save_file(projections.state_dict(), work / PROJECTIONS_FILE)
        written.append(PROJECTIONS_FILE)
    digests = {name: file_digest(work / name) for name in written}
    _write_json(work / RESULT_FILE, {**asdict(result), "sha256": digests})
    for unneeded in (*work.glob("checkpoint-*"), work / OWN_CACHE):
        shutil.rmtree(unneeded, ignore_errors=True)
