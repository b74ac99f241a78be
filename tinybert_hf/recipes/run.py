"""Carries out a recipe in stages. Every finished stage is kept: a stopped run goes on after the last of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints import open_model, save_tokenizer
from tinybert_hf.checkpoints.card_parts import CardSettings, fetch_card, values_of_card
from tinybert_hf.checkpoints.integrity import place_folder, write_json
from tinybert_hf.checkpoints.model_card import write_card
from tinybert_hf.data.shards import is_first_process
from tinybert_hf.data.tasks import shared_rows_notes
from tinybert_hf.data.tokenizers import language_of
from tinybert_hf.distillation.architecture import decoder_shape, encoder_parts, encoder_shape, is_translator
from tinybert_hf.distillation.teachers import AnyTeacher, each_teacher, multiplies_in_bfloat16
from tinybert_hf.evaluation import measure_layer_distances
from tinybert_hf.messages import counted, counted_epochs, counted_layers
from tinybert_hf.model.manifest_tinybert import write_manifest
from tinybert_hf.recipes.budget import CHOICE, latencies_ms, reached
from tinybert_hf.recipes.models import PRUNING, make_start, open_extra_teachers, open_teacher, prune_stage
from tinybert_hf.recipes.plan import Plan, arguments_of_phases, device_of, join, make_plan
from tinybert_hf.recipes.report import (
    BASELINE,
    SCREEN,
    STUDENT,
    TEACHER,
    RunReport,
    metric_through_phases,
    phases_that_fell,
    show_warning,
    versions,
)
from tinybert_hf.recipes.schema import Recipe
from tinybert_hf.recipes.steps import Steps
from tinybert_hf.tasks import found
from tinybert_hf.training import FinetuneSettings, Phase, PhaseResult, finetune, run_phases
from tinybert_hf.training.arguments import OF_EVALUATION

if TYPE_CHECKING:
    from datasets import Dataset
    from rich.console import Console
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def run_recipe(recipe: Recipe, console: Console | None = None) -> RunReport:
    """Carry out a recipe and print its table.

    Given again after a stop, it goes on where it was; given again after the end, it shows the result.

    Args:
        recipe: from `load_recipe`.
        console: where to print; None: standard output.

    Raises:
        TinyBertError: anything that the user can mend, before any training where it can be known before.
    """
    if console is None or not is_first_process():
        from rich.console import Console

        console = Console(quiet=not is_first_process())  # of several processes one speaks
    plan = make_plan(recipe)
    folder = plan.folder
    said: set[str] = set()
    if folder.is_finished:
        console.print(
            f"{folder.path} holds this run already, complete; delete the folder to run it again.", markup=False
        )
        if is_first_process() and recipe.card != CardSettings():
            write_card(folder.path, settings=recipe.card)
        report = RunReport.read(folder.read_report(), str(folder.path))
    else:
        run = Run(plan, console)
        with folder.held():
            if folder.is_started:
                console.print(f"Going on with the run in {folder.path}.", markup=False)
            report, said = run.carry_out(), run.said
    report.show(console, said)
    return report


def check_teachers(plan: Plan) -> None:
    """Open the teachers once, as the run will; those that would have to be fetched are left out.

    Raises:
        TinyBertError: one cannot be opened, or its head was never trained.
    """
    from rich.console import Console

    recipe = plan.recipe
    if recipe.teacher.model is not None and Path(recipe.teacher.model).is_dir():
        run = Run(plan, Console(quiet=True))
        run.teacher, run.tokenizer = open_teacher(plan, run.steps)
    if all(Path(one.model).is_dir() for one in recipe.extra_teachers):
        open_extra_teachers(recipe)


_READ_ROWS = 500  # enough to tell their language
_ROWS = "rows"  # the stage after which the rows of the phases are there
_MEASURED = "teacher metrics"
_BEGAN = "student metrics before the first step"


class Run:
    """One run: its stages, in the same order for all tasks. Stages that are finished are read back.

    Attributes:
        plan: of the run.
        recipe: likewise.
        steps: what the task does in its way.
        teacher: the first, on its device.
        tokenizer: of the first teacher.
        metric: name of the metric that decides.
        said: the notes and warnings that are on the screen already.
    """

    teacher: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    def __init__(self, plan: Plan, console: Console) -> None:
        self.plan, self.recipe, self.folder, self.console = plan, plan.recipe, plan.folder, console
        self.said: set[str] = set()
        self.device = device_of(plan.recipe)
        self.training_arguments: dict[str, Any] = {**SCREEN, **plan.recipe.training_arguments}
        steps: type[Steps] = found(plan.spec.steps)
        self.steps = steps(self)
        self.metric = self.steps.main_metric()

    # Models.

    @cached_property
    def teachers(self) -> list[PreTrainedModel]:
        """All of them, on their device."""
        further: list[Any] = open_extra_teachers(self.recipe)
        return [self.teacher, *(model.to(self.device) for model in further)]

    @property
    def tokenizers(self) -> list[PreTrainedTokenizerBase]:
        """Of all teachers."""
        return [self.tokenizer, *(one.tokenizer for one in self.plan.teachers[1:])]

    @property
    def student_tokenizer(self) -> PreTrainedTokenizerBase:
        """The first teacher's, but for a student that brings another one."""
        return self.plan.student_tokenizer if self.plan.other_tokens else self.tokenizer

    def joined_teachers(self) -> AnyTeacher:
        """What the losses of the phases look at; where none does, a stand-in of the student's own shape."""
        if not self.plan.needs_teacher and self.recipe.spec.has_decoder:
            return self.open_student(self.folder.work / "start")
        return join(self.recipe, self.teachers, self.plan.teachers)

    def open_student(self, folder: Path) -> PreTrainedModel:
        """A student that this run has saved, on its device."""
        student: PreTrainedModel = open_model(folder, self.plan.student_class)
        return student.to(self.device)  # type: ignore[arg-type]

    # Stages.

    def carry_out(self) -> RunReport:
        """Do what is not done yet, and write run.json."""
        self.say_notes(self.plan.notes)
        self._open_teacher()
        self.folder.claim()  # from here on something is written
        if self.plan.choice is not None:
            self.folder.finish_stage(CHOICE, asdict(self.plan.choice))
        if self.recipe.teacher.finetune is not None:
            self._finetune_teacher(self.recipe.teacher.finetune)
        self._measure_teacher()
        self._prepare_rows()
        self._start()
        self._distil()
        if self.recipe.baseline is not None:
            self._train_baseline(self.recipe.baseline)
        if not is_first_process():
            self.folder.wait_for(lambda: False)
            return RunReport.read(self.folder.read_report(), str(self.folder.path))
        report = self._report()
        data = {
            "label_names": self.plan.data.label_names,
            "problem_type": self.plan.data.problem_type,
            "languages": {side: language_of(islice(texts, _READ_ROWS)) for side, texts in self.steps.sides().items()},
        }
        content = {**asdict(report), "data": data, "versions": versions(), "recipe": self.recipe.as_dict()}
        self.folder.finish({**content, "model_cards": self._model_cards()})
        write_card(self.folder.path)
        return report

    def _model_cards(self) -> dict[str, Any]:
        """License and language of the models that the student comes from, as their own cards name them."""
        first, student = self.recipe.teacher.model, self.recipe.student.model
        models = [first, *(one.model for one in self.recipe.extra_teachers), student]
        named = list(dict.fromkeys(model for model in models if model))
        for model in named:
            fetch_card(model)
        return {model: values_of_card(model) for model in named}

    def _open_teacher(self) -> None:
        """Take once what the losses will need of every teacher, so that it fails here or never."""
        if not self._reopen_teacher():
            self.teacher, self.tokenizer = open_teacher(self.plan, self.steps)
            self.teacher.to(self.device)  # type: ignore[arg-type]
        self.steps.check()
        self.teacher.eval()
        if self.plan.starts_from_teacher:
            encoder_parts(self.teacher)
        for index, (model, tokenizer) in enumerate(zip(self.teachers, self.tokenizers, strict=True)):
            batch = self.steps.probe(model, tokenizer)
            for objective in self.plan.objectives:
                objective.each[index].capture_teacher(model, batch)

    def _reopen_teacher(self) -> bool:
        """Open the teacher that was fine-tuned in this run, where it is there."""
        place = self.folder.path / TEACHER
        if not place.exists():
            return False
        self.teacher, self.tokenizer = self.steps.open_teacher(str(place), self.recipe.teacher.dtype)
        self.teacher.to(self.device)  # type: ignore[arg-type]
        self.__dict__.pop("teachers", None)
        return True

    def _finetune_teacher(self, settings: FinetuneSettings) -> None:
        if (self.folder.path / TEACHER).exists():
            return
        epochs, rows = counted_epochs(settings.known_epochs, settings.learning_rate), self.steps.labelled_rows
        assert rows is not None, "the recipe would have been refused"
        with self.stage(TEACHER, f"Fine-tuning the teacher ({size_of(self.teacher)}): {epochs}"):
            self._finetune(TEACHER, self.teacher, settings, rows, self.tokenizer)
        self._reopen_teacher()

    def _measure_teacher(self) -> None:
        if self.folder.result_of(_MEASURED) is None:
            self.folder.finish_stage(_MEASURED, self.steps.measure_teacher())
        metrics = self.folder.result_of(_MEASURED)
        words = self.steps.in_words(metrics) if metrics else ""
        self.say(f"Teacher ({size_of(self.teacher)})" + (f": {words}" if words else ""))
        self.warn(self._teacher_warnings())

    def _teacher_warnings(self) -> list[str]:
        metrics = self.folder.result_of(_MEASURED)
        return self.steps.teacher_warnings(metrics) if metrics else []

    def _prepare_rows(self) -> None:
        """Of several processes the first makes the rows, and the others read them."""
        self.folder.wait_for_stage(_ROWS)
        self.steps.prepare_rows()
        if is_first_process():
            self.folder.finish_stage(_ROWS, "ready")

    def _start(self) -> None:
        """Keep the weights before the first step: the distilled student and the baseline both begin there."""
        self.folder.wait_for_stage("start")
        if self.folder.result_of("start") is not None:
            return
        with self.stage("start", "Making the student"):
            student = make_start(self.plan, self.teacher, self.steps)
            student.save_pretrained(self.folder.work / "start")
        self.folder.finish_stage("start", {"parameters": student.num_parameters()})

    def _distil(self) -> None:
        if self.folder.result_of(STUDENT) is None:
            student = self.open_student(self.folder.work / "start")
            self._compare_layers(BEFORE, student)
            self._measure_start(student)
            with self.stage(STUDENT, f"Distilling into {size_of(student)}"):
                results = self._run_phases(student)
                for index, one in enumerate(results):
                    if one.best_step is not None:
                        early = f"it stopped early, {one.planned_steps} were planned; " if one.stopped_early else ""
                        kept = f"the weights of step {one.best_step} are kept"
                        self.say(f"phase {index}: {counted(one.steps, 'step')}, {early}{kept}")
            if is_first_process():
                self._save_student(student)
            self._compare_layers(AFTER, student)
            metrics = self.steps.measure(STUDENT, student)
            self.folder.finish_stage(STUDENT, {"metrics": metrics, "phases": [asdict(one) for one in results]})
        if self.recipe.prune_vocabulary is None:
            self.folder.place(STUDENT)
        said = metric_through_phases(self.metric, self.folder.result_of(_BEGAN), self._phase_results)
        if said:
            self.say(said)
        self.warn(self._falls())
        self.say(f"Student: {self.steps.in_words(self.folder.result_of(STUDENT)['metrics'])}")
        if self.recipe.prune_vocabulary is not None:
            prune_stage(self, self.recipe.prune_vocabulary)

    def _measure_start(self, student: PreTrainedModel) -> None:
        """What the student knows before its first step, where that costs no more than an evaluation."""
        if self.folder.result_of(_BEGAN) is None:
            self.folder.finish_stage(_BEGAN, self.steps.measure_start(student))

    @property
    def _phase_results(self) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = self.folder.result_of(STUDENT)["phases"]
        return results

    def _falls(self) -> list[str]:
        """Phases that ended below what they began with."""
        began = self.folder.result_of(_BEGAN)
        rows = len(self.steps.validation_rows) if began else 0
        return phases_that_fell(self.metric, began, self._phase_results, rows)

    def _save_student(self, student: PreTrainedModel) -> None:
        student.save_pretrained(self.folder.work / STUDENT)
        save_tokenizer(self.student_tokenizer, student, self.folder.work / STUDENT)
        self.steps.save_beside(self.folder.work / STUDENT)
        write_manifest(self.folder.work / STUDENT)

    def _run_phases(self, student: PreTrainedModel) -> list[PhaseResult]:
        """Train the student; of several processes every one has to call this."""
        taught_by, arguments = self.joined_teachers(), arguments_of_phases(self.recipe, self.training_arguments)
        if any([self.recipe.teacher.dtype, *(one.dtype for one in self.recipe.extra_teachers)]):
            # A number format that the recipe names for a teacher is meant: its products are not computed in another.
            arguments["teacher_bf16"] = False
        if any(multiplies_in_bfloat16(one, arguments.get("teacher_bf16")) for one in each_teacher(taught_by)):
            self.say(
                "The teacher multiplies in bfloat16, which this CPU does faster; "
                "--set teacher.dtype=float32 turns that off"
            )
        if arguments.get("bf16") is False:
            arguments["student_bf16"] = False  # said, and not only left out
        elif not arguments.get("bf16") and not arguments.get("fp16") and multiplies_in_bfloat16(student):
            self.say(
                "The student learns with products in bfloat16, which this CPU does faster; "
                "--set training_arguments.bf16=false turns that off"
            )
        return run_phases(
            student,
            taught_by,
            self.recipe.phases,
            output_dir=self.folder.path,
            train_dataset=self.steps.distillation_rows,
            eval_dataset=self.steps.phase_validation_rows,
            processing_class=self.student_tokenizer,
            seed=self.recipe.seed,
            training_arguments=arguments,
            projections=self.steps.starting_projections(student),
            announce=self._announce,
            **self.steps.phase_options,
        )

    def _announce(self, index: int, phase: Phase, step: int) -> None:
        if len(self.recipe.phases) > 1:
            losses = phase.loss_weights(has_decoder=self.recipe.spec.has_decoder)
            named = ", ".join(loss.removesuffix("_loss").replace("_", " ") for loss in losses)
            self.say(
                f"phase {index} ({phase.name}): {named}; {counted_epochs(phase.known_epochs, phase.learning_rate)}"
            )
        if step:
            self._goes_on(step)

    def _goes_on(self, step: int) -> None:
        self.say(f"It goes on from step {step}.")

    def _compare_layers(self, when: str, student: PreTrainedModel) -> None:
        """Keep how far the layers are from the teacher's, for the report."""
        if self.folder.result_of(when) is None:
            rows, other = self.steps.validation_rows, self.plan.other_tokens
            distances = distances_to_teacher(student, self.teacher, rows, self.student_tokenizer, other_tokens=other)
            self.folder.finish_stage(when, distances)
        if when == AFTER:
            write_distances(self.folder.path, *(self.folder.result_of(one) for one in (BEFORE, AFTER)))

    def _train_baseline(self, settings: FinetuneSettings) -> None:
        if self.folder.result_of(BASELINE) is None:
            student, rows = self.open_student(self.folder.work / "start"), self.steps.baseline_rows
            assert rows is not None, "the recipe would have been refused"
            epochs = counted_epochs(settings.known_epochs, settings.learning_rate)
            with self.stage(BASELINE, f"Training the same student without the teacher, to compare: {epochs}"):
                self._finetune(BASELINE, student, settings, rows, self.student_tokenizer)
            self.folder.finish_stage(BASELINE, self.steps.measure(BASELINE, student.to(self.device)))  # type: ignore[arg-type]
        self.say(f"Student trained alone: {self.steps.in_words(self.folder.result_of(BASELINE))}")

    def _finetune(
        self,
        name: str,
        model: PreTrainedModel,
        settings: FinetuneSettings,
        rows: Dataset,
        tokenizer: PreTrainedTokenizerBase,
    ) -> None:
        """Train on the labels; the folder `name` appears when it is whole."""
        if (self.folder.path / name).exists():
            return
        finetune(
            model,
            settings,
            output_dir=self.folder.work / name,
            train_dataset=rows,
            processing_class=tokenizer,
            seed=self.recipe.seed,
            training_arguments=self.finetuning_arguments,
            announce=self._goes_on,
        )
        if is_first_process():
            place_folder(self.folder.work / name, self.folder.path / name)
        self.folder.wait_for((self.folder.path / name / "config.json").is_file)

    @property
    def finetuning_arguments(self) -> dict[str, Any]:
        """TrainingArguments for a training on labels, which is measured at its end and not on the way."""
        given = {name: value for name, value in self.training_arguments.items() if name not in OF_EVALUATION}
        if given.get("save_strategy") == "best":
            del given["save_strategy"]
        return given

    def _report(self) -> RunReport:
        """All metrics and costs, once every stage is finished."""
        stages = {name: self.folder.result_of(name) for name in (STUDENT, BASELINE, PRUNING)}
        pruning, student = stages[PRUNING], stages[STUDENT]["metrics"]
        metrics = {
            TEACHER: self.folder.result_of(_MEASURED),
            STUDENT: student if pruning is None else pruning["metrics"],
        }
        if stages[BASELINE] is not None:
            metrics[BASELINE] = stages[BASELINE]
        model, choice = self.open_student(self.folder.path), self.plan.choice
        costs = self.steps.costs(model)
        budget: dict[str, Any] = {}
        if choice is not None:
            budget = {**asdict(choice), "reached_ms": latencies_ms({TEACHER: self.teacher, STUDENT: model})}
            budget["said"] = reached(budget)
        odd = [*self._teacher_warnings(), *self._falls(), *self.steps.student_warnings(metrics[STUDENT])]
        return RunReport(
            folder=str(self.folder.path),
            task=self.recipe.task,
            main_metric=self.metric,
            further_metrics=list(self.recipe.further_metrics),
            metrics=metrics,
            costs=costs,
            phases=stages[STUDENT]["phases"],
            start=self.folder.result_of(_BEGAN) or {},
            pruning=None if pruning is None else {**pruning, "metrics_before": student},
            budget=budget,
            seconds=self.folder.result_of("seconds") or {},
            device=self.device,
            warnings=[*shared_rows_notes(self.plan.data), *odd],
            trivial=self.steps.trivial(metrics),
            notes=list(self.plan.notes),
            **self.steps.reported(),
        )

    # The screen.

    @contextmanager
    def stage(self, name: str, title: str) -> Iterator[None]:
        """Say what begins, and keep how long it took."""
        self.console.print(f"[bold]{title}[/bold]", highlight=False)
        started = time.perf_counter()
        yield
        seconds = {**(self.folder.result_of("seconds") or {}), name: round(time.perf_counter() - started, 1)}
        self.folder.finish_stage("seconds", seconds)

    def say_notes(self, notes: Iterable[str]) -> None:
        """Print what a user should know, a line each, unless it stands there already: rows may be read twice."""
        for note in notes:
            if note not in self.said:
                self.said.add(note)
                self.say(f"Note: {note}")

    def warn(self, warnings: Iterable[str]) -> None:
        """Print what must not be overlooked, once, as soon as it is known."""
        for warning in warnings:
            if warning not in self.said:
                self.said.add(warning)
                show_warning(self.console, warning)

    def say(self, *lines: str) -> None:
        """Print lines as they are."""
        for line in lines:
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def size_of(model: PreTrainedModel) -> str:
    """Depth, width and parameters of a model, in words."""
    encoder = encoder_shape(model.config)
    layers = counted_layers(encoder.layers, decoder_shape(model.config).layers if is_translator(model) else None)
    return f"{layers} of width {encoder.width}, {model.num_parameters() / 1e6:.1f} M"


# How far the student's layers are from the teacher's, before and after: kept in the run's folder for its report.

DISTANCES_FILE = "layer_distances.json"
BEFORE, AFTER = "layer distances before", "layer distances after"
_OTHER_TOKENS = (
    "the teacher reads a text as other tokens than the student, so their layers cannot be compared by token"
)


def distances_to_teacher(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    other_tokens: bool,
) -> dict[str, Any]:
    """See `measure_layer_distances`; where that cannot be, the reason under the name `missing`.

    Args:
        student: on its device.
        teacher: the first, where there are several.
        rows: tokenised validation rows.
        tokenizer: of the student.
        other_tokens: the teacher reads other tokens.
    """
    if other_tokens:
        return {"missing": _OTHER_TOKENS}
    try:
        return measure_layer_distances(student, teacher, rows, tokenizer)
    except Exception as error:  # a picture of the report is not worth a run
        return {"missing": f"{type(error).__name__}: {error}"}


def write_distances(folder: Path, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Into the run's folder; of several processes the first one writes."""
    if is_first_process():
        write_json(folder / DISTANCES_FILE, {"before": before, "after": after})
