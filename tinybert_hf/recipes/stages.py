"""Carry out a plan in stages. Every finished stage is kept, so that a stopped run goes on after the last of them."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tinybert_hf.distillation.projections import AnyProjections
from tinybert_hf.distillation.shapes import decoder_shape, encoder_shape, is_translator
from tinybert_hf.evaluation import main_metric
from tinybert_hf.model.manifest_tinybert import write_manifest
from tinybert_hf.pruning.counting import share_left_out
from tinybert_hf.recipes.folder import is_first_process
from tinybert_hf.recipes.layer_distances import AFTER, BEFORE, distances_to_teacher, write_distances
from tinybert_hf.recipes.plan_base import Plan
from tinybert_hf.recipes.pruning import PRUNING, prune_student, pruning_in_words, text_in_words
from tinybert_hf.recipes.report import BASELINE, SCREEN, STUDENT, TEACHER, RunReport, show_warning, versions
from tinybert_hf.recipes.schema import Recipe, VocabularyPruning
from tinybert_hf.training import FinetuneSettings, Phase, PhaseResult, finetune, run_phases
from tinybert_hf.wording import counted_epochs

if TYPE_CHECKING:
    from datasets import Dataset
    from rich.console import Console
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_ROWS = "rows"  # the stage after which the rows of the phases are there
PlanT = TypeVar("PlanT", bound=Plan)


class Run(ABC, Generic[PlanT]):
    """One run: what its stages hand to each other. Stages that are finished are read back.

    A task says how its models are opened, measured and reported; the order of the stages is the same for all.

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
        data = {"label_names": self.plan.data.label_names, "problem_type": self.plan.data.problem_type}
        content = {**asdict(report), "data": data, "versions": versions(), "recipe": self.recipe.as_dict()}
        self.folder.finish(content)
        return report

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
        return self.training_arguments

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

    def _open_teacher(self) -> None:
        place = self.folder.path / TEACHER
        self.teacher, self.tokenizer = self.reopen_teacher(place) if place.exists() else self.open_teacher()
        self.teacher.to(self.device)
        self.check_teacher()

    def _finetune_teacher(self) -> None:
        settings, place = self.recipe.teacher.finetune, self.folder.path / TEACHER
        if settings is not None and not place.exists():
            with self.stage(TEACHER, f"Fine-tuning the teacher ({size_of(self.teacher)})"):
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
                results = self.run_phases(student)
            if is_first_process():
                self._save_student(student)
            self._compare_layers(AFTER, student)
            metrics = self.measure(STUDENT, student)
            self.folder.finish_stage(STUDENT, {"metrics": metrics, "phases": [asdict(one) for one in results]})
        if self.recipe.prune_vocabulary is None:
            self.folder.place(STUDENT)
        self.say(f"Student: {self.in_words(self.folder.result_of(STUDENT)['metrics'])}")
        if self.recipe.prune_vocabulary is not None:
            self._prune(self.recipe.prune_vocabulary)

    def _save_student(self, student: PreTrainedModel) -> None:
        student.save_pretrained(self.folder.work / STUDENT)
        self.student_tokenizer.save_pretrained(self.folder.work / STUDENT)
        self.save_beside(self.folder.work / STUDENT)
        write_manifest(self.folder.work / STUDENT)

    def _prune(self, settings: VocabularyPruning) -> None:
        """Make the vocabulary smaller, and measure what is shipped."""
        if not is_first_process():
            return
        if self.folder.result_of(PRUNING) is None:
            with self.stage(PRUNING, "Pruning the vocabulary"):
                pruned = prune_student(self.folder, settings, self.open_student, self.corpus_of_rows)
                self.warn(pruned.report.warnings())
                metrics = self.measure_pruned(pruned.model.to(self.device), pruned.tokenizer)
                share = share_left_out(self.student_tokenizer, pruned.kept, self.validation_texts())
            result = {"metrics": metrics, **asdict(pruned.report), "left_out_share": share}
            self.folder.finish_stage(PRUNING, result)
        self.folder.place(PRUNING)
        result = self.folder.result_of(PRUNING)
        self.say(f"Student, pruned: {self.in_words(result['metrics'])}, {pruning_in_words(result)}")
        self.say(text_in_words(result))

    def run_phases(self, student: PreTrainedModel) -> list[PhaseResult]:
        """Train the student; of several processes every one has to call this."""
        return run_phases(
            student,
            self.guide(),
            self.phases,
            output_dir=self.folder.path,
            train_dataset=self.distillation_rows,
            eval_dataset=self.validation_rows,
            processing_class=self.student_tokenizer,
            compute_metrics=self.compute_metrics,
            seed=self.recipe.seed,
            training_arguments=self.phase_arguments,
            projections=self.starting_projections(student),
            announce=self._announce if len(self.phases) > 1 else None,
            **self.phase_options,
        )

    def _announce(self, index: int, phase: Phase) -> None:
        losses = phase.loss_weights(has_decoder=self.recipe.is_translation)
        named = ", ".join(loss.removesuffix("_loss").replace("_", " ") for loss in losses)
        self.say(f"phase {index} ({phase.name}): {named}; {counted_epochs(phase.epochs)}")

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
            with self.stage(BASELINE, "Training the same student without the teacher, to compare"):
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
            training_arguments=self.training_arguments,
        )
        if is_first_process():
            os.replace(self.folder.work / name, self.folder.path / name)
        self.folder.wait_for((self.folder.path / name / "config.json").is_file)

    @contextmanager
    def stage(self, name: str, title: str) -> Iterator[None]:
        """Say what begins, and keep how long it took."""
        self.console.print(f"[bold]{title}[/bold]", highlight=False)
        started = time.perf_counter()
        yield
        seconds = {**(self.folder.result_of("seconds") or {}), name: round(time.perf_counter() - started, 1)}
        self.folder.finish_stage("seconds", seconds)

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
            "warnings": [*self.teacher_warnings(), *self.student_warnings()],
            "task": self.recipe.task,
        }

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
    layers = f"{encoder.layers}"
    if is_translator(model):
        layers += f" + {decoder_shape(model.config).layers}"
    return f"{layers} layers of width {encoder.width}, {model.num_parameters() / 1e6:.1f} M"


def _device(recipe: Recipe) -> str:
    """Where the Trainer of transformers will train."""
    import torch

    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return "cpu" if recipe.training_arguments.get("use_cpu") or accelerator is None else accelerator.type
