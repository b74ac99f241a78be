"""The names of labels: how they are found, shown and given, what numbers among them mean, and which are twins."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

MAX_NAMES_SHOWN = 20
_MAX_TWINS = 5
_NUMBERED = re.compile(r"(?:LABEL_)?(-?[0-9]+)")
_BETWEEN_WORDS = re.compile(r"(?<=\w)[\s_\u2010-\u2015-]+(?=\w)")
_WHOLE = re.compile(r"([+-]?\d{1,300})(?:\.0*)?")
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
    number = _WHOLE.fullmatch(plain)
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
