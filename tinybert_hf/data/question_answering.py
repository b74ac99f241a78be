"""Questions whose answer is a part of a text, as in SQuAD 1.1 and 2.0."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.files import absent, read_file, read_hub, read_squad_file
from tinybert_hf.data.raw_rows import RawRows, check_texts, columns_named_by
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.data.tasks import TaskData, add_tokenizing_notes, dataset_of, holds_out
from tinybert_hf.errors import DataError
from tinybert_hf.messages import counted
from tinybert_hf.tasks import QUESTION_ANSWERING

if TYPE_CHECKING:
    from datasets import Dataset, Features


# The answers of a question, and where they stand in their context.

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


# A question with a long context as several windows that a model can read.

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


_ID = "id"


class QuestionAnsweringTask:
    """Rows with a question, a context and the answers, which are parts of the context."""

    @holds_out
    def load(
        self,
        settings: DataSettings,
        *,
        need_train: bool = True,
        need_validation: bool = True,
        label_names: Sequence[str] | None = None,
    ) -> TaskData:
        """Reads and checks the rows.

        Args:
            settings: where the rows are.
            need_train: read the train split.
            need_validation: read the validation split.
            label_names: not used: an answer is no label.

        Returns:
            Columns id, question, context and answers: {"text": [...], "answer_start": [...]}, both empty where there
            is none. Train rows of whose answers none is in the context are left out; validation rows are all kept.
            The notes count both, and what else is odd.

        Raises:
            DataError: anything about the rows that cannot be used, with its place; a split of which nothing is left.
        """
        parts = [part for part, needed in (("train", need_train), ("validation", need_validation)) if needed]
        if not parts:
            raise ValueError("load was asked for neither train nor validation rows.")
        ready, notes = {}, []
        for part in parts:
            rows, said = _checked(_read(settings, part), settings, part)
            ready[part] = _dataset(rows)
            notes += said
        return TaskData(ready.get("train"), ready.get("validation"), (), QUESTION_ANSWERING, tuple(notes))

    def tokenize(self, rows: "Dataset", tokenizer: Any, settings: DataSettings) -> "Dataset":
        """Turns checked rows into windows that a model takes.

        A question is never cut, and stands in each window of its row.

        Args:
            rows: from `load`.
            tokenizer: of the model; its own length limit holds too.
            settings: say how long a window is, and how many tokens neighbours share.

        Returns:
            One row a window, see `WindowMaker.windows`, with `example`, the place of its question among `rows`.
            `tokenizing_notes` says how many windows there are and what they lack. In memory: nothing is written
            beside the user's data or into a cache.

        Raises:
            DataError: a tokenizer that does not say which characters its tokens stand for, or no window at all.
        """
        from datasets.fingerprint import generate_random_fingerprint

        length = min(settings.max_length, tokenizer.model_max_length)
        stride = length // 3 if settings.doc_stride is None else settings.doc_stride
        maker = WindowMaker(tokenizer, length, stride)

        def encode(batch: dict[str, list[Any]], places: list[int]) -> dict[str, list[Any]]:
            spans = [answer_span(answers) for answers in batch["answers"]]
            made: dict[str, list[Any]] = {name: [] for name in features}
            for row, window in maker.windows(batch["question"], batch["context"], spans):
                for name, value in {**window, EXAMPLE: places[row]}.items():
                    made[name].append(value)
            return made

        features = _window_features(maker, rows)
        ready = rows.map(
            encode,
            batched=True,
            with_indices=True,
            features=features,
            remove_columns=rows.column_names,
            keep_in_memory=True,
            load_from_cache_file=False,
            new_fingerprint=generate_random_fingerprint(),
            desc="Tokenizing",
        )
        notes = list(maker.found.notes(length, stride))
        if not len(ready):
            raise DataError(f"No question can be read: {' '.join(notes)}")
        add_tokenizing_notes(ready, notes)
        return ready


@columns_named_by(
    "The columns are question, context and answers, unless a recipe names others: data.question_column and so on."
)
def _read(settings: DataSettings, part: str) -> RawRows:
    file = settings.train_file if part == "train" else settings.validation_file
    split = settings.train_split if part == "train" else str(settings.validation_split)
    max_rows = settings.max_train_rows if part == "train" else settings.max_validation_rows
    columns = (settings.question_column, settings.context_column, settings.answers_column)
    if file is not None:
        return read_squad_file(str(file), columns, max_rows) or _with_ids(
            lambda more: read_file(str(file), (*more, *columns), max_rows)
        )
    if settings.train_file or settings.validation_file or not settings.dataset:
        raise DataError(absent(part, settings))
    dataset = settings.dataset
    return _with_ids(lambda more: read_hub(dataset, settings.dataset_config, split, (*more, *columns), max_rows))


def _with_ids(read: Callable[[tuple[str, ...]], RawRows]) -> RawRows:
    """The rows with their ids where they have any; without, the message of what is wrong."""
    try:
        return read((_ID,))
    except DataError:
        return read(())


def _checked(table: RawRows, settings: DataSettings, part: str) -> tuple[dict[str, list[Any]], list[str]]:
    questions = check_texts(table, settings.question_column)
    contexts = check_texts(table, settings.context_column)
    answers, found = checked_answers(table, settings.answers_column, contexts)
    notes = list(found.notes(table))
    given = table.columns.get(_ID, [None] * len(table))
    ids = [str(row if value is None else value) for row, value in enumerate(given)]
    kept = list(range(len(table)))
    if part == "train":
        kept = [row for row in kept if not answers[row]["text"] or set(answers[row]["answer_start"]) != {ABSENT}]
        if len(kept) < len(table):
            notes.append(
                f"{len(table) - len(kept):,} of {len(table):,} rows in {table.source} are left out of training, "
                "because none of their answers is in the context."
            )
    elif found.absent:
        notes.append(f"These rows of {table.source} are kept: an answer is compared as a text.")
    if not kept:
        raise DataError(
            f"{table.source}: none of the answers is in its context, so no row is left. Are "
            f"{settings.context_column!r} and {settings.answers_column!r} the columns of the text and its answers?"
        )
    notes += _blank_notes(table, settings.question_column, questions)
    rows: dict[str, list[Any]] = {"id": ids, "question": questions, "context": contexts, "answers": answers}
    return {name: [values[row] for row in kept] for name, values in rows.items()}, notes


def _blank_notes(table: RawRows, column: str, texts: Sequence[str]) -> Iterator[str]:
    blank = [row for row, text in enumerate(texts) if not text.strip()]
    if blank:
        yield (
            f"{len(blank):,} of {len(texts):,} questions in {table.source} are empty; the first: "
            f"{table.place(blank[0])}, column {column!r}."
        )


def _dataset(rows: dict[str, list[Any]]) -> "Dataset":
    from datasets import Features, List, Value

    answers = {"text": List(Value("string")), "answer_start": List(Value("int32"))}
    texts = {name: Value("string") for name in ("id", "question", "context")}
    return dataset_of(rows, Features({**texts, "answers": answers}))


def _window_features(maker: WindowMaker, rows: "Dataset") -> "Features":
    """Small whole numbers: there are more of them than of anything else."""
    from datasets import Features, List, Value

    names = [name for name in maker.tokenizer("a", "b") if name in maker.tokenizer.model_input_names]
    numbers = ("start_positions", "end_positions", "length", NO_ANSWER, FIRST, EXAMPLE)
    lists = {name: List(Value("int32")) for name in (*names, STARTS, ENDS)}
    return Features({**lists, **{name: Value("int32") for name in numbers}})
