"""A question with a long context as several windows that a model can read."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tinybert_hf.data.answers import ABSENT
from tinybert_hf.errors import DataError
from tinybert_hf.wording import counted

LEAST_ROOM = 8
"""Tokens of the context that a window must have room for, besides the question."""
# What a window says besides the model's inputs.
EXAMPLE, STARTS, ENDS, FIRST, NO_ANSWER = "example", "context_starts", "context_ends", "first_context", "no_answer_at"


@dataclass
class WindowFindings:
    """What was found while windows were made.

    Attributes:
        rows: that were looked at.
        windows: that were made.
        without_context: rows whose context has no token: they have no window.
        long_questions: rows whose question leaves no room for a context: they have no window.
        without_answer: windows that hold none, or a part only, of the answer of their row.
        never_whole: rows with an answer that no window holds as a whole.
    """

    rows: int = 0
    windows: int = 0
    without_context: int = 0
    long_questions: int = 0
    without_answer: int = 0
    never_whole: int = 0

    def notes(self, max_length: int, doc_stride: int) -> Iterator[str]:
        """What a user should know, a sentence each."""
        if self.windows > self.rows - self.without_context - self.long_questions:
            asked = counted(self.rows, "question is", "questions are")
            yield (
                f"{asked} read in {counted(self.windows, 'window')} of up to {max_length} tokens; "
                f"neighbours share {doc_stride} tokens of the context."
            )
        if self.without_answer:
            yield (
                f"{self.without_answer:,} of {self.windows:,} windows do not hold the whole answer of their question; "
                "as labels they say that there is none (their first token)."
            )
        if self.never_whole:
            yield (
                f"{counted(self.never_whole, 'answer is', 'answers are')} in no window as a whole, and still counted "
                "where the model is measured. Raise max_length or doc_stride."
            )
        if self.long_questions:
            yield (
                f"{self.long_questions:,} of {self.rows:,} questions leave no room for {LEAST_ROOM} tokens of a "
                f"context in {max_length}: nothing is learned from them, and measuring takes them as not answered. "
                "Raise max_length."
            )
        if self.without_context:
            yield (
                f"{self.without_context:,} of {self.rows:,} contexts are empty: nothing is learned from them, and "
                "measuring takes their questions as not answered."
            )


class WindowMaker:
    """Cuts contexts into windows, as `DataSettings` say."""

    def __init__(self, tokenizer: Any, max_length: int, doc_stride: int) -> None:
        """Check the tokenizer.

        Args:
            tokenizer: of the model.
            max_length: tokens of a window, the question included.
            doc_stride: tokens of the context that neighbours share; at most half of a window's context.

        Raises:
            DataError: a tokenizer that does not say which characters a token stands for.
        """
        if not getattr(tokenizer, "is_fast", False):
            raise DataError(
                f"{type(tokenizer).__name__} does not say which characters a token stands for, so answers cannot be "
                "found in a text. Take the fast tokenizer of the model (a folder with tokenizer.json)."
            )
        self.tokenizer, self.max_length, self.doc_stride = tokenizer, max_length, doc_stride
        # As models are trained and used everywhere: the side that is padded is that of the context.
        self.question_first = tokenizer.padding_side == "right"
        self.found = WindowFindings()

    def windows(
        self, questions: Sequence[str], contexts: Sequence[str], spans: Sequence[tuple[int, int] | None]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """The windows of some rows.

        Args:
            questions: of the rows.
            contexts: of the rows.
            spans: first character of the answer, and the one after its last; None for a question without an answer.

        Returns:
            The row's place among these, and for each of its windows: what the tokenizer gives, `start_positions` and
            `end_positions` (both `no_answer_at` where the window does not hold the whole answer), `no_answer_at`,
            `first_context` (a token), and the first character and the one after the last of each token of the context.
        """
        sides = (questions, contexts) if self.question_first else (contexts, questions)
        encoded = self.tokenizer(
            *(list(side) for side in sides), truncation=False, verbose=False, return_offsets_mapping=True
        )
        names = [name for name in encoded if name in self.tokenizer.model_input_names]
        for row, span in enumerate(spans):
            self.found.rows += 1
            columns = {name: encoded[name][row] for name in names}
            sequence = 1 if self.question_first else 0
            whose = encoded.sequence_ids(row)
            count = whose.count(sequence)
            if not count:
                self.found.without_context += 1
                continue
            first = whose.index(sequence)
            room = self.max_length - (len(whose) - count)
            if room < min(count, LEAST_ROOM):
                self.found.long_questions += 1
                continue
            offsets = encoded["offset_mapping"][row][first : first + count]
            yield from ((row, one) for one in self._of_row(columns, first, count, room, offsets, span))

    def _of_row(
        self,
        columns: dict[str, list[int]],
        first: int,
        count: int,
        room: int,
        offsets: list[tuple[int, int]],
        span: tuple[int, int] | None,
    ) -> Iterator[dict[str, Any]]:
        starts, ends = [start for start, _ in offsets], [end for _, end in offsets]
        answer = _tokens_of(span, starts, ends)
        step, whole = room - min(self.doc_stride, room // 2), False
        for begin in range(0, max(1, count - room + step), step):
            end = min(begin + room, count)
            window: dict[str, Any] = {
                name: values[:first] + values[first + begin : first + end] + values[first + count :]
                for name, values in columns.items()
            }
            null = self._no_answer_at(window["input_ids"])
            inside = answer is not None and begin <= answer[0] and answer[1] < end
            whole = whole or inside
            self.found.windows += 1
            self.found.without_answer += span is not None and not inside
            places = (null, null)
            if answer is not None and inside:
                places = (first + answer[0] - begin, first + answer[1] - begin)
            window |= {"start_positions": places[0], "end_positions": places[1], "length": len(window["input_ids"])}
            yield window | {NO_ANSWER: null, FIRST: first, STARTS: starts[begin:end], ENDS: ends[begin:end]}
        self.found.never_whole += span is not None and not whole

    def _no_answer_at(self, ids: list[int]) -> int:
        """Where a model points to say that there is no answer: [CLS], or the first token."""
        cls = self.tokenizer.cls_token_id
        return ids.index(cls) if cls is not None and cls in ids else 0


def answer_span(answers: dict[str, list[Any]]) -> tuple[int, int] | None:
    """The characters of the first answer that is in its context."""
    for text, start in zip(answers["text"], answers["answer_start"], strict=True):
        if start != ABSENT:
            return start, start + len(text)
    return None


def _tokens_of(span: tuple[int, int] | None, starts: list[int], ends: list[int]) -> tuple[int, int] | None:
    """The first and the last token that share a character with the answer."""
    if span is None:
        return None
    first, last = bisect_right(ends, span[0]), bisect_left(starts, span[1]) - 1
    return (first, last) if first <= last else None
