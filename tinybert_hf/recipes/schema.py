"""What a recipe may say: these dataclasses are the schema of the YAML files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tinybert_hf.data.settings import DataSettings
from tinybert_hf.distillation.projections import PROJECTIONS
from tinybert_hf.errors import RecipeError
from tinybert_hf.model import PRESETS
from tinybert_hf.recipes.fields import unknown_name
from tinybert_hf.training import FinetuneSettings, Phase
from tinybert_hf.training.arguments import PROJECTION_STARTS

STARTS = ("teacher", "random")
DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class TeacherSettings:
    """The model that is learned from."""

    model: str | None = None
    """Folder or Hub id."""
    config: dict[str, Any] | None = None
    """Instead of `model`: fields of a BertConfig. A small BERT with random weights is made and fine-tuned here."""
    vocabulary_size: int = 4000
    """Of the tokenizer that is trained on the training text where the teacher is made from `config`."""
    finetune: FinetuneSettings | None = None
    """Fine-tune the teacher on the training rows first. None: it is fine-tuned already."""
    dtype: str | None = None
    """float32, float16 or bfloat16 for the frozen teacher. None: float32."""


@dataclass(frozen=True)
class StudentSettings:
    """The TinyBERT that learns."""

    preset: str | None = None
    """Name of a shape: see `tinybert_hf.model.PRESETS`."""
    model: str | None = None
    """Instead of `preset`: folder or Hub id of a TinyBERT that exists, for example a generally distilled one."""
    overrides: dict[str, Any] = field(default_factory=dict)
    """Fields of the TinyBertConfig that differ from the preset."""
    start: str = "teacher"
    """teacher: weights are taken from the teacher (layers copied, or projected down). random: they are drawn."""


@dataclass(frozen=True)
class Recipe:
    """A whole run as one value."""

    name: str
    description: str = ""
    task: str = "text-classification"
    data: DataSettings = field(default_factory=DataSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    student: StudentSettings = field(default_factory=StudentSettings)
    phases: tuple[Phase, ...] = (Phase("intermediate"), Phase("prediction"))
    baseline: FinetuneSettings | None = None
    """Train the same student from the same start without a teacher, to compare. None: leave that out."""
    seed: int = 42
    training_arguments: dict[str, Any] = field(default_factory=dict)
    """Further fields of transformers.TrainingArguments for every training of the run: bf16, report_to, ..."""
    output_dir: str | None = None

    def __post_init__(self) -> None:
        """Check the values; the types have been checked by then.

        Raises:
            RecipeError: a value outside its range, or a name that is not known.
        """
        _check_models(self.teacher, self.student)
        if not self.phases:
            raise RecipeError("phases: a run needs at least one; the usual ones are intermediate and prediction")
        for index, phase in enumerate(self.phases):
            _check_phase(phase, f"phases.{index}")
        if self.teacher.finetune is not None:
            _check_training(self.teacher.finetune, "teacher.finetune")
        if self.baseline is not None:
            _check_training(self.baseline, "baseline")
        if not 0 <= self.seed < 2**32:
            raise RecipeError(f"seed: expected a whole number from 0 to {2**32 - 1}, found {self.seed}")

    @property
    def folder(self) -> str:
        """Where the run writes."""
        return self.output_dir or f"runs/{self.name}"

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain values, as YAML or JSON can hold them."""
        return dataclasses.asdict(self)


def _check_models(teacher: TeacherSettings, student: StudentSettings) -> None:
    if teacher.model is not None and teacher.config is not None:
        raise RecipeError("teacher: `model` and `config` exclude each other; set one of them to null")
    if teacher.config is not None and teacher.finetune is None:
        raise RecipeError("teacher.finetune: a teacher made from `config` has random weights, so it has to be trained")
    _at_least(100, "teacher", teacher, "vocabulary_size")
    if teacher.dtype is not None:
        _one_of(teacher.dtype, DTYPES, "teacher.dtype")
    if (student.preset is None) == (student.model is None):
        raise RecipeError("student: set either `preset` or `model`" + (" and not both" if student.preset else ""))
    if student.preset is not None:
        _one_of(student.preset, PRESETS, "student.preset")
    if student.model is not None and student.overrides:
        raise RecipeError("student.overrides: these belong to a preset; the shape of `student.model` is what it is")
    _one_of(student.start, STARTS, "student.start")


def _check_phase(phase: Phase, path: str) -> None:
    # What a Phase checks itself (its name, weights, temperature) was refused before.
    _one_of(phase.projection, PROJECTIONS, f"{path}.projection")
    _one_of(phase.projection_start, PROJECTION_STARTS, f"{path}.projection_start")
    _check_training(phase, path)
    _at_least(1, path, phase, "train_rows")
    _above_zero(path, phase, "projection_learning_rate")


def _check_training(settings: Phase | FinetuneSettings, path: str) -> None:
    _above_zero(path, settings, "epochs", "learning_rate")
    _at_least(1, path, settings, "batch_size")
    _at_least(0, path, settings, "weight_decay", "warmup_ratio")
    if settings.warmup_ratio >= 1:
        raise RecipeError(f"{path}.warmup_ratio: expected a share of the steps below 1, found {settings.warmup_ratio}")


def _one_of(value: str, known: Iterable[str], path: str) -> None:
    if value not in known:
        raise RecipeError(unknown_name(path, value, known))


def _at_least(least: int, path: str, settings: Any, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if value is not None and value < least:
            raise RecipeError(f"{path}.{name}: expected {least} or more, found {value}")


def _above_zero(path: str, settings: Any, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if value is not None and value <= 0:
            raise RecipeError(f"{path}.{name}: expected more than 0, found {value}")
