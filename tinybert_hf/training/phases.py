"""Phases one after the other: each kept, so that a stopped run goes on after the last, with its projections."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import EarlyStoppingCallback, PreTrainedModel

from tinybert_hf.checkpoints import PROJECTIONS_FILE, save_atomically
from tinybert_hf.checkpoints.integrity import file_fault, write_json
from tinybert_hf.checkpoints.run_record import EARLIER_PHASES
from tinybert_hf.data.shards import held_folder, is_first_process
from tinybert_hf.distillation.architecture import encoder_shape, is_translator
from tinybert_hf.distillation.losses import LOSSES, DistillationLoss
from tinybert_hf.distillation.losses.own import own_losses
from tinybert_hf.distillation.objective import Objective
from tinybert_hf.distillation.projections import AnyProjections, Projections
from tinybert_hf.distillation.teachers import AnyTeacher, resolve_teachers
from tinybert_hf.errors import OutputFolderError
from tinybert_hf.messages import capital, to_write
from tinybert_hf.model.manifest_tinybert import sha256_of
from tinybert_hf.training.arguments import count_rows
from tinybert_hf.training.cache_files import MANIFEST
from tinybert_hf.training.checkpoints import check_origin, complete_checkpoint, origin_of, settings_of, step_of
from tinybert_hf.training.finetuning import best_step, final_metrics
from tinybert_hf.training.logs import phase_log
from tinybert_hf.training.phase_losses import losses_of_phase
from tinybert_hf.training.resumable import whole_state
from tinybert_hf.training.settings import Phase, PhaseResult
from tinybert_hf.training.setup import new_projections
from tinybert_hf.training.teacher_cache import cache_to_fill, pays, refuse_other_cache
from tinybert_hf.training.trainer import DistillationTrainer, Seq2SeqDistillationTrainer, load_extra_losses

# What a phase leaves in its folder, and whether it is still that.

PHASE_FILE = "phase.json"
RESULT_FILE = "result.json"
LOG_FILE = "log.json"
STUDENT_WEIGHTS = "student/model.safetensors"
MADE_FROM = "made_from"
OWN_CACHE = "teacher_cache"


def check_same_phases(folder: Path, phases: Sequence[Phase]) -> None:
    """Refuse to go on with a run whose finished or begun phases had other settings."""
    for index, phase in enumerate(phases):
        for path in folder.glob(f"{index}-*/{PHASE_FILE}"):
            there = {**EARLIER_PHASES, **json.loads(path.read_text(encoding="utf-8"))}
            now = json.loads(json.dumps(asdict(phase)))
            there.pop(MADE_FROM, None)
            names = [name for name in {**there, **now} if there.get(name) != now.get(name)]
            if names:
                differ = ", ".join(f"{name}: {there.get(name)} there, {now.get(name)} now" for name in names)
                raise OutputFolderError(
                    f"{path.parent} was begun with other settings of phase {index} ({differ}). Epochs that are left "
                    f"open follow the number of rows. Give another output folder, or remove {folder} to start anew."
                )


def check_same_origin(folder: Path, origin: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that was begun with another teacher, tokenizer, student or other rows."""
    for path in sorted(folder.glob(f"*-*/{PHASE_FILE}")):
        there = json.loads(path.read_text(encoding="utf-8")).get(MADE_FROM)
        if there is not None:  # an earlier version did not note it
            advice = f"Give what it was begun with, or another output folder; or remove {folder} to start anew."
            check_origin(there, origin, folder.parent, advice)


@contextmanager
def said_if_not_written(path: Path) -> Iterator[None]:
    """An error of the disk as one of ours, with what to do."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise OutputFolderError(
            f"{path} could not be written: {error}. {capital(to_write(error))}, and give the same call again: what is "
            "finished stays, and a phase that was stopped goes on from its last checkpoint, where it has one."
        ) from error


def finished(work: Path) -> PhaseResult:
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
        fault = file_fault(work / name, {"sha256": digest})
        if fault is not None:
            raise OutputFolderError(f"{work / name} {fault}. Remove {work} to repeat the phase.")
    return result


def finish(
    work: Path,
    student: PreTrainedModel,
    processing_class: Any,
    beside: Mapping[str, nn.Module],
    result: PhaseResult,
    log: Mapping[str, Any],
) -> None:
    """Write student, log and result; then remove what only a stopped phase needs.

    Args:
        work: folder of the phase.
        student: that it made.
        processing_class: saved with the student.
        beside: modules that are kept with it (projections, weights of losses), by the name of their file.
        result: of the phase.
        log: of the phase.
    """
    shutil.rmtree(work / "student", ignore_errors=True)  # of a run that was stopped right here
    save_atomically(student, processing_class, work / "student")
    written = [STUDENT_WEIGHTS]
    for name, module in beside.items():
        save_file(whole_state(module), work / name)
        written.append(name)
    write_json(work / LOG_FILE, log)
    digests = {name: sha256_of(work / name) for name in written}
    write_json(work / RESULT_FILE, {**asdict(result), "sha256": digests})
    remove_unneeded(work)


def remove_unneeded(work: Path) -> None:
    """Remove what only a phase that is not finished needs."""
    for unneeded in (*work.glob("checkpoint-*"), work / OWN_CACHE):
        shutil.rmtree(unneeded, ignore_errors=True)


# The projections that a phase begins with: new ones, those of the phase before, or those a student came with.


def _projections_of(student: PreTrainedModel, teacher: AnyTeacher, phase: Phase) -> AnyProjections:
    """New projections as this phase makes them."""
    has_decoder = is_translator(student)
    losses = tuple(phase.loss_weights(has_decoder=has_decoder))
    named = phase.named_losses
    objective = Objective.between(student, teacher, losses=losses, named=named, **phase.layer_maps)
    return new_projections(phase.projection, student, teacher, objective)


def kept_projections(work: Path, student: PreTrainedModel, teacher: AnyTeacher, phase: Phase) -> AnyProjections | None:
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


def that_fit(
    projections: AnyProjections | None, student: PreTrainedModel, teacher: AnyTeacher, phase: Phase
) -> AnyProjections | None:
    """The projections of the phase before, where this phase would make the same ones; else None."""
    if projections is None or projections.is_empty:
        return None
    return projections if projections.same_as(_projections_of(student, teacher, phase)) else None


# A distillation run as a list of phases, each finished, resumed or skipped as a whole.

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
    teacher = resolve_teachers(teacher, processing_class)
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
            trainer.student_is_bf16,
            best_step(trainer),
            trainer.state.max_steps,
            trainer.head,
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
