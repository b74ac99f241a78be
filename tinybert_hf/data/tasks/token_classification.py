"""A label for each word of a row: named entities, parts of speech."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.bio import NO_LABEL, resolve_tags
from tinybert_hf.data.files import read_file
from tinybert_hf.data.hub import read_hub
from tinybert_hf.data.raw_rows import RawRows, columns_named_by
from tinybert_hf.data.settings import DEMO_SENTIMENT, DEMO_TRANSLATION, DataSettings
from tinybert_hf.data.tasks.base import TaskData, add_tokenizing_notes, dataset_of
from tinybert_hf.data.tasks.unlabelled import read_unlabelled
from tinybert_hf.data.word_windows import windows_of
from tinybert_hf.errors import DataError
from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from datasets import Dataset

TOKEN_CLASSIFICATION = "token-classification"
WORD_STARTS = "word_starts"
_SLICE = 1000  # rows that are tokenized at once


class TokenClassificationTask:
    """Rows with words and a tag for each."""

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
            label_names: labels of a trained model: tags are found among them by name. None where the data decides.

        Returns:
            Columns tokens, tags (names) and label (their ids; -100 for a tag that is not among the labels). Rows
            without words are left out of the train split. The notes count them, and say what is odd about the tags.

        Raises:
            DataError: anything about the rows that cannot be used, with its place.
        """
        parts = [part for part, needed in (("train", need_train), ("validation", need_validation)) if needed]
        if not parts:
            raise ValueError("load was asked for neither train nor validation rows.")
        tables = [_read(settings, part) for part in parts]
        for table in tables:
            _check_words(table, settings)
        found = resolve_tags(tables, settings, label_names)
        notes, ready = list(found.notes), {}
        for part, table, tags, ids in zip(parts, tables, found.tags, found.ids, strict=True):
            words = table.columns[settings.tokens_column]
            kept = [row for row, one in enumerate(words) if one]
            if len(kept) < len(words):
                what = "left out" if part == "train" else "kept, and have nothing to answer"
                notes.append(
                    f"{table.source}: {len(words) - len(kept):,} of {len(words):,} rows have no words: {what}."
                )
            rows = kept if part == "train" else range(len(words))
            ready[part] = _dataset(
                [words[row] for row in rows], [tags[row] for row in rows], [ids[row] for row in rows]
            )
        unlabelled = _unlabelled(settings, notes) if need_train and settings.unlabelled_file else None
        return TaskData(
            ready.get("train"),
            ready.get("validation"),
            found.names,
            TOKEN_CLASSIFICATION,
            tuple(notes),
            unlabelled=unlabelled,
        )

    def tokenize(self, rows: "Dataset", tokenizer: Any, settings: DataSettings) -> "Dataset":
        """Turns checked rows into what a model takes.

        The first piece of a word carries its tag. A row that is too long becomes several windows that overlap, so that
        every word is learnt from, and answered, once. A word that the tokenizer makes nothing of has no place.

        Args:
            rows: from `load`; without the column label they get no `labels`.
            tokenizer: of the model, a fast one; its own length limit holds too.
            settings: says how many tokens a window has.

        Returns:
            What the tokenizer gives, not padded, with `labels` (-100 but at first pieces), `word_starts` (1 at first
            pieces), `word_ids` (the word of each first piece, -1 elsewhere), `row` (whose words they are), `length`.
            `tokenizing_notes` counts windows and words without a piece.

        Raises:
            DataError: a tokenizer that cannot say which piece belongs to which word, or no room for a word.
        """
        from datasets import Dataset

        encoder = _Encoder(tokenizer, min(settings.max_length, tokenizer.model_max_length))
        words = list(rows["tokens"])
        labelled = "label" in rows.column_names
        labels = list(rows["label"]) if labelled else [[NO_LABEL] * len(row) for row in words]
        for start in range(0, len(words), _SLICE):
            encoder.add(start, words[start : start + _SLICE], labels[start : start + _SLICE])
        ready = Dataset.from_dict(
            {name: column for name, column in encoder.columns.items() if labelled or name != "labels"}
        )
        add_tokenizing_notes(ready, encoder.notes(len(words)))
        return ready


class _Encoder:
    """Makes windows of rows, and counts what is odd."""

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise DataError(
                f"{type(tokenizer).__name__} does not say which piece belongs to which word, so tags cannot be "
                "placed. Take a model with a fast tokenizer (tokenizer.json)."
            )
        if tokenizer("a a")["input_ids"] != tokenizer(["a", "a"], is_split_into_words=True)["input_ids"]:
            raise DataError(
                f"{type(tokenizer).__name__} sees the space before a word as part of it, and rows of words have none: "
                "the model would read other pieces than in a text. Save the model's tokenizer so: "
                "AutoTokenizer.from_pretrained(MODEL, add_prefix_space=True).save_pretrained(FOLDER)."
            )
        self.tokenizer, self.max_length = tokenizer, max_length
        self.room = max_length - tokenizer.num_special_tokens_to_add()
        if self.room < 1:
            raise DataError(f"max_length is {max_length}, which leaves no room for a word beside the special tokens.")
        self.columns: dict[str, list[Any]] = {}
        self.long = self.windows = self.silent = 0

    def add(self, start: int, words: list[list[str]], labels: list[list[int]]) -> None:
        """Encode some rows; the first is row number `start`."""
        encoded = self._encode(words, truncation=False, verbose=False)
        for number, (row, own) in enumerate(zip(words, labels, strict=True)):
            pieces = [0] * len(row)
            for word in encoded.word_ids(number):
                if word is not None:
                    pieces[word] += 1
            self.silent += pieces.count(0)
            if not any(pieces):
                continue
            spans = windows_of(pieces, self.room)
            self.long += len(spans) > 1
            self.windows += len(spans) if len(spans) > 1 else 0
            for span in spans:
                part, place = (encoded, number) if len(spans) == 1 else (self._window(row[span.start : span.end]), 0)
                own_words = range(span.first, span.last)
                self._keep(part, place, start + number, span.start, own_words, own)

    def _encode(self, words: list[list[str]], **options: Any) -> Any:
        return self.tokenizer(words, is_split_into_words=True, **options)

    def _window(self, words: list[str]) -> Any:
        return self._encode([words], truncation=True, max_length=self.max_length)

    def _keep(self, encoded: Any, place: int, row: int, first_word: int, answered: range, labels: list[int]) -> None:
        starts, before = [], None
        for word in encoded.word_ids(place):
            number = -1 if word is None or word == before else word + first_word
            starts.append(number if number in answered else -1)
            before = word
        columns = {name: values[place] for name, values in encoded.items()}
        columns |= {
            "labels": [NO_LABEL if word < 0 else labels[word] for word in starts],
            WORD_STARTS: [int(word >= 0) for word in starts],
            "word_ids": starts,
            "row": row,
            "length": len(starts),
        }
        for name, value in columns.items():
            self.columns.setdefault(name, []).append(value)

    def notes(self, rows: int) -> list[str]:
        """What a user should know."""
        said = []
        if self.long:
            said.append(
                f"{self.long:,} of {rows:,} rows are longer than {self.max_length} tokens and are read in "
                f"{self.windows:,} overlapping windows; no word is cut off."
            )
        if self.silent:
            said.append(
                f"{counted(self.silent, 'word is', 'words are')} nothing to the tokenizer (control characters, or "
                "empty): no model can answer them. They count as O, or as wrong where words have plain labels."
            )
        return said


@columns_named_by(
    "Name the columns with --tokens-column and --tags-column; in a recipe, data.tokens_column and data.tags_column."
)
def _read(settings: DataSettings, part: str) -> RawRows:
    file = settings.train_file if part == "train" else settings.validation_file
    split = settings.train_split if part == "train" else settings.validation_split
    max_rows = settings.max_train_rows if part == "train" else settings.max_validation_rows
    columns = (settings.tokens_column, settings.tags_column)
    if file is not None:
        return read_file(str(file), columns, max_rows)
    from_hub = settings.dataset if settings.dataset not in (DEMO_SENTIMENT, DEMO_TRANSLATION) else None
    if settings.train_file or settings.validation_file or not from_hub:
        raise DataError(
            f"There are no {part} rows: {part}_file (--{part}-file) is not given"
            + (f", and dataset {settings.dataset!r} is not used." if settings.dataset else ".")
            + " Each row has a list of words and a list of tags, such as "
            '{"tokens": ["Ada", "left"], "ner_tags": ["B-person", "O"]}.'
        )
    return read_hub(from_hub, settings.dataset_config, split, columns, max_rows)


def _check_words(table: RawRows, settings: DataSettings) -> None:
    """Refuses rows whose words and tags are no two lists of one length."""
    _check_lists(table, settings.tokens_column)
    _check_lists(table, settings.tags_column)
    words, tags = (table.columns[name] for name in (settings.tokens_column, settings.tags_column))
    for row, (tokens, own) in enumerate(zip(words, tags, strict=True)):
        if len(tokens) != len(own):
            table.refuse(
                row,
                settings.tags_column,
                f"{counted(len(own), 'tag')} for {counted(len(tokens), 'word')}. Give each word one tag.",
            )
    _check_strings(table, settings.tokens_column)


def _check_lists(table: RawRows, column: str) -> None:
    for row, value in enumerate(table.columns[column]):
        if not isinstance(value, list):
            hint = " CSV and TSV hold no lists: give .jsonl or .parquet." if table.is_text else ""
            table.refuse(row, column, f"expected a list, one value a word, found {value!r:.60}.{hint}")


def _check_strings(table: RawRows, column: str) -> None:
    """Refuses words that are no text, and rows that have none at all."""
    if not any(table.columns[column]):
        raise DataError(f"{table.source}: no row has any word in column {column!r}.")
    for row, tokens in enumerate(table.columns[column]):
        for word, token in enumerate(tokens):
            if not isinstance(token, str):
                table.refuse(row, column, f"word {word} is {token!r:.60}; it must be a string.")
            if any("\ud800" <= letter <= "\udfff" for letter in token):
                table.refuse(row, column, f"word {word} holds half a surrogate pair. Repair it.")


def _unlabelled(settings: DataSettings, notes: list[str]) -> "Dataset":
    """The rows that have words; the others are counted in the notes."""
    from datasets import Features, List, Value

    column = settings.tokens_column
    table = read_unlabelled(settings, (column,))
    _check_lists(table, column)
    _check_strings(table, column)
    kept = [words for words in table.columns[column] if words]
    if len(kept) < len(table):
        notes.append(f"{table.source}: {len(table) - len(kept):,} of {len(table):,} rows have no words: left out.")
    return dataset_of({"tokens": kept}, Features({"tokens": List(Value("string"))}))


def _dataset(words: list[list[str]], tags: list[list[str]], ids: list[list[int]]) -> "Dataset":
    from datasets import Features, List, Value

    features = Features(
        {"tokens": List(Value("string")), "tags": List(Value("string")), "label": List(Value("int64"))}
    )
    return dataset_of({"tokens": words, "tags": tags, "label": ids}, features)
