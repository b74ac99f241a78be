"""A page that shows a student beside its teacher: the models, their answers, the page, served."""

from __future__ import annotations

import errno
import os
import re
import socket
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from tinybert_hf.checkpoints.loading import Checkpoint, usual_device
from tinybert_hf.checkpoints.run_record import RunFacts, facts_of_run
from tinybert_hf.data import demo_sentiment
from tinybert_hf.data.demo_translation import demo_translation
from tinybert_hf.data.generation import source_positions, translate_texts
from tinybert_hf.data.settings import DEMO_SENTIMENT, DEMO_TRANSLATION, MULTI_LABEL, PROBLEM_TYPES, REGRESSION
from tinybert_hf.data.translation import language_codes, set_languages
from tinybert_hf.distillation.teachers import label_order, problem_type_of
from tinybert_hf.errors import TeacherError, TinyBertError
from tinybert_hf.evaluation import open_translator
from tinybert_hf.evaluation.cost import Clock, Times, timed_rounds
from tinybert_hf.messages import counted, counted_layers
from tinybert_hf.tasks import TASKS, TEXT_CLASSIFICATION, TRANSLATION, spec_of

if TYPE_CHECKING:
    import gradio
    from transformers import PreTrainedModel


# The examples under the box: sentences of our own generators, or a few neutral ones. Never a user's rows.

Example = tuple[str, ...]

_SHOWN = 4
# A seed that no run uses, so that the examples are not rows that the student has learnt.
_SEED = 7_777_777

_TEXTS = (
    "The room was clean and the staff were friendly.",
    "The parcel arrived two days late and the box was damaged.",
    "The library opens at nine and closes at six.",
    "I would not call it a bad meal, but I expected more.",
)
_PAIRS = (
    ("A woman is reading a book in the park.", "A woman is outdoors."),
    ("How do I reset my password?", "What can I do when I have forgotten my password?"),
    ("The shop is closed on Sundays.", "The shop is open every day."),
)
_TO_TRANSLATE = {
    "en": (
        "The train leaves at noon.",
        "A dog is running across the field.",
        "Two children are playing in the garden.",
        "Where is the nearest station?",
    ),
    "de": (
        "Der Zug fährt um zwölf Uhr ab.",
        "Ein Hund läuft über das Feld.",
        "Zwei Kinder spielen im Garten.",
        "Wo ist der nächste Bahnhof?",
    ),
    "zh": ("火车中午出发。", "一只狗跑过田野。", "两个孩子在花园里玩。", "最近的车站在哪里？"),
}
_LANGUAGES = {"deu": "de", "ger": "de", "german": "de", "zho": "zh", "chi": "zh", "cmn": "zh", "chinese": "zh"}


def examples_for(facts: RunFacts, *, translator: bool, pairs: bool) -> list[Example]:
    """A few texts to try, each a tuple with a text for each box.

    Args:
        facts: of the run that made the student.
        translator: the student translates.
        pairs: the student reads two texts.
    """
    if translator:
        if facts.dataset == DEMO_TRANSLATION:
            return [(row["source"],) for row in demo_translation(_SHOWN, _SEED)]
        return [(text,) for text in _TO_TRANSLATE[_language(facts.source)]]
    if pairs:
        return list(_PAIRS)
    if facts.dataset == DEMO_SENTIMENT:
        return [(row["text"],) for row in demo_sentiment(_SHOWN, _SEED)]
    return [(text,) for text in _TEXTS]


def _language(named: str | None) -> str:
    """The language that a code or a column's name means; English where it says nothing."""
    words = re.split(r"[^a-z]+", (named or "").lower())
    codes = [_LANGUAGES.get(word, word) for word in words]
    return next((code for code in codes if code in _TO_TRANSLATE), "en")


# Opens a student and its teacher, and refuses two that do not answer the same question.

STUDENT, TEACHER = "student", "teacher"


@dataclass(frozen=True)
class DemoModel:
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
        num_beams: width of a translator's search.
        facts: of the run that made the student.
        notes: what a reader of the page should know, a sentence each.
    """

    student: DemoModel
    teacher: DemoModel | None
    kind: str
    labels: tuple[str, ...] = ()
    pairs: bool = False
    num_beams: int = 1
    facts: RunFacts = field(default_factory=RunFacts)
    notes: tuple[str, ...] = ()

    @property
    def translates(self) -> bool:
        """Whether the models write."""
        return spec_of(self.kind).has_decoder

    @property
    def models(self) -> tuple[DemoModel, ...]:
        """Who answers, the teacher first."""
        return (self.student,) if self.teacher is None else (self.teacher, self.student)


def open_contest(
    student: str,
    teacher: str | None = None,
    *,
    with_teacher: bool = True,
    pairs: bool | None = None,
    num_beams: int = 1,
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
        num_beams: width of a translator's search.
        languages: source and target of a multilingual translator; None: as run.json says, or as it was saved.
        prefix: put before what the teacher translates; None: as run.json says.
        device: where to run; None takes the GPU if there is one.

    Raises:
        TeacherError: the teacher that was named does another task, or has other labels.
        TinyBertError: no model is there, or it is damaged.
    """
    facts = facts_of_run(student)
    checkpoint = Checkpoint.read(student, "a text classifier or a translator")
    translator, task = checkpoint.is_translator, checkpoint.task
    look = None if task is None else TASKS[task].look
    if task is not None and look is not None:
        raise TinyBertError(
            f"{student} is for {task.replace('-', ' ')}, and this page shows text classifiers and translators. "
            f"{look.format(place=student)}"
        )
    own = _open(STUDENT, checkpoint, translator, languages=languages, device=device)
    kind = TRANSLATION if translator else problem_type_of(own.model.config)
    if not translator and kind not in PROBLEM_TYPES:
        raise TinyBertError(
            f"{student}/config.json: problem_type is {kind!r:.60}; known are {', '.join(PROBLEM_TYPES)}."
        )
    beside: DemoModel | None = None
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
        num_beams=num_beams,
        facts=facts,
        notes=tuple(notes),
    )


def _beside(own: DemoModel, named: str, translator: bool, **options: Any) -> DemoModel:
    """The teacher, where it answers the student's question.

    Raises:
        TeacherError: it does not.
        TinyBertError: it cannot be opened.
    """
    task = {True: "translates", False: "classifies texts"}
    checkpoint = Checkpoint.read(named, "a text classifier or a translator")
    if checkpoint.is_translator != translator:
        raise TeacherError(
            f"{own.name} {task[translator]}, but the teacher {named} {task[not translator]}: they answer different "
            "questions. Give the teacher that the student was distilled from."
        )
    found = _open(TEACHER, checkpoint, translator, **options)
    if not translator:
        found = replace(found, order=tuple(label_order(own.model.config, found.model.config)))
    return found


def _without(named: str, error: TinyBertError) -> Iterator[str]:
    """Why the student is shown alone."""
    yield f"The teacher that run.json names, {named}, is not shown, so only the student answers."
    yield str(error)


def _open(
    role: str,
    checkpoint: Checkpoint,
    translator: bool,
    *,
    languages: tuple[str | None, str | None],
    device: str | None,
    prefix: str = "",
) -> DemoModel:
    import torch

    where = device or usual_device()
    if translator:
        model, tokenizer = open_translator(checkpoint)
        # A student of one pair of languages has no tokens for them, though its teacher has.
        if role == TEACHER or language_codes(tokenizer):
            set_languages(model, tokenizer, *languages)
    else:
        model, tokenizer = checkpoint.open_head(TEXT_CLASSIFICATION)
    # A CPU is slow with half precision, in which large checkpoints are often saved.
    model = model.to(where, dtype=torch.float32 if where == "cpu" else model.dtype).eval()
    order = () if translator else tuple(range(model.config.num_labels))
    return DemoModel(role, checkpoint.path, model, tokenizer, order, source_positions(model, tokenizer), prefix)


def _label_names(config: Any) -> tuple[str, ...]:
    return tuple(str(config.id2label[index]) for index in range(config.num_labels))


__all__ = ["MULTI_LABEL", "REGRESSION", "STUDENT", "TEACHER", "TRANSLATION", "Contest", "DemoModel", "open_contest"]


# Asks the models for their answers, and how long each takes. Knows nothing of a page.

T = TypeVar("T")

CALLS = 15
THRESHOLD = 0.5
# A reader waits: seconds after which some calls are enough, and after which one is.
_SECONDS, _MOST_SECONDS = 2.0, 8.0
# Enough for any model here; what is longer would only keep the tokenizer busy.
_CHARACTERS = 200_000


class EmptyTextError(TinyBertError):
    """There is nothing to answer."""


@dataclass(frozen=True)
class Answer:
    """What one model says.

    Attributes:
        role: "student" or "teacher".
        scores: a probability of each label, or the number of a regression; in the order of the contest's labels.
        text: a translation; None from a classifier.
        truncated: the text was longer than the model reads.
        cut_off: the translation reached the limit of tokens before its end.
        milliseconds: median of the calls, tokenizing included.
    """

    role: str
    scores: tuple[float, ...] = ()
    text: str | None = None
    truncated: bool = False
    cut_off: bool = False
    milliseconds: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """The answers of all models to one text.

    Attributes:
        answers: in the order of the contest, the teacher first.
        calls: how many calls of each were timed.
    """

    answers: tuple[Answer, ...]
    calls: int

    @property
    def speed_up(self) -> float | None:
        """The teacher's time over the student's; None where there is no teacher."""
        if len(self.answers) < 2:
            return None
        return self.answers[0].milliseconds / max(self.answers[-1].milliseconds, 1e-6)


def compare(contest: Contest, text: str, text_pair: str | None = None, calls: int = CALLS) -> Comparison:
    """Asks every entry.

    Args:
        contest: from `open_contest`.
        text: what to answer.
        text_pair: the second text, where the contest is about pairs.
        calls: timed calls of each; fewer where they take long.

    Raises:
        EmptyTextError: a text is missing.
    """
    texts = [_clean(one) for one in ((text, text_pair or "") if contest.pairs else (text,))]
    if not all(texts):
        raise EmptyTextError("Please type both texts." if contest.pairs else "Please type a text first.")
    tasks = [_task(contest, one, texts) for one in contest.models]
    answers, times = measure(tasks, calls)
    timed = (replace(answer, milliseconds=own.latency_ms) for answer, own in zip(answers, times, strict=True))
    return Comparison(tuple(timed), len(times[0].wall))


def measure(
    tasks: Sequence[Callable[[], T]], calls: int = CALLS, clock: Clock | None = None
) -> tuple[list[T], list[Times]]:
    """Times tasks against each other.

    Every task is called once to warm up, and then once in each of the rounds (see `timed_rounds`). After 2 seconds in
    all 3 rounds are enough, after 8 one is.

    Args:
        tasks: what to call.
        calls: rounds at most.
        clock: for tests.

    Returns:
        What each task gave, and the times of its calls.
    """
    clock = clock or Clock()
    began = clock.wall()
    results = [task() for task in tasks]
    spent = clock.wall() - began
    times, failed = timed_rounds(
        {str(number): task for number, task in enumerate(tasks)},
        seconds=_SECONDS - spent,
        patience=_MOST_SECONDS - spent,
        most=calls,
        once=True,
        clock=clock,
    )
    for reason in failed.values():
        raise MemoryError(reason)
    return results, list(times.values())


def chosen_labels(kind: str, labels: Sequence[str], answer: Answer) -> tuple[str, ...]:
    """The labels that an answer says: the most probable one, or of several all above one half.

    Args:
        kind: of the contest.
        labels: of the contest.
        answer: of one entry.
    """
    if kind == MULTI_LABEL:
        return tuple(label for label, score in zip(labels, answer.scores, strict=True) if score > THRESHOLD)
    return (labels[max(range(len(labels)), key=lambda index: answer.scores[index])],)


def _clean(text: str) -> str:
    """Half of a surrogate pair, which a browser may send, is no text to a tokenizer."""
    return str(text or "").encode("utf-8", "replace").decode("utf-8").strip()


def _task(contest: Contest, entry: DemoModel, texts: Sequence[str]) -> Callable[[], Answer]:
    shortened = [text[:_CHARACTERS] for text in texts]
    cut = any(len(text) > _CHARACTERS for text in texts)
    if contest.translates:
        return lambda: _translation(entry, shortened[0], contest.num_beams, cut)
    whole = entry.tokenizer(*shortened, verbose=False)["input_ids"]
    cut = cut or (entry.limit is not None and len(whole) > entry.limit)
    return lambda: _classification(entry, shortened, contest.kind, cut)


def _translation(entry: DemoModel, text: str, num_beams: int, cut: bool) -> Answer:
    made = translate_texts(entry.model, entry.tokenizer, [text], num_beams=num_beams, prefix=entry.prefix)
    return Answer(entry.role, (), made.best[0], cut or made.truncated[0], made.cut_off[0][0])


def _classification(entry: DemoModel, texts: Sequence[str], kind: str, cut: bool) -> Answer:
    import torch

    options: dict[str, Any] = {} if entry.limit is None else {"truncation": True, "max_length": entry.limit}
    batch = entry.tokenizer(*texts, return_tensors="pt", **options).to(entry.model.device)
    with torch.inference_mode():
        logits = entry.model(**batch).logits[0].float()
    if kind == MULTI_LABEL:
        logits = logits.sigmoid()
    elif kind != REGRESSION:
        logits = logits.softmax(-1)
    scores = logits.tolist()
    return Answer(entry.role, tuple(scores[index] for index in entry.order), truncated=cut)


# A comparison as HTML: one card for each model, bars for its labels. Every text is escaped.

_MOST_LABELS = 8

# Most colours are the theme's own, so that light and dark both fit; its softer text is too faint to read in light.
STYLE = """
.tb-cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 260px), 1fr)); gap: 12px; }
.tb-card { border: 1px solid var(--border-color-primary); border-radius: 10px; padding: 14px 16px; min-width: 0;
  background: var(--background-fill-secondary); color: var(--body-text-color); overflow-wrap: anywhere; }
.tb-head { display: flex; justify-content: space-between; align-items: baseline; gap: 8px; flex-wrap: wrap; }
.tb-who { font-weight: 600; text-transform: capitalize; }
.tb-time { font-variant-numeric: tabular-nums; font-weight: 600; }
.tb-size, .tb-how, .tb-more { color: var(--tb-soft); font-size: 0.875em; }
.tb-row { margin-top: 10px; }
.tb-name { display: flex; justify-content: space-between; gap: 8px; }
.tb-chosen { font-weight: 600; }
.tb-percent { font-variant-numeric: tabular-nums; white-space: nowrap; }
.tb-bar { height: 8px; border-radius: 4px; margin-top: 3px; overflow: hidden;
  background: var(--border-color-primary); }
.tb-bar div { height: 100%; border-radius: 4px; background: var(--tb-soft); }
.tb-chosen + .tb-bar div { background: var(--tb-accent); }
.tb-text { margin-top: 10px; font-size: 1.1em; white-space: pre-wrap; }
.tb-number { margin-top: 6px; font-size: 2em; font-weight: 600; font-variant-numeric: tabular-nums; }
.tb-said { margin: 0 0 4px; font-size: 1.05em; color: var(--body-text-color); overflow-wrap: anywhere; }
.tb-how { margin: 0 0 12px; }
.tb-note { margin: 10px 0 0; padding: 8px 12px; border-left: 3px solid var(--tb-accent);
  background: var(--background-fill-secondary); color: var(--body-text-color); overflow-wrap: anywhere; }
:root { --tb-accent: #2563eb; --tb-soft: #52525b; }
.dark { --tb-accent: #60a5fa; --tb-soft: #b4b4bc; }
"""


def comparison_html(contest: Contest, comparison: Comparison) -> str:
    """The page's answer.

    Args:
        contest: who answered.
        comparison: from `compare`.
    """
    said = f'<p class="tb-said">{_said(contest, comparison)}</p><p class="tb-how">{_how(contest, comparison)}</p>'
    answers = zip(contest.models, comparison.answers, strict=True)
    cards = "".join(_card(contest, who, answer) for who, answer in answers)
    return f'{said}<div class="tb-cards">{cards}</div>{"".join(map(note_html, _notes(contest, comparison)))}'


def note_html(note: str) -> str:
    """One thing that a reader should know."""
    return f'<p class="tb-note">{escape(note)}</p>'


def size_of(entry: DemoModel) -> str:
    """A model in a few words: its class, layers, width and parameters."""
    config: Any = entry.model.config
    decoder = getattr(config, "num_decoder_layers", None) or getattr(config, "decoder_layers", None)
    layers: Any = getattr(config, "encoder_layers", None) if decoder else None
    layers = layers or getattr(config, "num_hidden_layers", "?")
    parameters = sum(weights.numel() for weights in entry.model.parameters())
    millions = f"{parameters / 1e6:.1f}" if parameters >= 1e5 else f"{parameters / 1e6:.2f}"
    return f"{counted_layers(layers, decoder)} x {getattr(config, 'hidden_size', '?')}, {millions} M parameters"


def _said(contest: Contest, comparison: Comparison) -> str:
    """What they say, and whether it is the same."""
    by_role = {answer.role: _format_answer(contest, answer) for answer in comparison.answers}
    if TEACHER not in by_role:
        return "The student's translation:" if contest.translates else f"The student says {by_role[STUDENT]}."
    if contest.translates:
        same = comparison.answers[0].text == comparison.answers[1].text
        return "Both translate it alike." if same else "They translate it differently."
    if contest.kind == REGRESSION:
        apart = abs(comparison.answers[0].scores[0] - comparison.answers[1].scores[0])
        return f"Their numbers are {apart:.3g} apart."
    if by_role[TEACHER] == by_role[STUDENT]:
        return f"Both say {by_role[STUDENT]}."
    return f"They differ: the teacher says {by_role[TEACHER]}, the student {by_role[STUDENT]}."


def _format_answer(contest: Contest, answer: Answer) -> str:
    if contest.translates:
        return f"<b>{escape(answer.text or '')}</b>"
    if contest.kind == REGRESSION:
        return f"<b>{answer.scores[0]:.3f}</b>"
    chosen = chosen_labels(contest.kind, contest.labels, answer)
    more = f" and {len(chosen) - _MOST_LABELS} more" if len(chosen) > _MOST_LABELS else ""
    named = ", ".join(f"<b>{escape(label)}</b>" for label in chosen[:_MOST_LABELS])
    return f"{named}{more}" if chosen else f"<b>no label</b> (none above {THRESHOLD:.0%})"


def _how(contest: Contest, comparison: Comparison) -> str:
    """How fast, and how that was measured."""
    import torch

    where = contest.student.model.device.type
    threads = torch.get_num_threads()
    place = f"CPU, {counted(threads, 'thread')}" if where == "cpu" else where.upper()
    calls = f"the median of {comparison.calls} calls" if comparison.calls > 1 else "one call"
    how = f"{calls} after a warm-up, tokenizing included; {place}"
    if contest.translates:
        how += ", greedy search" if contest.num_beams == 1 else f", {contest.num_beams} beams"
    ratio = comparison.speed_up
    if ratio is None:
        return f"Time: {how}."
    if 0.95 < ratio < 1.05:
        faster = "as fast as"
    else:
        faster = f"{ratio:.1f} times as fast as" if ratio > 1 else f"{1 / ratio:.1f} times slower than"
    return f"The student is <b>{faster}</b> the teacher ({how})."


def _card(contest: Contest, who: DemoModel, answer: Answer) -> str:
    head = f'<div class="tb-head"><span class="tb-who">{who.role}</span>'
    head += f'<span class="tb-time">{_milliseconds(answer.milliseconds)}</span></div>'
    head += f'<div class="tb-size">{escape(size_of(who))}</div>'
    if contest.translates:
        written = escape(answer.text) if answer.text else '<span class="tb-more">(nothing)</span>'
        body = f'<div class="tb-text">{written}</div>'
    elif contest.kind == REGRESSION:
        body = f'<div class="tb-number">{answer.scores[0]:.3f}</div>'
    else:
        body = "".join(_bars(contest, answer))
    return f'<div class="tb-card" data-role="{who.role}">{head}{body}</div>'


def _bars(contest: Contest, answer: Answer) -> Iterator[str]:
    """A bar for each label; of many only the most probable."""
    chosen = chosen_labels(contest.kind, contest.labels, answer)
    above = sum(score > THRESHOLD for score in answer.scores) if contest.kind == MULTI_LABEL else 0
    order: Sequence[int] = range(len(contest.labels))
    if len(order) > _MOST_LABELS:  # whatever is said is shown
        order = sorted(order, key=lambda index: -answer.scores[index])[: max(_MOST_LABELS, above)]
    for index in order:
        label, score = contest.labels[index], answer.scores[index]
        name = f'<span>{escape(label)}</span><span class="tb-percent">{score:.1%}</span>'
        yield f'<div class="tb-row"><div class="tb-name{" tb-chosen" if label in chosen else ""}">{name}</div>'
        yield f'<div class="tb-bar"><div style="width: {100 * score:.1f}%"></div></div></div>'
    if len(order) < len(contest.labels):
        left = counted(len(contest.labels) - len(order), "less probable label")
        yield f'<div class="tb-row tb-more">and {left}</div>'


def _notes(contest: Contest, comparison: Comparison) -> Iterator[str]:
    answered = list(zip(contest.models, comparison.answers, strict=True))
    limits = [f"the {who.role} reads {who.limit or 'fewer'} tokens" for who, answer in answered if answer.truncated]
    if limits:
        yield f"The text is too long: {', '.join(limits)}. Only its beginning was read."
    for who, answer in answered:
        if answer.cut_off:
            yield f"The {who.role}'s translation did not come to an end and was cut off."


def _milliseconds(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"


# The page: boxes, examples, a button, and the answers below.

_CSS = (
    STYLE
    + """
.gradio-container { max-width: 900px !important; margin: 0 auto !important; }
#answers, #answers .html-container, #notes, #notes .html-container { padding: 0 !important; }
.gradio-container .prose { overflow-wrap: anywhere; }
"""
)


def check_gradio() -> None:
    """Refuses to go on without gradio, before anything slow is done.

    Raises:
        TinyBertError: it is not installed.
    """
    if find_spec("gradio") is None:
        raise TinyBertError('The page needs gradio, which is not installed: pip install "tinybert_hf[demo]"')


def answer_html(contest: Contest, text: str, text_pair: str | None = None) -> str:
    """What the page shows after the button was pressed: the answers, or why there are none.

    Args:
        contest: from `open_contest`.
        text: of the first box.
        text_pair: of the second box, where there is one.
    """
    try:
        return comparison_html(contest, compare(contest, text, text_pair))
    except EmptyTextError as error:
        return note_html(str(error))
    except TinyBertError as error:
        return note_html(f"This text cannot be answered: {error}")


def build_page(contest: Contest) -> gradio.Blocks:
    """Makes the page; nothing is served yet.

    Args:
        contest: from `open_contest`.

    Raises:
        TinyBertError: gradio is not installed.
    """
    gr = import_gradio()
    with gr.Blocks(title=_title(contest), analytics_enabled=False) as page:
        gr.Markdown(f"# {_title(contest)}\n\n{_introduction(contest)}")
        if contest.notes:
            gr.HTML("".join(note_html(note) for note in contest.notes), elem_id="notes")
        labels = ("First text", "Second text") if contest.pairs else ("Text",)
        boxes = [gr.Textbox(label=label, lines=2, max_lines=8, elem_id=f"text-{i}") for i, label in enumerate(labels)]
        button = gr.Button("Translate" if contest.translates else "Compare" if contest.teacher else "Answer",
                           variant="primary", elem_id="run")  # fmt: skip
        # Made here, so that the examples know it; shown below them.
        result = gr.HTML(elem_id="answers", render=False)

        def show(*texts: str) -> str:
            return answer_html(contest, *texts)

        examples = examples_for(contest.facts, translator=contest.translates, pairs=contest.pairs)
        gr.Examples([list(one) for one in examples], boxes, result, show, cache_examples=False, run_on_click=True)
        result.render()
        # One at a time: two at once would slow each other down, and the times would say so.
        gr.on(
            [button.click, *(box.submit for box in boxes)], show, boxes, result, concurrency_limit=1, api_name="answer"
        )
    return page


def launch_options() -> dict[str, Any]:
    """How the page is shown: no font, script or statistics from elsewhere."""
    gr = import_gradio()
    theme = gr.themes.Default(
        primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    return {"theme": theme, "css": _CSS, "share": False, "footer_links": [], "ssr_mode": False, "quiet": True}


def import_gradio() -> Any:
    """Gradio, with its statistics switched off before it is imported.

    Raises:
        TinyBertError: it is not installed.
    """
    check_gradio()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import gradio
    return gradio


def _title(contest: Contest) -> str:
    return "Teacher and student" if contest.teacher is not None else "The student"


def _introduction(contest: Contest) -> str:
    alone = contest.teacher is None
    if contest.translates:
        return "Type a text: the translation of " + ("the student" if alone else "each") + ", and how long it takes."
    what = "number" if contest.kind == REGRESSION else "labels"
    given = "two texts" if contest.pairs else "a text"
    return f"Type {given}: the {what} that {'the student gives' if alone else 'each gives'}, and how long it takes."


# Serves the page until it is interrupted.

_PAUSE = 0.5  # seconds


def check_address(host: str, port: int) -> None:
    """Refuses an address that cannot be served, before models are opened for it.

    Raises:
        TinyBertError: the port is in use or needs rights, or the host is none of this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a page that has just ended is no reason
            probe.bind(address)
    except socket.gaierror as error:
        raise TinyBertError(f"--host {host} is no address: {error.strerror}. Take 127.0.0.1 or 0.0.0.0.") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise TinyBertError(f"Port {port} of {host} is in use; choose another with --port.") from error
        if error.errno == errno.EACCES:
            raise TinyBertError(f"Port {port} needs the rights of root; choose one above 1023 with --port.") from error
        raise TinyBertError(
            f"--host {host} cannot be served ({error.strerror}): it is no address of this machine. Take 127.0.0.1, "
            "or 0.0.0.0 for all of them."
        ) from error


def serve(contest: Contest, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serves the page; does not return, but for an exception such as KeyboardInterrupt.

    Args:
        contest: from `open_contest`.
        host: address to listen at.
        port: likewise.
        ready: called with the URL when the page answers.

    Raises:
        TinyBertError: gradio is not installed, or the address was taken meanwhile.
    """
    page = build_page(contest)
    try:
        try:
            page.launch(server_name=host, server_port=port, prevent_thread_lock=True, **launch_options())
        except OSError as error:
            raise TinyBertError(f"Port {port} of {host} cannot be served: {error}") from error
        ready(page.local_url)
        while True:
            time.sleep(_PAUSE)
    finally:
        page.close(verbose=False)
