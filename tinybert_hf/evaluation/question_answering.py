"""Answers found in a model's output, their scores, and the file that holds them."""

import json
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints.integrity import write_atomically
from tinybert_hf.data.question_answering import ENDS, EXAMPLE, FIRST, NO_ANSWER, STARTS
from tinybert_hf.data.tokenizers import is_of_spaced_word
from tinybert_hf.errors import TinyBertError

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from numpy.typing import NDArray
    from transformers import EvalPrediction

    from tinybert_hf.data import TaskData

    Numbers = NDArray[np.floating[Any]]


# How near an answer is to those that count as right: exact match and F1 over words, as SQuAD defines them.

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalized(answer: str) -> str:
    """Lower case, without punctuation (of ASCII) and English articles, single spaces between the words.

    Source:
        Rajpurkar et al. 2016, SQuAD, section 6.1.
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(answer: str, right: Sequence[str]) -> float:
    """1 where the answer is one of the right ones after normalising.

    Args:
        answer: of a model; empty: it says that there is none.
        right: each of these counts; none: there is no answer.
    """
    return float(normalized(answer) in {normalized(one) for one in _that_count(right)})


def f1_score(answer: str, right: Sequence[str]) -> float:
    """The harmonic mean of the shares of common words, towards the right answer for which it is the highest.

    Args:
        answer: of a model; empty: it says that there is none.
        right: each of these counts; none: there is no answer.
    """
    return max(_f1(normalized(answer).split(), normalized(one).split()) for one in _that_count(right))


def _that_count(right: Sequence[str]) -> Sequence[str]:
    """Those of which a word is left; of a question without an answer, the empty one."""
    return [one for one in right if normalized(one)] or [""]


def _f1(answer: list[str], right: list[str]) -> float:
    if not answer or not right:
        return float(answer == right)
    common = sum((Counter(answer) & Counter(right)).values())
    return 2 * common / (len(answer) + len(right))


# From start and end logits to answers, and from answers to their metrics.

MAX_ANSWER_TOKENS = 30
"""A longer span is no answer; as in the published scripts."""


@dataclass(frozen=True)
class FoundAnswer:
    """The best span of a context.

    Attributes:
        text: as it stands in the context; empty where there is no span.
        start: its first character.
        end: the character after its last.
        score: start logit plus end logit, the highest of all windows.
        no_answer_score: the same of the token that says "no answer", the lowest of all windows.
    """

    text: str = ""
    start: int = 0
    end: int = 0
    score: float = float("-inf")
    no_answer_score: float = float("inf")

    @property
    def doubt(self) -> float:
        """How much more the model is for no answer than for this one."""
        return self.no_answer_score - self.score


def find_answers(logits: Sequence["Numbers"], windows: "Dataset", contexts: Sequence[str]) -> list[FoundAnswer]:
    """The best answer to each question, out of all windows of its context.

    Every span of up to `MAX_ANSWER_TOKENS` tokens of the context is looked at, not only those between the best starts
    and the best ends. It begins at the first piece of a word and ends at the last of one; where a script writes no
    spaces, each token may begin or end it. Only where no window has a whole word an answer may be a part of one.

    Args:
        logits: of each window (L, 2), without padding: from `predicted_logits`.
        windows: from the task's `tokenize`.
        contexts: by the windows' `example`.
    """
    contexts = list(contexts)  # a column of a dataset reads its table anew each time
    best, parts = [FoundAnswer()] * len(contexts), [FoundAnswer()] * len(contexts)
    lowest = [float("inf")] * len(contexts)
    columns = [list(windows[name]) for name in (EXAMPLE, FIRST, NO_ANSWER, STARTS, ENDS)]
    for each, example, first, null, starts, ends in zip(logits, *columns, strict=True):
        own, context, among = each[first : first + len(starts)], contexts[example], best
        start, end, score = best_span(_at_words(own, context, starts, ends))
        if score == float("-inf"):
            among, (start, end, score) = parts, best_span(own)
        if score > among[example].score:
            place = starts[start], _with_marks(context, ends[end])
            among[example] = FoundAnswer(context[slice(*place)], *place, score)
        lowest[example] = min(lowest[example], float(each[null].sum()))
    found = (whole if whole.text else part for whole, part in zip(best, parts, strict=True))
    return [replace(one, no_answer_score=null) for one, null in zip(found, lowest, strict=True)]


def _at_words(logits: "Numbers", context: str, starts: Sequence[int], ends: Sequence[int]) -> "Numbers":
    """The logits without the starts and the ends that stand inside a word."""
    import numpy as np

    kept = logits.astype(np.float64)
    kept[[_inside_word(context, place) for place in starts], 0] = -np.inf
    kept[[_inside_word(context, _with_marks(context, place)) for place in ends], 1] = -np.inf
    return kept


def _inside_word(context: str, place: int) -> bool:
    """Whether the characters before and behind a place are of one word."""
    beside = context[place - 1 : place + 1] if place else ""
    return len(beside) == 2 and all(is_of_spaced_word(character) for character in beside)


def best_span(logits: "Numbers", max_tokens: int = MAX_ANSWER_TOKENS) -> tuple[int, int, float]:
    """First token, last token and score of the span with the highest sum of logits.

    Args:
        logits: of start and end, (L, 2).
        max_tokens: of a span.
    """
    import numpy as np

    beyond = np.full(max_tokens - 1, -np.inf)
    ends = np.lib.stride_tricks.sliding_window_view(
        np.concatenate([logits[:, 1].astype(np.float64), beyond]), max_tokens
    )
    sums = logits[:, :1].astype(np.float64) + ends  # (L, max_tokens): by first token and by length
    start, more = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(start), int(start + more), float(sums[start, more])


def chosen_texts(found: Sequence[FoundAnswer], *, may_be_none: bool) -> list[str]:
    """The answers that a model gives.

    Args:
        found: of each question.
        may_be_none: an answer that the model doubts becomes empty.
    """
    return ["" if may_be_none and one.doubt > 0 else one.text for one in found]


def has_unanswerable(raw: "Dataset") -> bool:
    """Whether the rows hold questions without an answer, as in SQuAD 2.0, so that a model may say so."""
    return any(not answers["text"] for answers in raw["answers"])


def answer_metrics(found: Sequence[FoundAnswer], raw: "Dataset") -> dict[str, float]:
    """Exact match and F1, and where some questions have no answer also the two apart and with the best threshold.

    Args:
        found: of each row.
        raw: the rows, with `answers`.

    Returns:
        f1 and exact_match, from 0 to 1. With unanswerable questions, where no answer is given if the model's doubt is
        above 0: f1_answerable, exact_match_answerable, f1_unanswerable (the share of those that were not answered);
        best_f1 and best_exact_match, the metrics at the thresholds of doubt that are the best for these rows, and
        best_f1_threshold.
    """
    import numpy as np

    right = [answers["text"] for answers in raw["answers"]]
    unanswerable = np.array([not texts for texts in right])
    texts = chosen_texts(found, may_be_none=bool(unanswerable.any()))
    scores = {
        "f1": np.array([f1_score(*pair) for pair in zip(texts, right, strict=True)]),
        "exact_match": np.array([exact_match(*pair) for pair in zip(texts, right, strict=True)]),
    }
    metrics = {name: float(each.mean()) for name, each in scores.items()}
    if not unanswerable.any():
        return metrics
    if not unanswerable.all():
        metrics |= {f"{name}_answerable": float(each[~unanswerable].mean()) for name, each in scores.items()}
    metrics["f1_unanswerable"] = float(scores["f1"][unanswerable].mean())
    doubts = np.array([one.doubt for one in found])
    for name, score in (("f1", f1_score), ("exact_match", exact_match)):
        answered = np.array([score(one.text, texts) for one, texts in zip(found, right, strict=True)])
        metrics[f"best_{name}"], threshold = _best_threshold(doubts, answered, unanswerable)
        if name == "f1":
            metrics["best_f1_threshold"] = threshold
    return metrics


def answer_metrics_for(windows: "Dataset", raw: "Dataset") -> "Callable[[EvalPrediction], dict[str, float]]":
    """Makes the `compute_metrics` of a Trainer for a model that answers questions.

    The answers are rebuilt from the logits of all windows, which come in their order.

    Args:
        windows: the evaluation rows of the trainer, from the task's `tokenize`.
        raw: the rows that they were made from.
    """

    def compute_metrics(outcome: "EvalPrediction") -> dict[str, float]:
        import numpy as np

        starts, ends = outcome.predictions[:2]  # (windows, L), padded behind
        logits = [np.stack(pair, axis=-1) for pair in zip(starts, ends, strict=True)]
        metrics = answer_metrics(find_answers(logits, windows, raw["context"]), raw)
        return {name: metrics[name] for name in ("exact_match", "f1")}

    return compute_metrics


class AnswerMetrics:
    """Of a model that answers questions; see `metrics.TaskMetrics`."""

    def names(self, problem_type: str, label_names: Sequence[str] = ()) -> tuple[str, ...]:
        """Names the metrics."""
        return "f1", "exact_match"

    def of(self, logits: Any, rows: "Dataset", raw: "Dataset", data: "TaskData") -> dict[str, Any]:
        """Counts them on labelled rows."""
        return dict(answer_metrics(find_answers(logits, rows, raw["context"]), raw))

    def in_training(self, rows: "Dataset", data: "TaskData") -> "Callable[[EvalPrediction], dict[str, float]]":
        """Makes the `compute_metrics` of a Trainer."""
        return answer_metrics_for(rows, data.part("validation"))

    def nothing_learnt(self, data: "TaskData", metrics: Mapping[str, Any], who: str) -> str | None:
        """What to say of a model that knows nothing."""
        return None if metrics["f1"] > 0 else f"{who} finds no answer, not even a part of one (f1 0)."


def _best_threshold(doubts: "Numbers", answered: "Numbers", unanswerable: Any) -> tuple[float, float]:
    """The highest mean score that a threshold of doubt can give, and that threshold.

    Args:
        doubts: by row; above the threshold no answer is given.
        answered: score of each row where it is answered.
        unanswerable: which rows are right without an answer.
    """
    import numpy as np

    order = np.argsort(doubts, kind="stable")
    sorted_doubts = doubts[order]
    gains = np.concatenate([[0.0], np.cumsum((answered - unanswerable)[order])])
    # Rows with the same doubt are answered together.
    allowed = np.concatenate([[True], np.append(sorted_doubts[1:] > sorted_doubts[:-1], True)])
    best = int(np.where(allowed, gains, -np.inf).argmax())
    threshold = float(sorted_doubts[best - 1]) if best else float(np.nextafter(sorted_doubts[0], -np.inf))
    return float((unanswerable.sum() + gains[best]) / len(doubts)), threshold


def _with_marks(context: str, end: int) -> int:
    """The end, moved behind the marks that belong to the last letter: a tokenizer that removes accents skips them."""
    while end < len(context) and unicodedata.combining(context[end]):
        end += 1
    return end


# The answers of a model as a file.

_SUFFIXES = (".json", ".jsonl")


def check_answer_file(path: Path) -> None:
    """Refuse a place where no such file can be written, before anything is computed.

    Raises:
        TinyBertError: naming it.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise TinyBertError(f"{path}: give a file that ends in {' or '.join(_SUFFIXES)} (--predictions).")
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"cannot be written: {path.parent} is no folder"
        raise TinyBertError(f"{path} {what}. Give the name of a file in a folder that is there (--predictions).")


def write_answers(path: Path, found: Sequence[FoundAnswer], raw: "Dataset") -> None:
    """Write the answer to each question.

    Args:
        path: .json: id -> answer, as SQuAD's own evaluation reads it. .jsonl: a line a question, with the right
            answers and the metrics.
        found: of each row.
        raw: the rows.
    """
    texts = chosen_texts(found, may_be_none=has_unanswerable(raw))
    if path.suffix.lower() == ".json":
        content = json.dumps(dict(zip(raw["id"], texts, strict=True)), ensure_ascii=False, indent=1) + "\n"
    else:
        content = "".join(_line(*row) for row in zip(raw, texts, found, strict=True))  # type: ignore[arg-type]
    write_atomically(path, content)


def _line(row: dict[str, object], text: str, found: FoundAnswer) -> str:
    right: list[str] = row["answers"]["text"]  # type: ignore[index]
    said = {
        "id": row["id"],
        "question": row["question"],
        "prediction": text,
        "answers": right,
        "exact_match": exact_match(text, right),
        "f1": f1_score(text, right),
    }
    doubt = found.doubt if found.doubt < float("inf") else None
    return json.dumps({**said, "doubt": doubt}, ensure_ascii=False) + "\n"
