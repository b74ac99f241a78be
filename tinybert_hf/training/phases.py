"""A distillation run as a list of phases, each finished, resumed or skipped as a whole."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import EarlyStoppingCallback, PreTrainedModel

from tinybert_hf.data.held_folder import held_folder, is_first_process
from tinybert_hf.distillation.losses import LOSSES, DistillationLoss
from tinybert_hf.distillation.losses.extra import own_losses
from tinybert_hf.distillation.projections import AnyProjections
from tinybert_hf.distillation.shapes import encoder_shape, is_translator
from tinybert_hf.distillation.teachers import AnyTeacher, settled
from tinybert_hf.training.arguments import losses_of_phase
from tinybert_hf.training.automatic_cache import cache_to_fill, pays
from tinybert_hf.training.cache_folder import MANIFEST
from tinybert_hf.training.cache_opening import refuse_other_cache
from tinybert_hf.training.checkpoints import complete_checkpoint, step_of
from tinybert_hf.training.distillation_model import load_extra_losses
from tinybert_hf.training.finetuning import best_step, final_metrics
from tinybert_hf.training.origin import origin_of, settings_of
from tinybert_hf.training.phase import Phase, PhaseResult
from tinybert_hf.training.phase_files import (
    MADE_FROM,
    OWN_CACHE,
    PHASE_FILE,
    RESULT_FILE,
    STUDENT_WEIGHTS,
    check_same_origin,
    check_same_phases,
    finish,
    finished,
    remove_unneeded,
    said_if_not_written,
    write_json,
)
from tinybert_hf.training.phase_log import phase_log
from tinybert_hf.training.phase_projections import kept_projections, that_fit
from tinybert_hf.training.seq2seq_trainer import Seq2SeqDistillationTrainer
from tinybert_hf.training.trainer import DistillationTrainer
from tinybert_hf.training.usual_epochs import count_rows

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def _one_run_a_folder(run: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    @wraps(run)
    def holding(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        folder: Any = kwargs["output_dir"]
        with held_folder(Path(folder) / "phases", str(folder)):
            return run(*args, **kwargs)

    return holding


@_one_run_a_folder
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
    extra_losses: Mapping[str, DistillationLoss | Callable[..., Any]] | None = None,
    announce: Callable[[int, Phase, int], None] | None = None,
    trainer_class: type[DistillationTrainer] | None = None,
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
        extra_losses: as for DistillationTrainer; those with weights are trained on from phase to phase.
        announce: called with number and settings of each phase that begins or goes on, and the step that it goes on
            from, 0 at its beginning; to tell the user.
        trainer_class: None: the one for encoders or for translators, as the student is.

    Returns:
        One result a phase.

    Raises:
        TinyBertError: models, maps or data that do not fit; before training.
        OutputFolderError: the folder holds phases of another run, or was begun with another teacher, tokenizer,
            student or other rows, or another run is writing it.
    """
    folder = Path(output_dir) / "phases"
    has_decoder = is_translator(student)
    width = encoder_shape(student.config).width
    rows = count_rows(train_dataset)
    phases = [
        phase.with_learning_rate(width, has_decoder=has_decoder).with_epochs(rows, width, has_decoder=has_decoder)
        for phase in phases
    ]
    check_same_phases(folder, phases)
    teacher = settled(teacher, processing_class)
    stops_early = any(phase.early_stopping_patience is not None for phase in phases)
    further = settings_of(training_arguments, eval_dataset, stops_early=stops_early)
    own = own_losses(extra_losses, LOSSES)
    further["extra_losses"] = {name: loss.weight for name, loss in own.items()}
    origin = origin_of(student, processing_class, train_dataset, teacher, seed=seed, **further)
    check_same_origin(folder, origin)
    for phase in phases:
        losses_of_phase(own, phase.name)  # refuses the name of a phase that is none
    make = partial(
        _make_trainer,
        student,
        teacher,
        train_dataset=train_dataset,
        seed=seed,
        training_arguments=training_arguments,
        eval_dataset=eval_dataset,
        processing_class=processing_class,
        compute_metrics=compute_metrics,
        callbacks=list(callbacks),
        data_collator=data_collator,
        trainer_class=trainer_class,
        extra_losses=own,
    )
    # Whatever cannot go together in a later phase is said before the first one is trained.
    for phase in phases:
        phase.arguments(
            folder,
            seed=seed,
            has_eval=eval_dataset is not None,
            has_decoder=has_decoder,
            training_arguments=training_arguments,
        )
    works = [folder / f"{index}-{phase.name}" for index, phase in enumerate(phases)]
    left = [(phase, work) for phase, work in zip(phases, works, strict=True) if not (work / RESULT_FILE).is_file()]
    _refuse_other_caches(make, left[1:])  # that of the first is compared as it begins
    results = []
    for index, (phase, work) in enumerate(zip(phases, works, strict=True)):
        if (work / RESULT_FILE).is_file():
            results.append(finished(work))
            if is_first_process():
                remove_unneeded(work)  # of a run that was stopped right there
            student.load_state_dict(load_file(work / STUDENT_WEIGHTS), strict=False)
            projections = kept_projections(work, student, teacher, phase)
            load_extra_losses(work, losses_of_phase(own, phase.name))
            continue
        checkpoint = complete_checkpoint(work)
        if announce is not None:
            announce(index, phase, step_of(checkpoint))
        with said_if_not_written(work / PHASE_FILE):
            work.mkdir(parents=True, exist_ok=True)
            if is_first_process():  # two processes would replace the file under each other
                write_json(work / PHASE_FILE, {**asdict(phase), MADE_FROM: origin})
        trainer = make(phase, work, projections=that_fit(projections, student, teacher, phase))
        trainer.origin, trainer.holds_folder = origin, False
        if index + 1 < len(phases) and not losses_of_phase(own, phases[index + 1].name):
            trainer.answers_for = cache_to_fill(
                trainer,
                phase,
                phases[index + 1],
                works[index + 1] / OWN_CACHE,
                has_decoder=has_decoder,
                data_collator=data_collator,
                tokenizer=processing_class,
            )
        trainer.train(resume_from_checkpoint=checkpoint)
        seconds = trainer.seconds
        metrics = final_metrics(trainer, eval_dataset)
        result = PhaseResult(
            phase.name,
            seconds,
            trainer.state.global_step,
            metrics,
            _last_losses(trainer),
            trainer.throughput,
            trainer.teacher_is_bf16,
            best_step(trainer),
            trainer.state.max_steps,
        )
        log = phase_log(trainer)
        if trainer.is_world_process_zero():
            with said_if_not_written(work):
                finish(work, student, processing_class, trainer.kept_modules, result, log)
        trainer.accelerator.wait_for_everyone()
        trainer.end_if_terminated()  # in the last evaluation; the phase is whole
        projections = trainer.projections
        results.append(result)
    return results


def _make_trainer(
    student: PreTrainedModel,
    teacher: AnyTeacher,
    phase: Phase,
    work: Path,
    *,
    projections: AnyProjections | None = None,
    train_dataset: Any,
    seed: int,
    training_arguments: Mapping[str, Any] | None,
    trainer_class: type[DistillationTrainer] | None = None,
    extra_losses: Mapping[str, DistillationLoss],
    **kwargs: Any,
) -> DistillationTrainer:
    """The trainer of a phase, with its rows and its teacher cache."""
    rows = train_dataset if phase.train_rows is None else _first_rows(train_dataset, phase.train_rows)
    has_decoder = is_translator(student)
    cache = phase.teacher_cache
    if cache is None:
        cache = (work / OWN_CACHE / MANIFEST).is_file() or (
            not losses_of_phase(extra_losses, phase.name)
            and pays(
                phase,
                teacher,
                has_decoder=has_decoder,
                dataset=rows,
                data_collator=kwargs["data_collator"],
                tokenizer=kwargs["processing_class"],
            )
        )
    arguments = phase.arguments(
        work,
        seed=seed,
        has_eval=kwargs["eval_dataset"] is not None,
        has_decoder=has_decoder,
        teacher_cache=str(work / OWN_CACHE) if cache is True else cache or None,
        training_arguments=training_arguments,
    )
    if phase.early_stopping_patience is not None:
        stopping = EarlyStoppingCallback(phase.early_stopping_patience, phase.early_stopping_threshold or 0.0)
        kwargs["callbacks"] = [*kwargs["callbacks"], stopping]
    usual = Seq2SeqDistillationTrainer if has_decoder else DistillationTrainer
    trainer = (trainer_class or usual)(
        student,
        teacher,
        arguments,
        projections=projections,
        extra_losses=extra_losses,
        train_dataset=rows,
        **kwargs,
    )
    trainer.owns_cache = cache is True
    return trainer


def _refuse_other_caches(make: Callable[..., DistillationTrainer], phases: Sequence[tuple[Phase, Path]]) -> None:
    """Before the first step of a run: a cache that a later phase names, and that is one of something else."""
    for phase, work in phases:
        if isinstance(phase.teacher_cache, str) and Path(phase.teacher_cache).expanduser().exists():
            # Whatever a trainer draws when it is made, the run draws as if this one had not been.
            states = random.getstate(), np.random.get_state(), torch.get_rng_state()
            try:
                refuse_other_cache(make(phase, work))
            finally:
                random.setstate(states[0])
                np.random.set_state(states[1])
                torch.set_rng_state(states[2])


def _first_rows(dataset: Any, rows: int) -> Any:
    return dataset.select(range(min(rows, len(dataset))))


def _last_losses(trainer: DistillationTrainer) -> dict[str, float]:
    last: dict[str, Any] = next((entry for entry in reversed(trainer.state.log_history) if "loss" in entry), {})
    return {name: float(value) for name, value in last.items() if name.endswith("loss")}
