"""Carry out a plan in stages. Every finished stage is kept, so that a stopped run goes on after the last of them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tinybert_hf.checkpoints import with_fitting_settings
from tinybert_hf.checkpoints.card_parts import fetch_card, values_of_card
from tinybert_hf.checkpoints.integrity import place_folder, write_json
from tinybert_hf.checkpoints.model_card import write_card
from tinybert_hf.data import TaskData
from tinybert_hf.data.settings import SINGLE_LABEL
from tinybert_hf.data.shards import is_first_process
from tinybert_hf.data.tasks import shared_rows_notes
from tinybert_hf.data.tokenizers import language_of
from tinybert_hf.distillation.architecture import decoder_shape, encoder_shape, is_translator
from tinybert_hf.distillation.projections import AnyProjections
from tinybert_hf.distillation.teachers import each_teacher, majority_warning, multiplies_in_bfloat16, order_warning
from tinybert_hf.evaluation import knows_nothing, main_metric, measure_layer_distances
from tinybert_hf.messages import counted, counted_epochs, counted_layers
from tinybert_hf.model.manifest_tinybert import write_manifest
from tinybert_hf.recipes.models import PRUNING, prune_stage
from tinybert_hf.recipes.plan import EncoderPlan
from tinybert_hf.recipes.plan_base import Plan, arguments_of_phases
from tinybert_hf.recipes.report import BASELINE, SCREEN, STUDENT, TEACHER, RunReport, show_warning, versions
from tinybert_hf.recipes.schema import Recipe
from tinybert_hf.training import FinetuneSettings, Phase, PhaseResult, finetune, run_phases
from tinybert_hf.training.arguments import OF_EVALUATION

if TYPE_CHECKING:
    from datasets import Dataset
    from rich.console import Console
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


# What is odd about the figures of a run: models that know no more than the counts of the labels.

_LEARN_MORE = "So it has not learnt the task. Give it more epochs or rows, or a higher learning rate."
_TUNE_MORE = (
    "It was fine-tuned in this run, so it has not learnt the task, and nothing can be learnt from it. Give its "
    "fine-tuning more epochs (--teacher-epochs), more rows, or a higher teacher.finetune.learning_rate."
)
_LOOK_AT_TEACHER = "Was it fine-tuned on this task and these labels, and long enough?"


def teacher_warnings(plan: EncoderPlan, figures: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """What to say of the teachers before a student learns from them.

    Args:
        plan: of the run.
        figures: of the teachers on the validation rows; under "each" those of each, where there are several.
        names: of the teachers.
    """
    each = figures.get("each", [figures])
    whose = ["The teacher"] if len(each) == 1 else [f"The teacher {name}" for name in names]
    configs = (plan.teacher_config,) if plan.joint is None else plan.joint.configs
    found = [
        _teacher_warning(plan, one, who, config, tuned_here=index == 0 and plan.recipe.teacher.finetune is not None)
        for index, (one, who, config) in enumerate(zip(each, whose, configs, strict=True))
    ]
    return [warning for warning in found if warning is not None]


def _teacher_warning(
    plan: EncoderPlan, figures: Mapping[str, Any], who: str, config: Any, *, tuned_here: bool
) -> str | None:
    # The labels of a teacher that was fine-tuned here are those of the rows: their order cannot be wrong.
    if plan.data.problem_type == SINGLE_LABEL and not tuned_here:
        assert plan.data.validation is not None
        who = who[0].lower() + who[1:]
        return order_warning(figures, who, config, plan.student_config) or majority_warning(
            figures["accuracy"],
            plan.data.validation["label"],
            who=who,
            teacher_names=[str(name) for name in config.id2label.values()],
            label_names=plan.data.label_names,
        )
    warning = knows_nothing(plan.data, figures, who)
    return None if warning is None else f"{warning} {_TUNE_MORE if tuned_here else _LOOK_AT_TEACHER}"


def student_warnings(data: TaskData, figures: Mapping[str, Any], who: str = "The student") -> list[str]:
    """What to say of a model that was trained here.

    Args:
        data: with the validation rows.
        figures: of the model on them.
        who: the model, at the beginning of a sentence.
    """
    warning = knows_nothing(data, figures, who)
    return [] if warning is None else [f"{warning} {_LEARN_MORE}"]


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


# What a task says about its run, and what every run can do.

PlanT = TypeVar("PlanT", bound=Plan)


class RunBase(ABC, Generic[PlanT]):
    """How the models of a run are opened, measured and reported; what a task does otherwise, it overrides.

    Attributes:
        teacher: on its device.
        tokenizer: of the teacher.
        report_class: what `report` gives.
        said: the notes and warnings that are on the screen already.
    """

    report_class: type[RunReport] = RunReport
    teacher: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    def __init__(self, plan: PlanT, console: Console) -> None:
        self.plan, self.recipe, self.folder, self.console = plan, plan.recipe, plan.folder, console
        self.said: set[str] = set()
        self.metric = self.main_metric()
        self.device = _device(plan.recipe)
        self.training_arguments: dict[str, Any] = {**SCREEN, **plan.recipe.training_arguments}

    def main_metric(self) -> str:
        """Name of the figure that decides."""
        data = self.plan.data
        return self.recipe.metric or main_metric(data.problem_type, data.label_names)

    @property
    @abstractmethod
    def teacher_rows(self) -> Dataset:
        """Tokenised rows that a teacher is fine-tuned on."""

    @property
    @abstractmethod
    def distillation_rows(self) -> Dataset:
        """Tokenised rows that the phases learn from."""

    @property
    @abstractmethod
    def baseline_rows(self) -> Dataset:
        """Tokenised rows that the student learns from alone."""

    @property
    @abstractmethod
    def validation_rows(self) -> Dataset:
        """Tokenised rows to measure on."""

    @property
    def phase_validation_rows(self) -> Dataset:
        """Tokenised rows that the phases are evaluated on."""
        return self.validation_rows

    @property
    def student_tokenizer(self) -> PreTrainedTokenizerBase:
        """Usually the teacher's."""
        return self.tokenizer

    @property
    def phases(self) -> Sequence[Phase]:
        """Of the recipe."""
        return self.recipe.phases

    @property
    def phase_arguments(self) -> dict[str, Any]:
        """TrainingArguments for the phases, besides what a phase says itself."""
        return {**arguments_of_phases(self.recipe, self.training_arguments), **_teacher_precision(self.recipe)}

    @property
    def finetuning_arguments(self) -> dict[str, Any]:
        """TrainingArguments for a training on labels, which is measured at its end and not on the way."""
        given = {name: value for name, value in self.training_arguments.items() if name not in OF_EVALUATION}
        if given.get("save_strategy") == "best":
            del given["save_strategy"]
        return given

    @property
    def phase_options(self) -> dict[str, Any]:
        """What `run_phases` is to know besides."""
        return {}

    @property
    def compute_metrics(self) -> Any:
        """As for transformers' Trainer, at the end of each epoch of a phase."""
        return None

    @abstractmethod
    def open_teacher(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The teacher that the recipe names."""

    @abstractmethod
    def reopen_teacher(self, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The teacher that was fine-tuned in this run."""

    @abstractmethod
    def check_teacher(self) -> None:
        """Refuse a teacher that cannot serve, before anything is trained."""

    def prepare_rows(self) -> None:
        """Make the rows that the phases learn from, where they are not the rows as they are."""

    @abstractmethod
    def make_start(self) -> PreTrainedModel:
        """The student before the first step."""

    @abstractmethod
    def open_student(self, folder: Path) -> PreTrainedModel:
        """A student that this run has saved."""

    @property
    def other_tokens(self) -> bool:
        """Whether the (first) teacher reads a text as other tokens than the student."""
        return False

    def starting_projections(self, student: PreTrainedModel) -> AnyProjections | None:
        """Projections that a student was saved with; None: the phases make new ones."""
        return None

    def say_teacher_precision(self) -> None:
        """A line where the teacher multiplies in bfloat16 though nobody asked for it."""
        wanted = self.phase_arguments.get("teacher_bf16")
        if any(multiplies_in_bfloat16(one, wanted) for one in each_teacher(self.guide())):
            self.say(
                "The teacher multiplies in bfloat16, which this CPU does faster; "
                "--set teacher.dtype=float32 turns that off"
            )

    def guide(self) -> PreTrainedModel:
        """The model that the losses of the phases look at."""
        return self.teacher

    def save_beside(self, folder: Path) -> None:
        """Put what belongs to the student beside its weights."""

    @abstractmethod
    def measure(self, who: str, model: PreTrainedModel) -> dict[str, Any]:
        """The figures of a model on the validation rows."""

    @abstractmethod
    def in_words(self, metrics: Mapping[str, Any]) -> str:
        """The figures that matter most, for a line on the screen."""

    @abstractmethod
    def teacher_warnings(self) -> list[str]:
        """What is odd about the teacher's figures."""

    def sides(self) -> Mapping[str, Iterable[str]]:
        """The texts that the student learns from, by what they are: text, or source and target."""
        return {"text": self.corpus_of_rows()}

    def trivial(self, metrics: Mapping[str, Any]) -> list[str]:
        """The models, of those measured, that know no more of the task than the counts of the labels."""
        return [who for who, figures in metrics.items() if knows_nothing(self.plan.data, figures, who) is not None]

    def corpus_of_rows(self) -> Iterator[str]:
        """Every training text, for a vocabulary that is pruned by them."""
        raise NotImplementedError

    def validation_texts(self) -> Iterator[str]:
        """Every text of the validation rows."""
        raise NotImplementedError

    def measure_pruned(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
        """The figures of a student with a vocabulary of its own on the validation rows."""
        raise NotImplementedError

    def student_warnings(self) -> list[str]:
        """What is odd about the student's figures."""
        return []

    @abstractmethod
    def report(self) -> RunReport:
        """All figures, once every stage is finished."""

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


def _device(recipe: Recipe) -> str:
    """Where the Trainer of transformers will train."""
    import torch

    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return "cpu" if recipe.training_arguments.get("use_cpu") or accelerator is None else accelerator.type


def _teacher_precision(recipe: Recipe) -> dict[str, Any]:
    """A number format that the recipe names for a teacher is meant: its products are not computed in another."""
    named = [recipe.teacher.dtype, *(one.dtype for one in recipe.further_teachers)]
    return {"teacher_bf16": False} if any(named) else {}


_READ_ROWS = 500  # enough to tell their language
_ROWS = "rows"  # the stage after which the rows of the phases are there


class Run(RunBase[PlanT]):
    """One run: its stages, in the same order for all tasks. Stages that are finished are read back."""

    def carry_out(self) -> RunReport:
        """Do what is not done yet, and write run.json."""
        self.say_notes(self.plan.notes)
        self._open_teacher()
        self.folder.claim()  # from here on something is written
        self._finetune_teacher()
        self._teacher_metrics()
        self._prepare_rows()
        self._start()
        self._distil()
        if self.recipe.baseline is not None:
            self._train_baseline(self.recipe.baseline)
        if not is_first_process():
            self.folder.wait_for(lambda: False)
            return self.report_class.read(self.folder.read_report(), str(self.folder.path))
        report = self.report()
        data = {
            "label_names": self.plan.data.label_names,
            "problem_type": self.plan.data.problem_type,
            "languages": {side: language_of(islice(texts, _READ_ROWS)) for side, texts in self.sides().items()},
        }
        content = {**asdict(report), "data": data, "versions": versions(), "recipe": self.recipe.as_dict()}
        self.folder.finish({**content, "model_cards": self._model_cards()})
        write_card(self.folder.path)
        return report

    def _model_cards(self) -> dict[str, Any]:
        """License and language of the models that the student comes from, as their own cards name them."""
        first, student = self.recipe.teacher.model, self.recipe.student.model
        models = [first, *(one.model for one in self.recipe.further_teachers), student]
        named = list(dict.fromkeys(model for model in models if model))
        for model in named:
            fetch_card(model)
        return {model: values_of_card(model) for model in named}

    def _open_teacher(self) -> None:
        place = self.folder.path / TEACHER
        self.teacher, self.tokenizer = self.reopen_teacher(place) if place.exists() else self.open_teacher()
        self.teacher.to(self.device)
        self.check_teacher()

    def _finetune_teacher(self) -> None:
        settings, place = self.recipe.teacher.finetune, self.folder.path / TEACHER
        if settings is not None and not place.exists():
            epochs = counted_epochs(settings.known_epochs, settings.learning_rate)
            with self.stage(TEACHER, f"Fine-tuning the teacher ({size_of(self.teacher)}): {epochs}"):
                self._finetune(TEACHER, self.teacher, settings, self.teacher_rows, self.tokenizer)
            self.teacher, self.tokenizer = self.reopen_teacher(place)
            self.teacher.to(self.device)

    def _teacher_metrics(self) -> None:
        if self.folder.result_of("teacher metrics") is None:
            self.folder.finish_stage("teacher metrics", self.measure(TEACHER, self.teacher))
        self.say(f"Teacher ({size_of(self.teacher)}): {self.in_words(self.folder.result_of('teacher metrics'))}")
        self.warn(self.teacher_warnings())

    def _prepare_rows(self) -> None:
        """Of several processes the first makes the rows, and the others read them."""
        self.folder.wait_for_stage(_ROWS)
        self.prepare_rows()
        if is_first_process():
            self.folder.finish_stage(_ROWS, "ready")

    def _start(self) -> None:
        """Keep the weights before the first step: the distilled student and the baseline both begin there."""
        self.folder.wait_for_stage("start")
        if self.folder.result_of("start") is not None:
            return
        with self.stage("start", "Making the student"):
            student = self.make_start()
            student.save_pretrained(self.folder.work / "start")
        self.folder.finish_stage("start", {"parameters": student.num_parameters()})

    def _distil(self) -> None:
        if self.folder.result_of(STUDENT) is None:
            student = self.open_student(self.folder.work / "start").to(self.device)
            self._compare_layers(BEFORE, student)
            with self.stage(STUDENT, f"Distilling into {size_of(student)}"):
                self.say_teacher_precision()
                results = self.run_phases(student)
                for index, one in enumerate(results):
                    if one.best_step is not None:
                        early = f"it stopped early, {one.planned_steps} were planned; " if one.stopped_early else ""
                        kept = f"the weights of step {one.best_step} are kept"
                        self.say(f"phase {index}: {counted(one.steps, 'step')}, {early}{kept}")
            if is_first_process():
                self._save_student(student)
            self._compare_layers(AFTER, student)
            metrics = self.measure(STUDENT, student)
            self.folder.finish_stage(STUDENT, {"metrics": metrics, "phases": [asdict(one) for one in results]})
        if self.recipe.prune_vocabulary is None:
            self.folder.place(STUDENT)
        self.say(f"Student: {self.in_words(self.folder.result_of(STUDENT)['metrics'])}")
        if self.recipe.prune_vocabulary is not None:
            prune_stage(self, self.recipe.prune_vocabulary)

    def _save_student(self, student: PreTrainedModel) -> None:
        student.save_pretrained(self.folder.work / STUDENT)
        with_fitting_settings(self.student_tokenizer, student).save_pretrained(self.folder.work / STUDENT)
        self.save_beside(self.folder.work / STUDENT)
        write_manifest(self.folder.work / STUDENT)

    def run_phases(self, student: PreTrainedModel) -> list[PhaseResult]:
        """Train the student; of several processes every one has to call this."""
        return run_phases(
            student,
            self.guide(),
            self.phases,
            output_dir=self.folder.path,
            train_dataset=self.distillation_rows,
            eval_dataset=self.phase_validation_rows,
            processing_class=self.student_tokenizer,
            compute_metrics=self.compute_metrics,
            seed=self.recipe.seed,
            training_arguments=self.phase_arguments,
            projections=self.starting_projections(student),
            announce=self._announce,
            **self.phase_options,
        )

    def _announce(self, index: int, phase: Phase, step: int) -> None:
        if len(self.phases) > 1:
            losses = phase.loss_weights(has_decoder=self.recipe.is_translation)
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
            rows, tokenizer = self.validation_rows, self.student_tokenizer
            found = distances_to_teacher(student, self.teacher, rows, tokenizer, other_tokens=self.other_tokens)
            self.folder.finish_stage(when, found)
        if when == AFTER:
            write_distances(self.folder.path, *(self.folder.result_of(one) for one in (BEFORE, AFTER)))

    def _train_baseline(self, settings: FinetuneSettings) -> None:
        if self.folder.result_of(BASELINE) is None:
            student = self.open_student(self.folder.work / "start")
            epochs = counted_epochs(settings.known_epochs, settings.learning_rate)
            with self.stage(BASELINE, f"Training the same student without the teacher, to compare: {epochs}"):
                self._finetune(BASELINE, student, settings, self.baseline_rows, self.student_tokenizer)
            self.folder.finish_stage(BASELINE, self.measure(BASELINE, student.to(self.device)))
        self.say(f"Student trained alone: {self.in_words(self.folder.result_of(BASELINE))}")

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

    def collected(self) -> dict[str, Any]:
        """The figures of all models and stages, by the names that a RunReport has for them."""
        stages = {name: self.folder.result_of(name) for name in (STUDENT, BASELINE, "seconds")}
        pruning = self.folder.result_of(PRUNING)
        student = stages[STUDENT]["metrics"]
        metrics = {TEACHER: self.folder.result_of("teacher metrics"), STUDENT: student}
        if pruning is not None:
            metrics[STUDENT] = pruning["metrics"]
            pruning = {**pruning, "metrics_before": student}
        if stages[BASELINE] is not None:
            metrics[BASELINE] = stages[BASELINE]
        return {
            "folder": str(self.folder.path),
            "main_metric": self.metric,
            "further_metrics": list(self.recipe.further_metrics),
            "metrics": metrics,
            "phases": stages[STUDENT]["phases"],
            "pruning": pruning,
            "seconds": stages["seconds"] or {},
            "device": self.device,
            "warnings": [*shared_rows_notes(self.plan.data), *self.teacher_warnings(), *self.student_warnings()],
            "task": self.recipe.task,
            "trivial": self.trivial(metrics),
            "notes": list(self.plan.notes),
        }
