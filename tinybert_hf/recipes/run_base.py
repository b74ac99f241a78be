"""What a task says about its run, and what every run can do: the stages stand in `stages.py`."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tinybert_hf.distillation.bfloat16 import multiplies_in_bfloat16
from tinybert_hf.distillation.projections import AnyProjections
from tinybert_hf.distillation.shapes import decoder_shape, encoder_shape, is_translator
from tinybert_hf.distillation.teachers import each_teacher
from tinybert_hf.evaluation import knows_nothing, main_metric
from tinybert_hf.recipes.plan_base import Plan, arguments_of_phases
from tinybert_hf.recipes.report import SCREEN, RunReport, show_warning
from tinybert_hf.recipes.schema import Recipe
from tinybert_hf.training import Phase
from tinybert_hf.training.best_model import OF_EVALUATION
from tinybert_hf.wording import counted_layers

if TYPE_CHECKING:
    from datasets import Dataset
    from rich.console import Console
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

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
