"""The rows and sentences on which student and teacher differ most."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints.loading import Checkpoint, usual_device
from tinybert_hf.checkpoints.run_record import WORST_ROWS, FinishedRun
from tinybert_hf.data import DataSettings, TaskData
from tinybert_hf.data.settings import MULTI_LABEL, PROBLEM_TYPES, REGRESSION
from tinybert_hf.data.translation import set_languages
from tinybert_hf.distillation import label_order, load_teacher
from tinybert_hf.distillation.choices import INT8
from tinybert_hf.distillation.teachers import round_to_int8, shares
from tinybert_hf.errors import TeacherError, TinyBertError
from tinybert_hf.evaluation import evaluate_translation, open_translator, predicted_logits, worst_sentences
from tinybert_hf.messages import does_not_exist
from tinybert_hf.tasks import HEADS, TASKS, TEXT_CLASSIFICATION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    Opened = tuple[PreTrainedModel, PreTrainedTokenizerBase]

    Numbers = NDArray[np.floating[Any]]


# The models and the validation rows of a run, opened again; or why they cannot be.


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
        settings = replace(settings, validation_file=moved.validation_file, validation_split="validation")
    try:
        rows = TASKS[run.recipe["task"]].task.load(settings, need_train=False, label_names=names or None)
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
    student = Checkpoint.read(run.folder, HEADS[TEXT_CLASSIFICATION].kind).open_head(TEXT_CLASSIFICATION)
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

    model: Any = opened[0]
    model.to(moved.device or usual_device())
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
            raise TeacherError(does_not_exist(place, folders=True))
        yield
    except TinyBertError as error:
        if moved.teachers:
            raise
        raise NotThereError(
            f"The teacher cannot be opened as the run names it: {error} Where it has moved, give it with "
            "--teacher FOLDER."
        ) from error


# The rows on which student and teacher differ most, with their texts: of classifiers.

MOST_ROWS = 2000
SHOWN = 20
_MOST_LETTERS = 600
_TINY = 1e-12


@dataclass(frozen=True)
class Row:
    """One row of the comparison.

    Attributes:
        number: of the validation rows, from 1.
        texts: what was read, by what it is called.
        answers: what the label says and what each model answers, by whose it is.
        right: of the models, whether the answer is right; None where an answer is a number.
        distance: how far apart the models are.
    """

    number: int
    texts: dict[str, str]
    answers: dict[str, str]
    right: dict[str, bool | None]
    distance: float


@dataclass(frozen=True)
class Comparison:
    """Student and teacher on the same rows.

    Attributes:
        rows: that were looked at.
        of_rows: that there are.
        counts: what happened, and to how many rows.
        worst: the rows with the largest distance, the worst first.
        measure: what the distance is, in a sentence.
        notes: what a reader should know.
    """

    rows: int
    of_rows: int
    counts: list[tuple[str, int]]
    worst: list[Row]
    measure: str
    notes: list[str] = field(default_factory=list)


def compare_classifiers(
    run: FinishedRun, moved: Moved, *, most_rows: int = MOST_ROWS, shown: int = SHOWN
) -> Comparison:
    """Run student and teachers over the validation rows.

    Several teachers count as the mean of their probabilities (of their values in a regression), by their weights, as
    in the prediction loss.

    Args:
        run: whose models.
        moved: what lies elsewhere now.
        most_rows: the first rows that are looked at.
        shown: rows that are shown.

    Raises:
        NotThereError: teacher or rows are not there any more.
        TinyBertError: something that the user named cannot be used.
    """
    data, settings = validation_rows(run, moved)
    assert data.validation is not None  # asked for
    raw = data.validation.select(range(min(most_rows, len(data.validation))))
    opened = open_classifiers(run, moved)
    config = opened[0][0].config
    probabilities = []
    for model, tokenizer in opened:
        ready = TASKS[run.recipe["task"]].task.tokenize(raw, tokenizer, settings)
        probabilities.append(_probabilities(predicted_logits(model, ready, tokenizer), data.problem_type))
        probabilities[-1] = probabilities[-1][:, label_order(config, model.config)]
    weights = shares([float(one.get("weight") or 1.0) for one in run.teachers])
    teacher = sum(weight * each for weight, each in zip(weights, probabilities[1:], strict=True))
    names = [str(config.id2label[index]) for index in range(config.num_labels)]
    labels = list(raw["label"])
    worst, counts, measure = _compare(data.problem_type, probabilities[0], teacher, labels, names)
    rows = [
        Row(index + 1, _texts(raw[index]), answers, right, distance)
        for index, answers, right, distance in worst[:shown]
    ]
    notes = []
    if len(weights) > 1:
        each = (f"{name} ({weight:.0%})" for name, weight in zip(run.teacher_names, weights, strict=True))
        notes.append(
            f"There are several teachers: {', '.join(each)}. “Teacher” is the weighted mean of their answers."
        )
    return Comparison(len(raw), len(data.validation), counts, rows, measure, notes)


_Found = list[tuple[int, dict[str, str], dict[str, bool | None], float]]


def _compare(
    problem_type: str, student: Numbers, teacher: Any, labels: Sequence[Any], names: Sequence[str]
) -> tuple[_Found, list[tuple[str, int]], str]:
    if problem_type == REGRESSION:
        return _of_numbers(student[:, 0], teacher[:, 0], labels)
    return _of_labels(student, teacher, labels, names, several=problem_type == MULTI_LABEL)


def _probabilities(logits: Any, problem_type: str) -> Numbers:
    import numpy as np

    logits = np.asarray(logits, dtype=np.float64).reshape(len(logits), -1)
    if problem_type == REGRESSION:
        return logits
    if problem_type == MULTI_LABEL:
        return 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def divergence(teacher: Numbers, student: Numbers) -> Numbers:
    """Kullback-Leibler divergence of the student's probabilities from the teacher's, (rows,), in nats.

    Args:
        teacher: probabilities, (rows, labels), each row with the sum 1.
        student: likewise.
    """
    import numpy as np

    return (teacher * (np.log(np.maximum(teacher, _TINY)) - np.log(np.maximum(student, _TINY)))).sum(-1)


def _of_labels(
    student: Numbers, teacher: Numbers, labels: Sequence[Any], names: Sequence[str], *, several: bool
) -> tuple[_Found, list[tuple[str, int]], str]:
    """Of one label a row, or of several; which ones are said is a row of truth values either way."""
    import numpy as np

    if several:
        gold, student_says, teacher_says = np.asarray(labels) > 0.5, student > 0.5, teacher > 0.5
        sides = [[np.stack([p[:, k], 1 - p[:, k]], -1) for p in (teacher, student)] for k in range(len(names))]
        distances, added = np.asarray(sum(divergence(*each) for each in sides)), ", added up over the labels"
    else:
        indices = labels, student.argmax(-1), teacher.argmax(-1)
        gold, student_says, teacher_says = (np.eye(len(names), dtype=bool)[np.asarray(one)] for one in indices)
        distances, added = divergence(teacher, student), ": 0 where they are the same"
    found: _Found = []
    same, right_t, right_s = (
        (one == other).all(-1)
        for one, other in ((student_says, teacher_says), (teacher_says, gold), (student_says, gold))
    )
    for row in np.argsort(-distances, kind="stable").tolist():
        answers = {
            "label": _format_labels(names, gold[row]),
            "teacher": _format_labels(names, teacher_says[row], teacher[row]),
            "student": _format_labels(names, student_says[row], student[row]),
        }
        right: dict[str, bool | None] = {"teacher": bool(right_t[row]), "student": bool(right_s[row])}
        found.append((row, answers, right, float(distances[row])))
    happened = (same & right_s, same & ~right_s, right_t & ~right_s, right_s & ~right_t, ~same & ~right_s & ~right_t)
    counts = [(words, int(one.sum())) for words, one in zip(_HAPPENED[several], happened, strict=True)]
    measure = (
        "The rows are sorted by how far the student's probabilities are from the teacher's (Kullback-Leibler "
        f"divergence in nats{added})."
    )
    return found, counts, measure


_HAPPENED = {
    False: (
        "same answer, right",
        "same answer, wrong",
        "teacher right, student wrong",
        "student right, teacher wrong",
        "different answers, both wrong",
    ),
    True: (
        "same labels, all right",
        "same labels, not all right",
        "teacher all right, student not",
        "student all right, teacher not",
        "different labels, neither all right",
    ),
}


def _format_labels(names: Sequence[str], chosen: Any, probabilities: Any = None) -> str:
    shares = [""] * len(names) if probabilities is None else [f" ({one:.1%})" for one in probabilities]
    return ", ".join(f"{name}{share}" for name, share, one in zip(names, shares, chosen, strict=True) if one) or "none"


def _of_numbers(
    student: Numbers, teacher: Numbers, labels: Sequence[float]
) -> tuple[_Found, list[tuple[str, int]], str]:
    import numpy as np

    gold, distances = np.asarray(labels, dtype=np.float64), np.abs(student - teacher)
    found: _Found = []
    for row in np.argsort(-distances, kind="stable").tolist():
        answers = {"label": f"{gold[row]:.3g}", "teacher": f"{teacher[row]:.3g}", "student": f"{student[row]:.3g}"}
        found.append((row, answers, {"teacher": None, "student": None}, float(distances[row])))
    nearer = np.abs(student - gold) < np.abs(teacher - gold)
    farther = np.abs(student - gold) > np.abs(teacher - gold)
    counts = [
        ("student nearer to the label", int(nearer.sum())),
        ("teacher nearer to the label", int(farther.sum())),
        ("equally near", int((~nearer & ~farther).sum())),
    ]
    return found, counts, "The rows are sorted by the difference between the student's and the teacher's number."


def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    named = {"text": "text", "text_pair": "second text"}
    return {title: cut(str(row[name])) for name, title in named.items() if name in row}


def cut(text: str) -> str:
    """A text that fits on the page."""
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]} … ({len(text):,} letters)"


# The sentences on which a translator loses most against its teacher.

# Translating takes a second or more for some sentences on a CPU.
MOST_SENTENCES = 200
_MEASURE = (
    "The sentences are sorted by what the student loses: chrF of the teacher's translation minus chrF of the "
    "student's, each from 0 to 100 against the reference."
)


def compare_translators(
    run: FinishedRun, moved: Moved, *, most_rows: int = MOST_SENTENCES, shown: int = SHOWN
) -> Comparison:
    """The sentences that the run itself found; where it kept none, or other rows are given, they are translated anew.

    Args:
        run: whose models.
        moved: what lies elsewhere now.
        most_rows: the first rows that are translated anew.
        shown: sentences that are shown.

    Raises:
        NotThereError: teacher or rows are not there any more.
        TinyBertError: something that the user named cannot be used.
    """
    file = run.folder / WORST_ROWS
    if file.is_file() and not moved.is_given:
        lines = file.read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines if line.strip()]
        notes = [f"These are the sentences that the run wrote into {WORST_ROWS}, out of all validation rows."]
        return Comparison(0, 0, [], [_row(one) for one in found[:shown]], _MEASURE, notes)
    data, _ = validation_rows(run, moved)
    assert data.validation is not None  # asked for
    count = min(most_rows, len(data.validation))
    sources, references = (list(data.validation[side][:count]) for side in ("source", "target"))
    num_beams = (run.content["metrics"]["student"]["beams"], run.content["metrics"]["teacher"]["beams"])
    prefixes = ("", run.recipe["teacher"].get("prefix") or "")
    translations = [
        evaluate_translation(model, tokenizer, sources, references, num_beams=wide, prefix=prefix)["hypotheses"]
        for (model, tokenizer), wide, prefix in zip(open_translators(run, moved), num_beams, prefixes, strict=True)
    ]
    every = worst_sentences(sources, references, translations[1], translations[0], None)
    counts = [
        ("teacher's translation nearer to the reference", sum(one["loss"] > 0 for one in every)),
        ("student's translation nearer to the reference", sum(one["loss"] < 0 for one in every)),
        ("equally near", sum(one["loss"] == 0 for one in every)),
    ]
    return Comparison(count, len(data.validation), counts, [_row(one) for one in every[:shown]], _MEASURE)


def _row(found: dict[str, Any]) -> Row:
    texts = {"source": cut(found["source"]), "reference": cut(found["reference"])}
    answers = {who: f"{cut(found[who])} (chrF {found[f'{who}_chrf']:.0f})" for who in ("teacher", "student")}
    return Row(found["row"], texts, answers, {"teacher": None, "student": None}, float(found["loss"]))
