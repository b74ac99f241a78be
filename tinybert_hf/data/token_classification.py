"""A label for each word of a row: named entities, parts of speech."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.files import absent, read_file, read_hub
from tinybert_hf.data.label_values import (
    are_generic,
    in_order,
    is_absent,
    is_numeric,
    label_finder,
    names_of_numbers,
    stands_for_nothing,
    strip_spaces,
    twin_notes,
)
from tinybert_hf.data.raw_rows import RawRows, columns_named_by
from tinybert_hf.data.settings import DEMO_SENTIMENT, DEMO_TRANSLATION, DataSettings
from tinybert_hf.data.tasks import TaskData, add_tokenizing_notes, dataset_of, holds_out
from tinybert_hf.data.text_classification import read_unlabelled
from tinybert_hf.errors import DataError
from tinybert_hf.messages import counted
from tinybert_hf.tasks import TOKEN_CLASSIFICATION

if TYPE_CHECKING:
    from datasets import Dataset


# The tags of words: whether they are BIO, what numbers among them mean, and the list of labels that they make.

OUTSIDE = "O"
NO_LABEL = -100  # what the losses of torch leave out
_PREFIXES = ("B-", "I-")
_SHOWN = 10


@dataclass(frozen=True)
class Tags:
    """The tags of all splits, ready for a model.

    Attributes:
        tags: for each split, for each row, the tags of its words.
        ids: the same as places in `names`; -100 where a tag is not among them.
        names: in the order of their ids.
        notes: what a user should know about the tags, a sentence each.
    """

    tags: list[list[list[str]]]
    ids: list[list[list[int]]]
    names: tuple[str, ...]
    notes: tuple[str, ...]


def marks_entities(names: Iterable[str]) -> bool:
    """Whether tags mark entities (B-person, I-person, O) rather than label each word (NOUN, VERB)."""
    return any(name.startswith(_PREFIXES) for name in names)


def resolve_tags(tables: Sequence[RawRows], settings: DataSettings, model_names: Sequence[str] | None) -> Tags:
    """Turns the tag columns of all splits into ids of one label list.

    An I- tag that continues nothing begins an entity, as in IOB1: it is read as B- where the labels have that.

    Args:
        tables: the splits, each row a list of tags; the first is the train split where training data is loaded.
        settings: names the column, and perhaps the labels.
        model_names: labels of a trained model, in its order; None where the data decides.

    Raises:
        DataError: a tag of no known kind, with its place; tags that are not BIO; labels of another task.
    """
    column = settings.tags_column
    known = (*(settings.label_names or ()), *(model_names or ()))
    notes = [*strip_spaces(tables, column, known), *_refuse_missing(tables, column, known)]
    model_names = _name_numbers(tables, column, settings.label_names, model_names)
    given = model_names or settings.label_names
    found = [tag for table in tables for row in table.columns[column] for tag in row]
    entities = marks_entities([*found, *(given or ())])
    if entities:
        _check_bio(tables, column)
        notes += _begin_entities(tables, column, given)
    else:
        notes.append(
            f"{tables[0].source}: no tag begins with B- or I-, so each word has a plain label and is counted by "
            "accuracy. Entities need BIO tags (B-person, I-person, O)."
        )
    names = tuple(given or _found_names(tables[0], column, entities))
    if given is None:
        notes += twin_notes(Counter(tag for row in tables[0].columns[column] for tag in row), tables[0].source)
    if len(names) < 2:
        raise DataError(
            f"{tables[0].source}: column {column!r} holds one tag only ({', '.join(names) or 'none'}); there is "
            "nothing to learn. Is it the right column (--tags-column; in a recipe, data.tags_column)?"
        )
    find = label_finder(names)
    for table in tables:
        notes += _unknown(table, settings, names, model_names)
        table.columns[column] = [[_named(tag, find(tag), names) for tag in row] for row in table.columns[column]]
    place = {name: index for index, name in enumerate(names)}
    tags = [table.columns[column] for table in tables]
    ids = [[[place.get(tag, NO_LABEL) for tag in row] for row in split] for split in tags]
    return Tags(tags, ids, names, tuple(notes))


def _named(tag: str, place: int | None, names: Sequence[str]) -> str:
    return tag if place is None else names[place]


def _refuse_missing(tables: Sequence[RawRows], column: str, known: Sequence[str]) -> list[str]:
    """Refuses tags that are not there, and texts such as "nan" where all others are numbers; says them among names."""
    counts = Counter(tag for table in tables for row in table.columns[column] for tag in row if isinstance(tag, str))
    odd = {tag for tag in counts if stands_for_nothing(tag, known)}
    of_numbers = all(is_numeric(tag) for tag in counts.keys() - odd)
    for table in tables:
        for row, tags in enumerate(table.columns[column]):
            for word, tag in enumerate(tags):
                if is_absent(tag) or (of_numbers and isinstance(tag, str) and tag in odd):
                    table.refuse(
                        row, column, f"the tag of word {word} is missing ({tag!r}). Give each word a tag, such as O."
                    )
    return [
        f"{counted(counts[tag], 'word has', 'words have')} the tag {tag!r}, which is taken as a name like the others. "
        "If it says that a word has no tag, mend these rows."
        for tag in sorted(odd)
        if any(letter.isalpha() for letter in tag)
    ]


def _name_numbers(
    tables: Sequence[RawRows], column: str, given: Sequence[str] | None, model_names: Sequence[str] | None
) -> Sequence[str] | None:
    """Replaces numbers by names, in place; gives the model's names, or those of the data where it has none."""
    kinds = set()
    for table in tables:
        # pandas and Arrow write whole numbers as decimals where some were missing once.
        table.columns[column] = [
            [int(tag) if isinstance(tag, float) and tag.is_integer() else tag for tag in tags]
            for tags in table.columns[column]
        ]
        for row, tags in enumerate(table.columns[column]):
            for word, tag in enumerate(tags):
                kind = int if isinstance(tag, int) and not isinstance(tag, bool) else type(tag)
                kinds.add(kind)
                if kind not in (int, str) or len(kinds) > 1:
                    other = ", where another tag is of another type" if kind in (int, str) else ""
                    table.refuse(row, column, f"the tag of word {word} is {tag!r:.60}{other}. Tags are names or ids.")
    own_names = next((table.class_names for table in tables if table.class_names), None) or given
    if model_names and are_generic(model_names) and own_names and len(own_names) == len(model_names):
        model_names = own_names
    if kinds != {int}:
        return model_names
    names = own_names or (None if model_names and are_generic(model_names) else model_names)
    if names is None:
        raise DataError(
            f"{tables[0].source}: the tags in column {column!r} are numbers, and nothing says what they mean. Name "
            'them in order (--label-names "O,B-person,I-person,..."; in a recipe, data.label_names).'
        )
    by_number = names_of_numbers({tag for table in tables for tags in table.columns[column] for tag in tags}, names)
    for table in tables:
        for row, tags in enumerate(table.columns[column]):
            for word, tag in enumerate(tags):
                if tag not in by_number:
                    table.refuse(
                        row, column, f"the tag of word {word} is {tag}, but there are {len(names)}: {_show(names)}."
                    )
        table.columns[column] = [[by_number[tag] for tag in tags] for tags in table.columns[column]]
    return model_names


def _check_bio(tables: Sequence[RawRows], column: str) -> None:
    for table in tables:
        for row, tags in enumerate(table.columns[column]):
            for word, tag in enumerate(tags):
                if tag != OUTSIDE and not (tag.startswith(_PREFIXES) and len(tag) > 2):
                    table.refuse(
                        row,
                        column,
                        f"the tag of word {word} is {tag!r:.60}, which is not BIO: O, B-NAME for the first word of an "
                        "entity, I-NAME for the words after it. Convert other schemes (BIOES, BILOU) to it.",
                    )


def _begin_entities(tables: Sequence[RawRows], column: str, given: Sequence[str] | None) -> list[str]:
    """Reads I- tags that continue nothing as B-, in place, and counts them."""
    notes = []
    for table in tables:
        count, first = 0, ""
        for row, tags in enumerate(table.columns[column]):
            before, changed = OUTSIDE, list(tags)
            for word, tag in enumerate(tags):
                if tag.startswith("I-") and before[2:] != tag[2:]:
                    count, first = count + 1, first or f"{table.place(row)}, word {word}, {tag!r:.60}"
                    begins = f"B-{tag[2:]}"
                    changed[word] = begins if given is None or label_finder(given)(begins) is not None else tag
                before = tag
            table.columns[column][row] = changed
        if count:
            notes.append(
                f"{table.source}: {count:,} I- tags have no B- or I- of their kind before them (the first: {first}). "
                "Each is taken as the beginning of an entity, as in IOB1."
            )
    return notes


def _found_names(table: RawRows, column: str, entities: bool) -> list[str]:
    """O first and the two tags of each kind together; plain labels in the order of the alphabet."""
    found = {tag for row in table.columns[column] for tag in row}
    if not entities:
        return in_order(found)
    return [
        OUTSIDE,
        *(f"{prefix}{kind}" for kind in sorted({tag[2:] for tag in found - {OUTSIDE}}) for prefix in _PREFIXES),
    ]


def _unknown(
    table: RawRows, settings: DataSettings, names: Sequence[str], model_names: Sequence[str] | None
) -> list[str]:
    """Counts the tags that are not among the labels; refuses them where they show that the labels are others."""
    column, find = settings.tags_column, label_finder(names)
    counts = Counter(tag for row in table.columns[column] for tag in row if tag != OUTSIDE)
    strange = {tag: count for tag, count in sorted(counts.items()) if find(tag) is None}
    if not strange:
        return []
    if len(strange) == len(counts):
        unnamed = " The model's labels have no names: see id2label in its config.json." if are_generic(names) else ""
        raise DataError(
            f"{table.source}: no tag of column {column!r} is among the labels. Tags of the data: {_show(strange)}. "
            f"Labels: {_show(names)}.{unnamed} Is it the right column (--tags-column; in a recipe, data.tags_column)?"
        )
    if settings.label_names is not None and model_names is None:
        for row, tags in enumerate(table.columns[column]):
            for word, tag in enumerate(tags):
                if tag in strange:
                    table.refuse(
                        row, column, f"the tag of word {word} is {tag!r:.60}, and the labels are {_show(names)}."
                    )
    shown = _show(f"{tag} ({count:,})" for tag, count in strange.items())
    words = counted(sum(strange.values()), "word has a tag", "words have tags")
    return [
        f"{table.source}: {words} not among the labels: {shown}. "
        "No answer to these can be right; they count as missed."
    ]


def _show(names: Iterable[str]) -> str:
    shown = list(names)
    rest = len(shown) - _SHOWN
    return ", ".join(shown[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


# Long rows of words as windows: each word is answered in one of them, with words around it to read.

_OVERLAP = 0.25  # of a window, on the side of the next one


@dataclass(frozen=True)
class Window:
    """Words that are read together.

    Attributes:
        start: the first word.
        end: behind the last word.
        first: the first word that is answered here; those before it are in the window before.
        last: behind the last word that is answered here.
    """

    start: int
    end: int
    first: int
    last: int


def windows_of(pieces: Sequence[int], room: int) -> list[Window]:
    """Cuts a row between words so that every word is answered once.

    Two windows share about a quarter of what they hold; of the shared words each answers the half that is farther from
    its end, where more is known on both sides.

    Args:
        pieces: of each word, how many pieces it has; 0 where the tokenizer makes none.
        room: pieces that a window can hold; a word with more stands alone, cut.

    Returns:
        The windows in order: one for a row that fits.
    """
    spans = [(0, _fill(pieces, 0, room))]
    while spans[-1][1] < len(pieces):
        spans.append(_next(pieces, *spans[-1], room))
    borders = [0, *((after[0] + before[1] + 1) // 2 for before, after in itertools.pairwise(spans))]
    owned = zip(borders, [*borders[1:], len(pieces)], strict=True)
    return [Window(*span, *part) for span, part in zip(spans, owned, strict=True)]


def _fill(pieces: Sequence[int], start: int, room: int) -> int:
    """Behind the last word that fits into a window; at least one word does."""
    held, end = 0, start
    while end < len(pieces) and (held + pieces[end] <= room or end == start):
        held += pieces[end]
        end += 1
    return end


def _next(pieces: Sequence[int], start: int, end: int, room: int) -> tuple[int, int]:
    """The window after one: it begins within it where that leaves room for a new word."""
    begin, shared = end, 0
    while begin > start + 1 and shared + pieces[begin - 1] <= room * _OVERLAP:
        begin -= 1
        shared += pieces[begin]
    new_end = _fill(pieces, begin, room)
    while new_end <= end and begin < end:  # the next word is too long to stand beside shared ones
        begin += 1
        new_end = _fill(pieces, begin, room)
    return begin, new_end


WORD_STARTS = "word_starts"
_SLICE = 1000  # rows that are tokenized at once


class TokenClassificationTask:
    """Rows with words and a tag for each."""

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
    split = settings.train_split if part == "train" else str(settings.validation_split)
    max_rows = settings.max_train_rows if part == "train" else settings.max_validation_rows
    columns = (settings.tokens_column, settings.tags_column)
    if file is not None:
        return read_file(str(file), columns, max_rows)
    from_hub = settings.dataset if settings.dataset not in (DEMO_SENTIMENT, DEMO_TRANSLATION) else None
    if settings.train_file or settings.validation_file or not from_hub:
        raise DataError(
            f"{absent(part, settings)} Each row has a list of words and a list of tags, such as "
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
