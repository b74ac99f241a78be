"""Questions whose answer is a part of a text, as in SQuAD 1.1 and 2.0."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.answers import ABSENT, checked_answers
from tinybert_hf.data.files import read_file
from tinybert_hf.data.hub import read_hub
from tinybert_hf.data.raw_rows import RawRows, check_texts, columns_named_by
from tinybert_hf.data.settings import QUESTION_ANSWERING, DataSettings
from tinybert_hf.data.squad_files import read_squad_file
from tinybert_hf.data.tasks.base import TaskData, add_tokenizing_notes, dataset_of
from tinybert_hf.data.windows import ENDS, EXAMPLE, FIRST, NO_ANSWER, STARTS, WindowMaker, answer_span
from tinybert_hf.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, Features

_ID = "id"


class QuestionAnsweringTask:
    """Rows with a question, a context and the answers, which are parts of the context."""

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
    split = settings.train_split if part == "train" else settings.validation_split
    max_rows = settings.max_train_rows if part == "train" else settings.max_validation_rows
    columns = (settings.question_column, settings.context_column, settings.answers_column)
    if file is not None:
        return read_squad_file(str(file), columns, max_rows) or _with_ids(
            lambda more: read_file(str(file), (*more, *columns), max_rows)
        )
    if settings.train_file or settings.validation_file or not settings.dataset:
        raise DataError(
            f"There are no {part} rows: {part}_file (--{part}-file) is not given"
            + (f", and dataset {settings.dataset!r} is not used once a file is given." if settings.dataset else ".")
        )
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
