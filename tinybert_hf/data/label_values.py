"""What kind of labels a column holds, so which problem it is, and what the labels are called."""

import ast
import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from tinybert_hf.data.raw_rows import RawRows
from tinybert_hf.data.settings import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from tinybert_hf.errors import DataError
from tinybert_hf.messages import counted

# The names of labels: how they are found, shown and given, what numbers among them mean, and which are twins.

MAX_NAMES_SHOWN = 20
_MAX_TWINS = 5
_NUMBERED = re.compile(r"(?:LABEL_)?(-?[0-9]+)")
_BETWEEN_WORDS = re.compile(r"(?<=\w)[\s_\u2010-\u2015-]+(?=\w)")
_WHOLE_NAME = re.compile(r"([+-]?\d{1,300})(?:\.0*)?")
_QUOTATION_MARKS = "\"'`\u2018\u2019\u201c\u201d\u201e\u201a\u00ab\u00bb"
_BOOLEANS = {"false": 0, "true": 1}


def label_finder(names: Sequence[str]) -> Callable[[str], int | None]:
    """Makes a function from a name to its place.

    The exact name wins, or else the only one that differs in case, in white space around it or in the Unicode form of
    the same letters.
    """
    exact = {name: i for i, name in enumerate(names)}
    shared = Counter(_folded(name) for name in names)
    folded = {_folded(name): i for i, name in enumerate(names) if shared[_folded(name)] == 1}

    def find(name: str) -> int | None:
        place = exact.get(name)
        return folded.get(_folded(name)) if place is None else place

    return find


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def are_generic(names: Sequence[str]) -> bool:
    """Whether the labels have no names but those that transformers gives to numbers."""
    return list(names) == [f"LABEL_{i}" for i in range(len(names))]


def show_names(names: Iterable[Any], most: int = MAX_NAMES_SHOWN) -> str:
    """Names for a message, the first of them; in quotation marks where they could be taken for others."""
    shown = [str(name) for name in names]
    shown = [json.dumps(name, ensure_ascii=False) if "," in name or name != name.strip() else name for name in shown]
    rest = len(shown) - most
    return ", ".join(shown[:most]) + (f" and {rest} more" if rest > 0 else "")


def as_option(names: Sequence[str], most: int | None = None) -> str:
    """Names as --label-names takes them, in the quotation marks of a shell; the first `most`, and dots for others."""
    cut = list(names[:most])
    dots = ",..." if len(cut) < len(names) else ""
    if any("," in name or '"' in name or name != name.strip() or name.startswith("[") for name in cut):
        return f"'{json.dumps(cut, ensure_ascii=False)[:-1]}{dots}]'"
    return f'"{",".join(cut)}{dots}"'


def names_of_numbers(numbers: Collection[int], names: Sequence[str]) -> dict[int, str]:
    """What numbers in the data mean: the name that is this number, where all have one, else the place in the list.

    Args:
        numbers: all that the data has.
        names: in order.

    Returns:
        Number -> name; without those that are no place.
    """
    values = {_number(name, isinstance(next(iter(numbers), 0), bool)): name for name in names}
    if None not in values and set(numbers) <= values.keys():
        return {number: values[number] for number in numbers}
    return dict(enumerate(names))


def _number(name: str, of_booleans: bool) -> float | None:
    if of_booleans and name.casefold() in _BOOLEANS:
        return _BOOLEANS[name.casefold()]
    try:
        return float(name)
    except ValueError:
        return None


def in_order(names: Iterable[str]) -> list[str]:
    """Names of numbers by their size (-1 before 0, LABEL_2 before LABEL_10), others by their letters."""
    found = list(names)
    numbers = [_NUMBERED.fullmatch(name) for name in found]
    if all(numbers):
        return sorted(found, key=lambda name: int(name.removeprefix("LABEL_")))
    return sorted(found)


def twin_notes(counts: Mapping[str, int], source: str, known: Collection[str] = ()) -> Iterator[str]:
    """Classes whose names differ in nothing but case, white space, marks around them or the form of letters.

    Args:
        counts: name -> rows (or words) that have it.
        source: the file or split.
        known: names that somebody gave; he has seen them.
    """
    groups: dict[str, list[str]] = {}
    for name in counts:
        groups.setdefault(_key(name), []).append(name)
    twins = [sorted(group) for group in groups.values() if len(group) > 1 and not set(group) <= set(known)]
    if twins:
        shown = "; ".join(
            " and ".join(f"{_visible(name)} ({counts[name]:,})" for name in group) for group in twins[:_MAX_TWINS]
        )
        more = f"; and {len(twins) - _MAX_TWINS} more" if len(twins) > _MAX_TWINS else ""
        yield (
            f"{source}: labels that are nearly the same are classes of their own: {shown}{more}. If they mean the "
            "same, write them alike."
        )


def _key(name: str) -> str:
    """What twins have in common."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKC", name) if unicodedata.category(letter) != "Cf")
    plain = plain.strip().strip(_QUOTATION_MARKS)
    plain = _BETWEEN_WORDS.sub(" ", plain).strip().rstrip(".,;:").strip().casefold()
    number = _WHOLE_NAME.fullmatch(plain)
    if number is not None:
        return str(int(number[1]))
    return plain or name


def _visible(name: str) -> str:
    """A name in quotation marks, its characters as codes where two names would look the same."""
    plain = unicodedata.normalize("NFC", name)
    hidden = plain != name or any(unicodedata.category(letter) in ("Cf", "Zs") and letter != " " for letter in name)
    return ascii(name) if hidden else repr(name)


def joined_notes(counts: Mapping[str, int], source: str) -> Iterator[str]:
    """Names that are made of others, as where several labels of a row stand in one text."""
    for separator in (",", ";", "|", "/"):
        joined = [
            name
            for name in counts
            if separator in name and all(part.strip() in counts for part in name.split(separator))
        ]
        if joined:
            yield (
                f"{source}: the label {joined[0]!r:.60} is taken as one class, though its parts are labels too. If it "
                f"is several labels of a row: --label-separator {json.dumps(separator)} (in a recipe, "
                "data.label_separator)."
            )
            return


# What kind of labels a column holds, and so which problem it is.

_WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_WHOLE_FLOAT = re.compile(r"[+-]?(0|[1-9][0-9]*)\.0*")
_FRACTION = re.compile(r"[+-]?[0-9]*\.[0-9]*[1-9][0-9]*")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WITH_COMMAS = re.compile(r"[+-]?[0-9]+(,[0-9]+)*")
_NUMPY_LIST = re.compile(r"\[\s*(-?[0-9]+\.?\s*)+\]")
_PROBLEM_OF_KIND = {"whole": SINGLE_LABEL, "text": SINGLE_LABEL, "number": REGRESSION, "list": MULTI_LABEL}
# What spreadsheets, pandas, R and SQL write where there is no value; in small letters.
_NO_VALUE = frozenset(
    (
        *("nan", "-nan", "nat", "na", "n/a", "n.a.", "<na>", "#na", "#n/a", "#null!", "#value!", "#ref!"),
        *("#div/0!", "#num!", "#name?", "$null$", "missing", "undefined", "..", "...", "\u2013", "\u2014"),
        *("none", "nil", "null", "(null)", "\\n", "-", "--", "?", ".", "inf", "-inf", "+inf"),
    )
)
_FEWEST = 2  # so many numbers say that the labels are numbers
_RARE = 0.1  # of the labels; more fractions than this are meant
_FEW = 20  # so many whole numbers may be classes written as decimals; of more, nobody would ask


def label_kind(
    tables: Sequence[RawRows], column: str, wanted: str | None = None, known: Collection[str] = ()
) -> tuple[str, list[str]]:
    """Finds the kind of the labels, and turns texts of numbers and of lists into them in place.

    Whole numbers in a text file are classes even when a tool wrote them as 1.0; elsewhere a float is a float, unless
    single labels are wanted, or named.

    Args:
        tables: all splits together, so that they agree.
        column: the label column.
        wanted: the problem type that the user or a trained model gave, or None.
        known: the names of the labels, where somebody gave them.

    Returns:
        "whole", "number", "text" or "list"; and what a user should know, a sentence each.

    Raises:
        DataError: a label is missing, of a type that is no label, or of another kind than the first one.
    """
    about_spaces = strip_spaces(tables, column, known)
    about_missing = refuse_missing(tables, column, known)
    trained_on_whole = all(map(_is_written_whole, distinct_values(tables[0].columns[column])))
    about_decimals = _parse_texts(tables, column)
    values = [value for table in tables for value in table.columns[column]]
    kinds = {_kind(kind) for kind in set(map(type, values))}
    if kinds == {"whole", "number"}:
        kinds = {"number"}
    if len(kinds) > 1 or not kinds <= _PROBLEM_OF_KIND.keys():
        _refuse_mixture(tables, column)
    (kind,) = kinds
    if kind in ("text", "list"):
        return kind, [*about_spaces, *about_missing]
    notes = []
    if wanted is None and len(known) < 2:
        if kind == "number" and trained_on_whole:
            _refuse_fractions(tables, column)
        notes = about_decimals if kind == "whole" else _about_floats(tables, column, values)
    if kind == "number" and (wanted == SINGLE_LABEL or (wanted is None and len(known) > 1)):
        _take_as_classes(tables, column, known)
        kind = "whole"
        notes = [
            f"{tables[0].source}: the labels in column {column!r} are written as decimals "
            f"({_examples(values)}), and are taken as classes."
        ]
    return kind, notes


def problem_of(kind: str, wanted: str | None, tables: Sequence[RawRows], column: str) -> str:
    """Settles the problem type.

    Args:
        kind: what `label_kind` found.
        wanted: the problem type that the user or a trained model gave, or None.
        tables: for the message.
        column: for the message.

    Raises:
        DataError: the labels cannot be read as the wanted problem.
    """
    found = _PROBLEM_OF_KIND[kind]
    if wanted is None or wanted == found or (wanted == REGRESSION and kind == "whole"):
        return wanted or found
    first = tables[0].columns[column][0]
    several = ""
    if wanted == MULTI_LABEL and kind == "text":
        several = (
            ' Where one text holds several labels, say what stands between them (--label-separator "," for \'joy, '
            "fear'; in a recipe, data.label_separator)."
        )
    raise DataError(
        f"problem_type is {wanted}, but column {column!r} of {tables[0].source} holds labels such as {first!r:.60}, "
        f"which are {found}.{several} Is it the right column (--label-column; in a recipe, data.label_column)? Else "
        "change the labels, or what they are to be (--problem-type; in a recipe, data.problem_type)."
    )


def strip_spaces(tables: Sequence[RawRows], column: str, known: Collection[str] = ()) -> list[str]:
    """Leaves out white space around labels, in place, also of those in lists; names that are known stay as they are.

    Returns:
        For each table how many labels that concerns, and the first of them.
    """
    notes = []
    for table in tables:
        count, first = 0, ""
        values = table.columns[column]
        texts = {
            item for value in distinct_values(values) for item in (value if isinstance(value, tuple) else (value,))
        }
        if not any(isinstance(text, str) and _has_spaces(text) for text in texts):
            continue
        for row, value in enumerate(values):
            items = value if isinstance(value, list) else [value]
            if not any(isinstance(item, str) and _has_spaces(item) and item not in known for item in items):
                continue
            new = [item.strip() if isinstance(item, str) and item not in known else item for item in items]
            changed = [item for item, other in zip(items, new, strict=True) if item != other and other]
            count, first = (
                count + len(changed),
                first or (f"{table.place(row)}, {changed[0]!r:.60}" if changed else ""),
            )
            values[row] = new if isinstance(value, list) else new[0]
        if count:
            notes.append(
                f"{table.source}: {counted(count, 'label has', 'labels have')} spaces around the name (the first: "
                f"{first}); they are left out."
            )
    return notes


def distinct_values(values: Sequence[Any]) -> set[Any]:
    """The different labels of a column, lists as tuples; without those of no kind of label."""
    kinds = set(map(type, values))
    if kinds <= {str, int, float, bool, type(None)}:
        return set(values)  # many times as fast
    lists = (tuple(value) for value in values if isinstance(value, list) and not any(map(_is_nested, value)))
    return {*lists, *(value for value in values if isinstance(value, str | int | float | None))}


def _is_nested(item: Any) -> bool:
    return isinstance(item, list | dict | set)


def _has_spaces(text: str) -> bool:
    return text[:1].isspace() or text[-1:].isspace()


def is_absent(value: Any) -> bool:
    """Whether there is nothing in the place of a label."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def stands_for_nothing(value: Any, known: Collection[str] = ()) -> bool:
    """Whether a text is what tools write where there is no value, and nobody has named a label so."""
    if not isinstance(value, str) or value.casefold() not in _NO_VALUE:
        return False
    return value.casefold() not in {name.casefold() for name in known}


def is_numeric(value: Any) -> bool:
    """Whether a value is a number, or the text of one."""
    return isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value) is not None)


def refuse_missing(tables: Sequence[RawRows], column: str, known: Collection[str] = ()) -> list[str]:
    """Refuses labels that are not there, texts such as "nan" where all others are numbers or lists, and the only text.

    Among names such a text may well be one ("None"), so it stays, and is said.

    Raises:
        DataError: with the first row, and how many there are.
    """
    found = set().union(*(distinct_values(table.columns[column]) for table in tables))
    lists = [value for value in found if isinstance(value, tuple)]
    distinct = found.difference(lists)
    if any(is_absent(value) for value in distinct):
        _refuse_rows(tables, column, is_absent, _nothing_there)
    if any("" in value for value in lists):
        _refuse_rows(
            tables,
            column,
            lambda value: isinstance(value, list) and "" in value,
            lambda value: f"{value!r:.60} is no list of labels: a name is empty",
        )
    odd: set[str] = {value for value in distinct if stands_for_nothing(value, known)}
    others = distinct - odd
    if not known and not lists:
        odd |= _only_text_among_numbers(others)
        others = distinct - odd
    if odd and not others and not lists:
        _refuse_rows(tables, column, odd.__contains__, _nothing_there)
    of_lists = bool(lists) or any(isinstance(value, str) and read_list(value) is not None for value in others)
    if odd and all(is_numeric(value) or read_list(value) is not None for value in others):
        classes = [str(value) for value in others if _WHOLE.fullmatch(str(value))]
        named = as_option([*in_order(classes), *sorted(odd)])
        _refuse_rows(
            tables,
            column,
            lambda value: not isinstance(value, list) and value in odd,
            lambda value: (
                f"the label {value!r:.60} is no {'list' if of_lists else 'number'}, as the other labels are, so it is "
                "missing"
            ),
            f" If it is a class of its own, name all classes (--label-names {named}; in a recipe, data.label_names)."
            if len(classes) == len(others) and not lists
            else "",
        )
    words = {item for value in lists for item in value if stands_for_nothing(item, known)} | odd
    return [
        f"{table.source}: {many:,} of {len(table):,} rows have the label {word!r}, which is taken as a name like the "
        "others. If it says that a row has no label, remove these rows."
        for word in sorted(words)
        if any(letter.isalpha() for letter in word)
        for table in tables
        if (
            many := sum(
                value == word or (isinstance(value, list) and word in value) for value in table.columns[column]
            )
        )
    ]


def _only_text_among_numbers(found: set[Any]) -> set[str]:
    """The one text beside texts of numbers, whatever it is: no list of what tools write for nothing is complete."""
    if not all(isinstance(value, str) for value in found):
        return set()
    odd = {value for value in found if not is_numeric(value)}
    alone = len({value.casefold() for value in odd}) == 1 and len({float(value) for value in found - odd}) >= _FEWEST
    return odd if alone and not any(_WITH_COMMAS.fullmatch(value) or read_list(value) for value in odd) else set()


def _nothing_there(value: Any) -> str:
    what = "nan; a finite number is needed" if isinstance(value, float) else repr(value or None)
    return f"the label is missing ({what})"


def _refuse_rows(
    tables: Sequence[RawRows], column: str, wrong: Callable[[Any], bool], why: Callable[[Any], str], more: str = ""
) -> NoReturn:
    for table in tables:
        values = table.columns[column]
        rows = [row for row, value in enumerate(values) if wrong(value)]
        if rows:
            many = f", as in {len(rows):,} of {len(values):,} rows" if len(rows) > 1 else ""
            table.refuse(rows[0], column, f"{why(values[rows[0]])}{many}. Fill it or remove the row.{more}")
    raise AssertionError("a wrong label was found")


def _kind(of: type) -> str:
    """The kind of labels of a type."""
    kinds = {int: "whole", float: "number", str: "text", list: "list"}
    return next((kind for known, kind in kinds.items() if issubclass(of, known)), of.__name__)


def _refuse_mixture(tables: Sequence[RawRows], column: str) -> NoReturn:
    first = tables[0].columns[column][0]
    for table in tables:
        for row, value in enumerate(table.columns[column]):
            differs = _kind(type(value)) != _kind(type(first))
            if differs or _kind(type(first)) not in _PROBLEM_OF_KIND:
                other = f", but the first label is {first!r:.60}" if differs else ""
                table.refuse(
                    row,
                    column,
                    f"the label {value!r:.60} is of type {type(value).__name__}{other}. "
                    "Labels are all whole numbers, all names, all fractions (regression), or all lists.",
                )
    raise AssertionError("a mixture was found, so one row differs")


# -- decimals --------------------------------------------------------------------------------------------------------


def _about_floats(tables: Sequence[RawRows], column: str, values: Sequence[Any]) -> list[str]:
    distinct = set(values)
    whole = {value for value in distinct if float(value).is_integer()}
    if len(whole) > _FEW:
        return []
    if distinct - whole:
        return list(_about_few_fractions(tables, column, whole))
    return [
        f"{tables[0].source}: the labels in column {column!r} are written as decimals, and all are whole "
        f"({_examples(distinct)}). They are taken as numbers to predict (regression). If they are classes: "
        f"--problem-type {SINGLE_LABEL} (in a recipe, data.problem_type)."
    ]


def _is_written_whole(value: Any) -> bool:
    if isinstance(value, str):
        return _WHOLE.fullmatch(value) is not None or _WHOLE_FLOAT.fullmatch(value) is not None
    return isinstance(value, int)


def _refuse_fractions(tables: Sequence[RawRows], column: str) -> None:
    """Refuses a fraction where the first table has whole numbers only: one cell would make classes a regression."""
    for table in tables[1:]:
        for row, value in enumerate(table.columns[column]):
            if not float(value).is_integer():
                table.refuse(
                    row,
                    column,
                    f"the label {value!r} is a fraction, but all labels of {tables[0].source} are whole numbers "
                    f"({_examples(tables[0].columns[column])}). If they are classes, mend this label; if all are "
                    f"numbers to predict: --problem-type {REGRESSION} (in a recipe, data.problem_type).",
                )


def _about_few_fractions(tables: Sequence[RawRows], column: str, whole: Collection[Any]) -> Iterator[str]:
    for table in tables:
        odd = [(row, value) for row, value in enumerate(table.columns[column]) if value not in whole]
        if odd and len(odd) <= _RARE * len(table):
            row, value = odd[0]
            yield (
                f"{table.place(row)}: the label {value!r} in column {column!r} is a fraction, while "
                f"{len(table) - len(odd):,} of {len(table):,} labels are whole numbers ({_examples(whole)}). So all "
                "are taken as numbers to predict (regression). If they are classes, mend such labels; if not, "
                f"--problem-type {REGRESSION} says so (in a recipe, data.problem_type)."
            )


def _examples(values: Iterable[Any]) -> str:
    return show_names(sorted(set(values)), most=5)


def _take_as_classes(tables: Sequence[RawRows], column: str, known: Collection[str]) -> None:
    """Turns floats into whole numbers, in place; refuses fractions."""
    wanted = show_names(known) if known else f"problem_type is {SINGLE_LABEL}"
    for table in tables:
        for row, value in enumerate(table.columns[column]):
            if not float(value).is_integer():
                table.refuse(
                    row,
                    column,
                    f"the label is {value!r}, a number (regression), and classes are wanted: {wanted}. Is it the "
                    "right column (--label-column; in a recipe, data.label_column)? Else say what the labels are to "
                    "be (--problem-type; in a recipe, data.problem_type).",
                )
        table.columns[column] = [int(value) for value in table.columns[column]]


# -- texts -----------------------------------------------------------------------------------------------------------


def _parse_texts(tables: Sequence[RawRows], column: str) -> list[str]:
    """Turns the texts of numbers and of lists into these, in place."""
    written = [table for table in tables if all(isinstance(value, str) for value in table.columns[column])]
    cells = {cell for table in written for cell in table.columns[column]}
    notes: list[str] = []
    if all(_WHOLE.fullmatch(cell) for cell in cells):
        # In a file that has types, the text "1" is a name; in one that has none, it is a number.
        parse: Callable[[str], Any] | None = int if any(table.is_text for table in written) else None
    elif all(_WHOLE.fullmatch(cell) or _WHOLE_FLOAT.fullmatch(cell) for cell in cells):
        parse = _whole
        notes = [
            f"{tables[0].source}: the labels in column {column!r} are written as decimals, and all are whole "
            f"({_examples(cells)}). They are taken as classes. If they are numbers to predict: --problem-type "
            f"{REGRESSION} (in a recipe, data.problem_type)."
        ]
    elif all(_NUMBER.fullmatch(cell) for cell in cells) and any(not cell.isdecimal() for cell in cells):
        parse = float
    elif any(_FRACTION.fullmatch(cell) for cell in cells):
        _refuse_cell(
            written, column, lambda cell: not _NUMBER.fullmatch(cell), "is no number, but other labels are fractions."
        )
    elif all(_WITH_COMMAS.fullmatch(cell) for cell in cells) and not all(cell.isdecimal() for cell in cells):
        _refuse_cell(
            written,
            column,
            lambda cell: "," in cell,
            "is a number with a decimal comma, or several labels. Write numbers with a point (0.5), or say what "
            'stands between labels (--label-separator ","; in a recipe, data.label_separator).',
        )
    elif _are_lists(cells):
        _refuse_cell(
            written,
            column,
            lambda cell: read_list(cell) is None,
            'is not a list. Write it as [0, 1, 0] or ["name", "name"], or write the names alone and say what stands '
            "between them (--label-separator; in a recipe, data.label_separator).",
            may_be_none=True,
        )
        parse = read_list
    else:
        parse = None
    if parse is not None:
        values = {cell: parse(cell) for cell in cells}
        for table in written:
            table.columns[column] = [values[cell] for cell in table.columns[column]]
    return notes


def _whole(cell: str) -> int:
    return int(float(cell))


def _refuse_cell(
    tables: Sequence[RawRows], column: str, wrong: Callable[[str], bool], why: str, *, may_be_none: bool = False
) -> None:
    for table in tables:
        for row, cell in enumerate(table.columns[column]):
            if wrong(cell):
                table.refuse(row, column, f"the label {cell!r:.60} {why}")
    assert may_be_none, "a wrong cell was found"


def _are_lists(cells: Collection[str]) -> bool:
    """Whether all texts are meant as lists; names such as [other] are not."""
    if all(cell.startswith("[") for cell in cells):
        return any(len(cell[1:-1].split()) != 1 or "," in cell or read_list(cell) is not None for cell in cells)
    return all(cell.startswith(("[", "(", "{", "set()")) for cell in cells) and all(
        read_list(cell) is not None for cell in cells
    )


def read_list(text: str) -> list[Any] | None:
    """The list that a text shows, as JSON, Python or numpy write lists, tuples and sets; None where it shows none."""
    if not text.startswith(("[", "(", "{", "set(")):
        return None  # "0,2" would be a tuple
    if _NUMPY_LIST.fullmatch(text) and "," not in text:
        text = f"[{', '.join(text[1:-1].split())}]"
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(found, list | tuple | set):
            items = found if not isinstance(found, set) else sorted(found, key=str)
            return [item.strip() if isinstance(item, str) else item for item in items]
    return None
