"""The tags of words: whether they are BIO, what numbers among them mean, and the list of labels that they make."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinybert_hf.data.label_names import are_generic, in_order, label_finder, names_of_numbers, twin_notes
from tinybert_hf.data.label_values import is_absent, is_numeric, stands_for_nothing, strip_spaces
from tinybert_hf.data.raw_rows import RawRows
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.errors import DataError
from tinybert_hf.wording import counted

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
