"""Asks the contestants for their answers, and how long each takes. Knows nothing of a page."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tinybert_hf.data.generation import translate_texts
from tinybert_hf.data.settings import MULTI_LABEL, REGRESSION
from tinybert_hf.demonstration.contestants import TRANSLATION, Contest, Contestant
from tinybert_hf.errors import TinyBertError

T = TypeVar("T")

CALLS = 15
THRESHOLD = 0.5
# A reader waits: seconds after which some calls are enough, and after which one is.
_ENOUGH_CALLS = 3
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
    """The answers of all contestants to one text.

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
    """Asks every contestant.

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
    tasks = [_task(contest, one, texts) for one in contest.contestants]
    answers, times = measure(tasks, calls)
    timed = [
        replace(answer, milliseconds=1000 * statistics.median(seconds))
        for answer, seconds in zip(answers, times, strict=True)
    ]
    return Comparison(tuple(timed), len(times[0]))


def measure(
    tasks: Sequence[Callable[[], T]],
    calls: int = CALLS,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[T], list[list[float]]]:
    """Times tasks against each other.

    Every task is called once to warm up. Then each round calls each once, so that a change in the machine's load hits
    all of them. After 2 seconds 3 rounds are enough, after 8 one is.

    Args:
        tasks: what to call.
        calls: rounds at most.
        clock: seconds.

    Returns:
        What each task gave, and the times of its calls in seconds.
    """
    begin = clock()
    results = [task() for task in tasks]
    times: list[list[float]] = [[] for _ in tasks]
    for number in range(calls):
        if number and clock() - begin > (_SECONDS if number >= _ENOUGH_CALLS else _MOST_SECONDS):
            break
        for task, own in zip(tasks, times, strict=True):
            start = clock()
            task()
            own.append(clock() - start)
    return results, times


def chosen_labels(kind: str, labels: Sequence[str], answer: Answer) -> tuple[str, ...]:
    """The labels that an answer says: the most probable one, or of several all above one half.

    Args:
        kind: of the contest.
        labels: of the contest.
        answer: of one contestant.
    """
    if kind == MULTI_LABEL:
        return tuple(label for label, score in zip(labels, answer.scores, strict=True) if score > THRESHOLD)
    return (labels[max(range(len(labels)), key=lambda index: answer.scores[index])],)


def _clean(text: str) -> str:
    """Half of a surrogate pair, which a browser may send, is no text to a tokenizer."""
    return str(text or "").encode("utf-8", "replace").decode("utf-8").strip()


def _task(contest: Contest, contestant: Contestant, texts: Sequence[str]) -> Callable[[], Answer]:
    shortened = [text[:_CHARACTERS] for text in texts]
    cut = any(len(text) > _CHARACTERS for text in texts)
    if contest.kind == TRANSLATION:
        return lambda: _translation(contestant, shortened[0], contest.beams, cut)
    whole = contestant.tokenizer(*shortened, verbose=False)["input_ids"]
    cut = cut or (contestant.limit is not None and len(whole) > contestant.limit)
    return lambda: _classification(contestant, shortened, contest.kind, cut)


def _translation(contestant: Contestant, text: str, beams: int, cut: bool) -> Answer:
    made = translate_texts(contestant.model, contestant.tokenizer, [text], beams=beams, prefix=contestant.prefix)
    return Answer(contestant.role, (), made.best[0], cut or made.truncated[0], made.cut_off[0][0])


def _classification(contestant: Contestant, texts: Sequence[str], kind: str, cut: bool) -> Answer:
    import torch

    options: dict[str, Any] = {} if contestant.limit is None else {"truncation": True, "max_length": contestant.limit}
    batch = contestant.tokenizer(*texts, return_tensors="pt", **options).to(contestant.model.device)
    with torch.inference_mode():
        logits = contestant.model(**batch).logits[0].float()
    if kind == MULTI_LABEL:
        logits = logits.sigmoid()
    elif kind != REGRESSION:
        logits = logits.softmax(-1)
    scores = logits.tolist()
    return Answer(contestant.role, tuple(scores[index] for index in contestant.order), truncated=cut)
