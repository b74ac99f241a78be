"""The models and the validation rows of a run, opened again; or why they cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data import TASKS, DataSettings, TaskData
from tinybert_hf.data.settings import PROBLEM_TYPES
from tinybert_hf.data.translation_languages import set_languages
from tinybert_hf.distillation import load_teacher
from tinybert_hf.distillation.int8 import round_to_int8
from tinybert_hf.distillation.teacher import INT8
from tinybert_hf.errors import TeacherError, TinyBertError
from tinybert_hf.evaluation import open_translator
from tinybert_hf.evaluation.open_checkpoint import open_model
from tinybert_hf.reporting.finished_run import FinishedRun

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    Opened = tuple[PreTrainedModel, PreTrainedTokenizerBase]


class NotThereError(TinyBertError):
    """Something that the run used is not where it was; the message says what, and with which option to give it."""


@dataclass(frozen=True)
class Moved:
    """Where to find what is not any more where the run had it, and how to compute.

    Attributes:
        validation_file: the rows; None: as the recipe says.
        teachers: folder or Hub id of each teacher; empty: as the recipe says.
        device: None takes the GPU if there is one.
    """

    validation_file: str | None = None
    teachers: tuple[str, ...] = ()
    device: str | None = None

    @property
    def is_given(self) -> bool:
        """Whether the user named anything."""
        return self.validation_file is not None or bool(self.teachers)


def validation_rows(run: FinishedRun, moved: Moved) -> tuple[TaskData, DataSettings]:
    """The rows that the run was measured on.

    Raises:
        NotThereError: they are not there any more.
        TinyBertError: those that the user named cannot be used.
    """
    known = {field.name for field in fields(DataSettings)}
    settings = DataSettings(**{name: value for name, value in run.recipe["data"].items() if name in known})
    told = run.content.get("data") or {}
    names, problem = told.get("label_names"), told.get("problem_type")
    if problem in PROBLEM_TYPES:  # few rows may look like another problem than all of them
        settings = replace(settings, problem_type=problem)
    if moved.validation_file is not None:
        settings = replace(settings, validation_file=moved.validation_file)
    try:
        rows = TASKS[run.recipe["task"]].load(settings, need_train=False, label_names=names or None)
    except TinyBertError as error:
        if moved.validation_file is not None:
            raise
        raise NotThereError(
            f"The validation rows cannot be read as the run names them: {error} Where they have moved, give them with "
            "--validation-file FILE."
        ) from error
    return rows, settings


def open_classifiers(run: FinishedRun, moved: Moved) -> list[Opened]:
    """Student and teachers, in this order.

    Raises:
        NotThereError: a teacher is not there any more.
        TinyBertError: the student, or a teacher that the user named, cannot be opened.
    """
    student = open_model(str(run.folder), "AutoModelForSequenceClassification", "a text classifier")
    opened = [student]
    for settings, place in zip(run.teachers, _teacher_places(run, moved), strict=True):
        with _naming_the_option(place, moved):
            opened.append(load_teacher(place, dtype=settings.get("dtype") or "float32"))
    return [_placed(one, moved) for one in opened]


def open_translators(run: FinishedRun, moved: Moved) -> list[Opened]:
    """Student and teacher; errors as in `open_classifiers`."""
    settings, (place,) = run.teachers[0], _teacher_places(run, moved)
    with _naming_the_option(place, moved):
        network, tokenizer = open_translator(place)
        set_languages(network, tokenizer, settings.get("source_language"), settings.get("target_language"))
        if settings.get("dtype") == INT8:
            round_to_int8(network)
    return [_placed(open_translator(str(run.folder)), moved), _placed((network, tokenizer), moved)]


def _placed(opened: Opened, moved: Moved) -> Opened:
    import torch

    model: Any = opened[0]
    model.to(moved.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return model, opened[1]


def _teacher_places(run: FinishedRun, moved: Moved) -> Sequence[str]:
    places = [one["place"] for one in run.teachers]
    if moved.teachers and len(moved.teachers) != len(places):
        raise TinyBertError(
            f"--teacher is given {len(moved.teachers)} times, and the run had {len(places)} teachers: "
            f"{', '.join(run.teacher_names)}. Give it once for each, in this order."
        )
    return moved.teachers or places


@contextmanager
def _naming_the_option(place: str, moved: Moved) -> Iterator[None]:
    """Around what opens a teacher: where the recipe named it, say how to give it; where the user did, let it be."""
    try:
        if Path(place).is_absolute() and not Path(place).exists():
            raise TeacherError(f"{place} does not exist.")
        yield
    except TinyBertError as error:
        if moved.teachers:
            raise
        raise NotThereError(
            f"The teacher cannot be opened as the run names it: {error} Where it has moved, give it with "
            "--teacher FOLDER."
        ) from error
