"""The rows on which student and teacher differ most, with their texts: of classifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinybert_hf.data import TASKS
from tinybert_hf.data.settings import MULTI_LABEL, REGRESSION
from tinybert_hf.distillation import label_order
from tinybert_hf.distillation.teachers import shares
from tinybert_hf.evaluation import predicted_logits
from tinybert_hf.reporting.finished_run import FinishedRun
from tinybert_hf.reporting.opened_run import Moved, open_classifiers, validation_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.floating[Any]]

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
    said = []
    for model, tokenizer in opened:
        ready = TASKS[run.recipe["task"]].tokenize(raw, tokenizer, settings)
        said.append(_probabilities(predicted_logits(model, ready, tokenizer), data.problem_type))
        said[-1] = said[-1][:, label_order(config, model.config)]
    weights = shares([float(one.get("weight") or 1.0) for one in run.teachers])
    teacher = sum(weight * each for weight, each in zip(weights, said[1:], strict=True))
    names = [str(config.id2label[index]) for index in range(config.num_labels)]
    labels = list(raw["label"])
    worst, counts, measure = _compare(data.problem_type, said[0], teacher, labels, names)
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
    if problem_type == MULTI_LABEL:
        return _of_label_sets(student, teacher, labels, names)
    return _of_labels(student, teacher, labels, names)


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
    student: Numbers, teacher: Numbers, labels: Sequence[int], names: Sequence[str]
) -> tuple[_Found, list[tuple[str, int]], str]:
    import numpy as np

    gold, ours, theirs = np.asarray(labels), student.argmax(-1), teacher.argmax(-1)
    distances = divergence(teacher, student)
    found: _Found = []
    for row in np.argsort(-distances, kind="stable").tolist():
        answers = {
            "label": names[gold[row]],
            "teacher": f"{names[theirs[row]]} ({teacher[row, theirs[row]]:.1%})",
            "student": f"{names[ours[row]]} ({student[row, ours[row]]:.1%})",
        }
        right: dict[str, bool | None] = {
            "teacher": bool(theirs[row] == gold[row]),
            "student": bool(ours[row] == gold[row]),
        }
        found.append((row, answers, right, float(distances[row])))
    same, right_t, right_s = ours == theirs, theirs == gold, ours == gold
    counts = [
        ("same answer, right", int((same & right_s).sum())),
        ("same answer, wrong", int((same & ~right_s).sum())),
        ("teacher right, student wrong", int((right_t & ~right_s).sum())),
        ("student right, teacher wrong", int((right_s & ~right_t).sum())),
        ("different answers, both wrong", int((~same & ~right_s & ~right_t).sum())),
    ]
    measure = (
        "The rows are sorted by how far the student's probabilities are from the teacher's (Kullback-Leibler "
        "divergence in nats: 0 where they are the same)."
    )
    return found, counts, measure


def _of_label_sets(
    student: Numbers, teacher: Numbers, labels: Sequence[Any], names: Sequence[str]
) -> tuple[_Found, list[tuple[str, int]], str]:
    import numpy as np

    gold, ours, theirs = np.asarray(labels) > 0.5, student > 0.5, teacher > 0.5
    distances = sum(
        divergence(*(np.stack([p, 1 - p], -1) for p in (teacher[:, k], student[:, k]))) for k in range(len(names))
    )
    found: _Found = []
    for row in np.argsort(-np.asarray(distances), kind="stable").tolist():
        answers = {
            "label": ", ".join(name for name, is_so in zip(names, gold[row], strict=True) if is_so) or "none",
            "teacher": _set_of(names, teacher[row]),
            "student": _set_of(names, student[row]),
        }
        right: dict[str, bool | None] = {
            "teacher": bool((theirs[row] == gold[row]).all()),
            "student": bool((ours[row] == gold[row]).all()),
        }
        found.append((row, answers, right, float(np.asarray(distances)[row])))
    same, right_t, right_s = (ours == theirs).all(-1), (theirs == gold).all(-1), (ours == gold).all(-1)
    counts = [
        ("same labels, all right", int((same & right_s).sum())),
        ("same labels, not all right", int((same & ~right_s).sum())),
        ("teacher all right, student not", int((right_t & ~right_s).sum())),
        ("student all right, teacher not", int((right_s & ~right_t).sum())),
        ("different labels, neither all right", int((~same & ~right_s & ~right_t).sum())),
    ]
    measure = (
        "The rows are sorted by how far the student's probabilities are from the teacher's (Kullback-Leibler "
        "divergence in nats, added up over the labels)."
    )
    return found, counts, measure


def _set_of(names: Sequence[str], probabilities: Sequence[float]) -> str:
    said = [f"{name} ({p:.1%})" for name, p in zip(names, probabilities, strict=True) if p > 0.5]
    return ", ".join(said) or "none"


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
