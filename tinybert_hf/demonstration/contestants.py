"""Opens a student and its teacher, and refuses two that do not answer the same question."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.generation import source_positions
from tinybert_hf.data.settings import MULTI_LABEL, PROBLEM_TYPES, REGRESSION
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.data.translation_languages import language_codes, set_languages
from tinybert_hf.demonstration.run_file import RunFacts, facts_of_run
from tinybert_hf.distillation.teacher import label_order, problem_type_of
from tinybert_hf.errors import TeacherError, TinyBertError
from tinybert_hf.evaluation import holds_translator, open_translator, task_of_checkpoint
from tinybert_hf.evaluation.open_checkpoint import open_model
from tinybert_hf.opening import QUESTION_ANSWERING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TRANSLATION = "translation"
# What this page does not show, and where it can be looked at.
_ELSEWHERE = {
    TOKEN_CLASSIFICATION: 'Look at it: transformers.pipeline("token-classification", "{}")("Ada lives in Paris").',
    QUESTION_ANSWERING: 'Ask it: tinybert_hf.QuestionAnswerer("{}")(question, context).',
}
STUDENT, TEACHER = "student", "teacher"


@dataclass(frozen=True)
class Contestant:
    """A model that answers.

    Attributes:
        role: "student" or "teacher".
        name: folder or Hub id.
        model: in eval mode, on its device.
        tokenizer: of the model.
        order: for each label that is shown, the index of the model's logit; empty for a translator.
        limit: tokens that it reads; None where there is no limit.
        prefix: put before each text.
    """

    role: str
    name: str
    model: PreTrainedModel
    tokenizer: Any
    order: tuple[int, ...] = ()
    limit: int | None = None
    prefix: str = ""


@dataclass(frozen=True)
class Contest:
    """A student, beside its teacher where there is one.

    Attributes:
        student: the student.
        teacher: the teacher; None where it is not there.
        kind: as transformers calls the problem, or "translation".
        labels: names, in the student's order.
        pairs: two texts are read.
        beams: width of a translator's search.
        facts: of the run that made the student.
        notes: what a reader of the page should know, a sentence each.
    """

    student: Contestant
    teacher: Contestant | None
    kind: str
    labels: tuple[str, ...] = ()
    pairs: bool = False
    beams: int = 1
    facts: RunFacts = field(default_factory=RunFacts)
    notes: tuple[str, ...] = ()

    @property
    def contestants(self) -> tuple[Contestant, ...]:
        """Who answers, the teacher first."""
        return (self.student,) if self.teacher is None else (self.teacher, self.student)


def open_contest(
    student: str,
    teacher: str | None = None,
    *,
    with_teacher: bool = True,
    pairs: bool | None = None,
    beams: int = 1,
    languages: tuple[str | None, str | None] = (None, None),
    prefix: str | None = None,
    device: str | None = None,
) -> Contest:
    """Opens a student and the model to show beside it; no code of their folders runs.

    Args:
        student: folder or Hub id of a text classifier or a translator.
        teacher: likewise; None: the one that the student's run.json names, if it is there.
        with_teacher: look for a teacher where none is given.
        pairs: the models read two texts; None: as run.json says.
        beams: width of a translator's search.
        languages: source and target of a multilingual translator; None: as run.json says, or as it was saved.
        prefix: put before what the teacher translates; None: as run.json says.
        device: where to run; None takes the GPU if there is one.

    Raises:
        TeacherError: the teacher that was named does another task, or has other labels.
        TinyBertError: no model is there, or it is damaged.
    """
    facts = facts_of_run(student)
    translator = holds_translator(student)
    task = None if translator else task_of_checkpoint(student)
    if task in _ELSEWHERE:
        raise TinyBertError(
            f"{student} is for {task.replace('-', ' ')}, and this page shows text classifiers and translators. "
            f"{_ELSEWHERE[task].format(student)}"
        )
    own = _open(STUDENT, student, translator, languages=languages, device=device)
    kind = TRANSLATION if translator else problem_type_of(own.model.config)
    if not translator and kind not in PROBLEM_TYPES:
        raise TinyBertError(
            f"{student}/config.json: problem_type is {kind!r:.60}; known are {', '.join(PROBLEM_TYPES)}."
        )
    beside: Contestant | None = None
    notes: list[str] = []
    named = teacher or (facts.teacher if with_teacher else None)
    if named is None:
        notes.append("No teacher is known here, so only the student answers. --teacher FOLDER shows one beside it.")
    else:
        of_run = facts.languages if languages == (None, None) else languages
        before = facts.prefix if prefix is None else prefix
        try:
            beside = _beside(own, named, translator, languages=of_run, device=device, prefix=before)
        except TinyBertError as error:
            if teacher is not None:
                raise
            notes += _without(named, error)
    if teacher is None and beside is not None and facts.teachers > 1:
        notes.append(f"The student learnt from {facts.teachers} teachers; the first of them is shown.")
    return Contest(
        own,
        beside,
        kind,
        labels=() if translator else _label_names(own.model.config),
        pairs=not translator and (facts.pairs if pairs is None else pairs),
        beams=beams,
        facts=facts,
        notes=tuple(notes),
    )


def _beside(own: Contestant, named: str, translator: bool, **options: Any) -> Contestant:
    """The teacher, where it answers the student's question.

    Raises:
        TeacherError: it does not.
        TinyBertError: it cannot be opened.
    """
    task = {True: "translates", False: "classifies texts"}
    if holds_translator(named) != translator:
        raise TeacherError(
            f"{own.name} {task[translator]}, but the teacher {named} {task[not translator]}: they answer different "
            "questions. Give the teacher that the student was distilled from."
        )
    found = _open(TEACHER, named, translator, **options)
    if not translator:
        found = replace(found, order=tuple(label_order(own.model.config, found.model.config)))
    return found


def _without(named: str, error: TinyBertError) -> Iterator[str]:
    """Why the student is shown alone."""
    yield f"The teacher that run.json names, {named}, is not shown, so only the student answers."
    yield str(error)


def _open(
    role: str,
    name: str,
    translator: bool,
    *,
    languages: tuple[str | None, str | None],
    device: str | None,
    prefix: str = "",
) -> Contestant:
    import torch

    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if translator:
        model, tokenizer = open_translator(name)
        # A student of one pair of languages has no tokens for them, though its teacher has.
        if role == TEACHER or language_codes(tokenizer):
            set_languages(model, tokenizer, *languages)
    else:
        model, tokenizer = open_model(name, "AutoModelForSequenceClassification", "a text classifier")
    # A CPU is slow with half precision, in which large checkpoints are often saved.
    model = model.to(where, dtype=torch.float32 if where == "cpu" else model.dtype).eval()
    order = () if translator else tuple(range(model.config.num_labels))
    return Contestant(role, name, model, tokenizer, order, source_positions(model, tokenizer), prefix)


def _label_names(config: Any) -> tuple[str, ...]:
    return tuple(str(config.id2label[index]) for index in range(config.num_labels))


__all__ = ["MULTI_LABEL", "REGRESSION", "STUDENT", "TEACHER", "TRANSLATION", "Contest", "Contestant", "open_contest"]
