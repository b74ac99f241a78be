"""The answers of a question, and where they stand in their context."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinybert_hf.data.raw_rows import RawRows

ABSENT = -1
"""The start of an answer that is not in its context."""
_FORM = 'Write {"text": ["1066"], "answer_start": [17]}, or empty lists for a question without an answer.'


@dataclass
class AnswerFindings:
    """What was found while the answers of a file were looked at.

    Attributes:
        answers: how many there are.
        unanswerable: rows without an answer.
        moved: (row, answer) that stood at another place than was said, and at one only.
        absent: (row, answer) that cannot be found.
    """

    answers: int = 0
    unanswerable: int = 0
    moved: list[tuple[int, str]] = field(default_factory=list)
    absent: list[tuple[int, str]] = field(default_factory=list)

    def notes(self, table: RawRows) -> Iterator[str]:
        """What a user should know, a sentence each."""
        if self.unanswerable:
            yield f"{self.unanswerable:,} of {len(table):,} questions in {table.source} have no answer."
        if self.moved:
            yield (
                f"{len(self.moved):,} of {self.answers:,} answers in {table.source} do not stand where answer_start "
                f"says, but at one other place of their context, which is taken; the first: "
                f"{_shown(table, self.moved)}"
            )
        if self.absent:
            yield (
                f"{len(self.absent):,} of {self.answers:,} answers in {table.source} are not in their context, or at "
                f"several places and none of them the one that answer_start says; the first: "
                f"{_shown(table, self.absent)}"
            )


def checked_answers(
    table: RawRows, column: str, contexts: Sequence[str]
) -> tuple[list[dict[str, list[Any]]], AnswerFindings]:
    """Look at the answers of every row.

    An answer that does not stand where it should is looked for: where its context holds it once, that place is taken.

    Args:
        table: as it was read.
        column: of the answers: {"text": [...], "answer_start": [...]}, or a list of dictionaries with one text
            and one answer_start each.
        contexts: of the rows.

    Returns:
        {"text": [...], "answer_start": [...]} of each row, without empty answers; `ABSENT` where an answer is not in
        its context.

    Raises:
        DataError: a value of another form, with its place.
    """
    found = AnswerFindings()
    checked: list[dict[str, list[Any]]] = []
    for row, (value, context) in enumerate(zip(table.columns[column], contexts, strict=True)):
        texts: list[str] = []
        starts: list[int] = []
        for text, said in _pairs(table, row, column, value):
            if not text.strip():
                continue  # how some data sets write that there is none
            start = _place(context, text, said)
            texts.append(text)
            starts.append(start)
            if start == ABSENT:
                found.absent.append((row, text))
            elif said is not None and start != said:
                found.moved.append((row, text))
        found.answers += len(texts)
        found.unanswerable += not texts
        checked.append({"text": texts, "answer_start": starts})
    return checked, found


def _place(context: str, text: str, said: int | None) -> int:
    if said is not None and said >= 0 and context.startswith(text, said):
        return said
    first = context.find(text)
    return first if first >= 0 and context.find(text, first + 1) < 0 else ABSENT


def _pairs(table: RawRows, row: int, column: str, value: Any) -> Iterator[tuple[str, int | None]]:
    if isinstance(value, str):
        try:
            value = json.loads(value)  # a cell of a CSV file
        except (ValueError, RecursionError):
            table.refuse(row, column, f"{value!r:.60} is not the answers of a question. {_FORM}")
    if value is None:
        value = {"text": [], "answer_start": []}
    if isinstance(value, list):
        if not all(isinstance(one, dict) and "text" in one for one in value):
            table.refuse(row, column, f"{value!r:.60} is not a list of answers. {_FORM}")
        value = {"text": [one["text"] for one in value], "answer_start": [one.get("answer_start") for one in value]}
    if not isinstance(value, dict) or not isinstance(value.get("text"), list):
        table.refuse(row, column, f"{value!r:.60} is not the answers of a question. {_FORM}")
    texts, starts = value["text"], value.get("answer_start")
    if starts is None:
        starts = [None] * len(texts)
    if not isinstance(starts, list) or len(starts) != len(texts):
        table.refuse(row, column, f"the number of texts is {len(texts)}, and answer_start is {starts!r:.60}. {_FORM}")
    for text, start in zip(texts, starts, strict=True):
        if not isinstance(text, str) or not (
            start is None or (isinstance(start, int) and not isinstance(start, bool))
        ):
            table.refuse(row, column, f"the answer {text!r:.60} with the start {start!r:.60} is none. {_FORM}")
        yield text, start


def _shown(table: RawRows, pairs: list[tuple[int, str]]) -> str:
    row, text = pairs[0]
    return f"{table.place(row)}, {text!r:.60}."
