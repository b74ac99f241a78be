"""From the labels as written to label ids, with every way in which two label sets can disagree."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from tinybert_hf.data.label_values import (
    MAX_NAMES_SHOWN,
    are_generic,
    as_option,
    distinct_values,
    in_order,
    joined_notes,
    label_finder,
    label_kind,
    names_of_numbers,
    problem_of,
    read_list,
    show_names,
    twin_notes,
)
from tinybert_hf.data.raw_rows import RawRows
from tinybert_hf.data.settings import MULTI_LABEL, REGRESSION, DataSettings
from tinybert_hf.errors import DataError
from tinybert_hf.messages import counted

_UNLABELLED = (-1, -100)  # of datasets on the Hub, and of the losses of torch


@dataclass(frozen=True)
class Labels:
    """The labels of all splits, ready for a model.

    Attributes:
        ids: one list per split: class ids, floats, or lists of 0.0 and 1.0.
        names: label names in the order of their ids.
        problem_type: as transformers calls it.
        notes: what a user should know, a sentence each.
    """

    ids: list[list[Any]]
    names: tuple[str, ...]
    problem_type: str
    notes: tuple[str, ...] = ()


def resolve_labels(tables: Sequence[RawRows], settings: DataSettings, model_names: Sequence[str] | None) -> Labels:
    """Turns the label columns of all splits into ids of one label list.

    Args:
        tables: the splits; the first is the train split where training data is loaded.
        settings: names the column, and perhaps the labels and the problem type.
        model_names: labels of a trained model, in its order; None where the data decides.

    Raises:
        DataError: a label is missing or cannot be placed, or the label sets of splits, or of data and model, differ.
    """
    column = settings.label_column
    of_source = _class_names(tables)
    given: Sequence[str] | None = settings.label_names or of_source
    known = (*(given or ()), *(model_names or ()))
    _split_lists(tables, column, settings.label_separator, known)
    kind, notes = label_kind(tables, column, settings.problem_type, known)
    problem = problem_of(kind, settings.problem_type, tables, column)
    if problem == REGRESSION:
        return _regression(tables, column, model_names, notes)
    # The source's own names say what its numbers mean, even where the user asks for another order of the same names.
    by_number = of_source if of_source and set(of_source) == set(given or ()) else given
    if kind == "whole":
        notes += _name_numbers(tables, column, by_number, model_names)
    elif kind == "list":
        all_names = _name_lists(tables, column, by_number, model_names)
        given = given or all_names
    names = tuple(model_names or given or _found_names(tables[0], column))
    if model_names is None:
        may_lack = given is not None or problem == MULTI_LABEL or settings.max_validation_rows is not None
        _compare_splits(tables, column, names, may_lack=may_lack, named=given is not None)
    find = label_finder(names)
    ids = [_places(table, column, find, names) for table in tables]
    if problem == MULTI_LABEL:
        ids = [[[float(i in label) for i in range(len(names))] for label in split] for split in ids]
    if model_names is None:
        notes += _never_learnt(tables, column, names)
        counts = _counts(tables[0].columns[column])
        notes += twin_notes(counts, tables[0].source, known)
        if kind == "text" and not given:
            notes += joined_notes(counts, tables[0].source)
    return Labels(ids, names, problem, tuple(notes))


def labels_without_rows(measured: Mapping[str, Sequence[Any]], labels: Labels) -> Iterator[str]:
    """What labels that no row has do to F1, a sentence for each split to measure on.

    Args:
        measured: source of a split -> ids of its rows.
        labels: that they are among.
    """
    for source, ids in measured.items() if labels.problem_type != REGRESSION else ():
        several = labels.problem_type == MULTI_LABEL
        there = {i for row in ids for i, has in enumerate(row) if has} if several else set(ids)
        absent = [name for i, name in enumerate(labels.names) if i not in there]
        if not absent:
            continue
        metric = "f1_macro" if several else "f1"
        they = "it" if len(absent) == 1 else "them"
        effect = f"{metric}, the mean over labels, leaves {they} out where the model does not answer {they} either"
        if not several and len(labels.names) == 2:
            if 1 in there:
                continue
            effect = f"f1, which is that of {labels.names[1]!r}, is 0 whatever is answered"
        what = "label" if len(absent) == 1 else "labels"
        yield f"{source}: no row has the {what} {show_names(absent)}, so {effect}."


def _split_lists(tables: Sequence[RawRows], column: str, separator: str | None, known: Sequence[str]) -> None:
    """Takes texts such as "sports|politics" apart, in place, where a separator is given; texts of lists are read.

    Whole numbers between the separators ("0|2") are ids where the labels are known by other names.
    """
    if separator is None:
        return
    for table in tables:
        table.columns[column] = [
            _parts(value, separator) if isinstance(value, str) else value for value in table.columns[column]
        ]
    lists = [value for table in tables for value in table.columns[column] if isinstance(value, list)]
    items = {item for value in lists for item in value if isinstance(item, str)}
    if known and items and all(item.isdecimal() for item in items) and not items <= set(known):
        for value in lists:
            value[:] = [int(item) if isinstance(item, str) else item for item in value]


def _parts(text: str, separator: str) -> list[Any]:
    text, found = text.strip(), read_list(text.strip())
    if found is not None:
        return found
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    return [name for part in text.split(separator) if (name := part.strip())]


def _places(table: RawRows, column: str, find: Callable[[str], int | None], names: Sequence[str]) -> list[Any]:
    """The ids of a column; each name is looked up once."""
    values = table.columns[column]
    if list not in set(map(type, values)):  # many times as fast as looking at each in Python
        found = {value: find(value) for value in set(values)}
        if None not in found.values():
            return [found[value] for value in values]
    return [_place(table, row, column, value, find, names) for row, value in enumerate(values)]


def _place(
    table: RawRows, row: int, column: str, value: Any, find: Callable[[str], int | None], names: Sequence[str]
) -> Any:
    if isinstance(value, list):
        return {_place(table, row, column, item, find, names) for item in value}
    found = find(value)
    if found is None:
        there = show_names(sorted(_distinct(table, column)))
        table.refuse(
            row,
            column,
            f"the label {value!r:.60} is not among the labels ({_rows_with(table, column, {value})} rows have it). "
            f"Labels of the data: {there}. Expected: {show_names(names)}."
            + _about_commas(value, _distinct(table, column)),
        )
    return found


def _about_commas(name: str, found: Iterable[str]) -> str:
    if "," not in name:
        return ""
    given = as_option([name, *in_order(set(found) - {name})], most=3)
    return f" A name that holds a comma is given in a JSON list: --label-names {given}."


def _rows(table: RawRows, column: str) -> Iterable[tuple[int, Any]]:
    return enumerate(table.columns[column])


def _regression(
    tables: Sequence[RawRows], column: str, model_names: Sequence[str] | None, notes: Sequence[str]
) -> Labels:
    if model_names is not None and len(model_names) != 1:
        raise DataError(
            f"{tables[0].source}: column {column!r} holds numbers (regression), but the model has the labels "
            f"{show_names(model_names)}. Is it the right column (--label-column)? Classes are names or whole numbers."
        )
    for table in tables:
        if set(table.columns[column]) == {-1}:
            _refuse_unlabelled(table, column, -1)
        for row, value in _rows(table, column):
            if not math.isfinite(value):
                table.refuse(row, column, f"the label is {value}; a finite number is needed.")
    if model_names is None and len(set(tables[0].columns[column])) < 2:
        _refuse_one_label(tables[0], column)
    return Labels(
        [[float(v) for v in table.columns[column]] for table in tables], ("LABEL_0",), REGRESSION, tuple(notes)
    )


def _refuse_unlabelled(table: RawRows, column: str, mark: int, classes: Collection[int] = ()) -> NoReturn:
    values = table.columns[column]
    named = as_option([str(value) for value in sorted(classes)], most=MAX_NAMES_SHOWN)
    own = f"If {mark} is a class of its own, name all classes (--label-names={named}; in a recipe, data.label_names). "
    table.refuse(
        values.index(mark),
        column,
        f"the label is {mark}, which marks a row without a label (as in test splits on the Hub); "
        f"{values.count(mark)} of the {len(table)} rows have it. {own if len(classes) > 1 else ''}"
        f"{'Else use' if len(classes) > 1 else 'Use'} a split with labels, or remove such rows.",
    )


def _class_names(tables: Sequence[RawRows]) -> tuple[str, ...] | None:
    named = [table for table in tables if table.class_names]
    if len({table.class_names for table in named}) > 1:
        raise DataError(
            "The splits name their labels differently: "
            + "; ".join(f"{table.source}: {show_names(table.class_names or ())}" for table in named)
        )
    return named[0].class_names if named else None


def _name_numbers(
    tables: Sequence[RawRows], column: str, given: Sequence[str] | None, model_names: Sequence[str] | None
) -> list[str]:
    """Replaces whole numbers by names, in place, where a list says what they mean.

    Returns:
        What a user should know about a class -1.
    """
    found = {value for table in tables for value in table.columns[column]}
    by_number = given if given and not (model_names and are_generic(model_names)) else model_names
    if by_number is not None:
        names = names_of_numbers(found, by_number)
    else:
        contiguous = found == set(range(len(found)))
        names = {value: f"LABEL_{int(value)}" if contiguous else str(int(value)) for value in found}
    notes = []
    for mark in found & set(_UNLABELLED):
        if mark not in names or (by_number is None and not _is_a_class(mark, found, set(tables[0].columns[column]))):
            table = next(table for table in tables if mark in table.columns[column])
            _refuse_unlabelled(table, column, mark, () if model_names else found)
    if by_number is None and -1 in found:
        notes.append(
            f"{tables[0].source}: -1 in column {column!r} is taken as a class of its own, though it often marks a row "
            "without a label. If it does, remove such rows."
        )
    for table in tables:
        for row, value in enumerate(table.columns[column] if found - names.keys() else ()):
            if value not in names:
                table.refuse(
                    row,
                    column,
                    f"the label is {value}, which is none of {counted(len(names), 'label')}: "
                    f"{show_names(names.values())}. "
                    f"Labels of the data: {show_names(sorted(found))}.",
                )
        table.columns[column] = [names[value] for value in table.columns[column]]
    return notes


def _is_a_class(mark: int, found: Collection[int], trained: Collection[int]) -> bool:
    """Whether -1 can only be a class: other negative numbers are, or the two classes are -1 and 1."""
    return mark == -1 and (min(set(found) - {-100}) < -1 or (found == trained == {-1, 1}))


def _name_lists(
    tables: Sequence[RawRows], column: str, given: Sequence[str] | None, model_names: Sequence[str] | None
) -> Sequence[str] | None:
    """Replaces lists of 0/1, or of class numbers with known names, by lists of names, in place.

    Returns:
        All names, also of labels that no row has; None where only the rows tell the names.
    """
    known = given or model_names
    items = [item for table in tables for label in table.columns[column] for item in label]
    if items and all(isinstance(item, str) for item in items):
        return known
    widths = {len(label) for table in tables for label in table.columns[column]}
    flags = all(item in (0, 1) for item in items) and len(widths) == 1 and (not known or widths == {len(known)})
    flags = flags and (widths != {1} or bool(known))  # of one place each, these are ids
    if flags:
        names = known or [f"LABEL_{i}" for i in range(max(widths))]
    whole = [item for item in items if isinstance(item, int | float) and float(item).is_integer()]
    by_id = names_of_numbers({int(item) for item in whole}, known) if known else {}
    for table in tables:
        for row, label in _rows(table, column):
            if not flags and not all(isinstance(item, int | float) and item in by_id for item in label):
                ids = (
                    ""
                    if known or not _may_be_ids(items)
                    else (
                        " If these are ids of labels, name all labels in order (--label-names; in a recipe, "
                        "data.label_names)."
                    )
                )
                table.refuse(
                    row,
                    column,
                    f"{label!r:.60} is no list of labels. Write lists of names, or lists of 0 and 1 with one "
                    f"place per label{f' ({len(known)}: {show_names(known)})' if known else ''}.{ids}",
                )
        table.columns[column] = [
            [names[i] for i, item in enumerate(label) if item] if flags else [by_id[item] for item in label]
            for label in table.columns[column]
        ]
    return names if flags else known


def _may_be_ids(items: Sequence[Any]) -> bool:
    return all(isinstance(item, int | float) and item >= 0 and float(item).is_integer() for item in items)


def _counts(values: Sequence[Any]) -> Counter[str]:
    """How many rows have each name."""
    if list not in set(map(type, values)):  # many times as fast as looking at each in Python
        return Counter(values)
    return Counter(name for value in values for name in (set(value) if isinstance(value, list) else (value,)))


def _distinct(table: RawRows, column: str) -> set[str]:
    found = distinct_values(table.columns[column])
    return {name for value in found for name in (value if isinstance(value, tuple) else (value,))}


def _rows_with(table: RawRows, column: str, names: Collection[Any]) -> str:
    """How many rows have one of some labels: "3 of 20"."""
    values = table.columns[column]
    having = sum(any(item in names for item in (value if isinstance(value, list) else (value,))) for value in values)
    return f"{having:,} of {len(values):,}"


def _never_learnt(tables: Sequence[RawRows], column: str, names: Sequence[str]) -> Iterator[str]:
    """Labels that are known by name, and of which the training rows have none."""
    train, *others = tables
    find, seen = label_finder(names), {name.casefold() for name in _distinct(train, column)}
    for other in others:
        unseen = {name for name in _distinct(other, column) if name.casefold() not in seen and find(name) is not None}
        if unseen:
            yield (
                f"{_rows_with(other, column, unseen)} rows of {other.source} have labels that no training row has "
                f"({show_names(sorted(unseen))}), so nobody can learn them."
            )


def _found_names(table: RawRows, column: str) -> list[str]:
    return in_order(_distinct(table, column))


def _refuse_one_label(table: RawRows, column: str) -> None:
    only = table.columns[column][0]
    rows = counted(len(table), "row")
    raise DataError(
        f"{table.source}: column {column!r} holds one label only ({only!r:.60}) in {rows}; there is "
        "nothing to learn. Is it the right column (--label-column; in a recipe, data.label_column), and are the "
        "first rows all of one class (data.max_train_rows)?"
    )


def _compare_splits(
    tables: Sequence[RawRows], column: str, names: Sequence[str], *, may_lack: bool, named: bool
) -> None:
    """Refuses a train split of one label, and a validation split with other labels than it."""
    train, *others = tables
    if len(_distinct(train, column)) < 2:
        _refuse_one_label(train, column)
    for other in others:
        found = _distinct(other, column)
        unseen, absent = sorted(found - set(names)), sorted(set(names) - found)
        if named or not (unseen or (absent and not may_lack)):
            continue
        parts = (
            [f"only in {other.source}: {show_names(unseen)}, in {_rows_with(other, column, unseen)} rows"]
            if unseen
            else []
        )
        parts += [f"only in {train.source}: {show_names(absent)}"] if absent else []
        advice = (
            "Mend the labels"
            if unseen
            else "Is it a typing error? Else add such rows, or name all labels if some may be absent there "
            f"(--label-names {as_option(names, most=3)}; in a recipe, data.label_names)"
        )
        # What looks like many classes may be several labels in one text.
        for several in joined_notes(dict.fromkeys((*names, *sorted(found)), 1), other.source):
            advice = several.removesuffix(".")
        raise DataError(
            f"The labels of the two splits differ. {train.source}: {show_names(names)}. "
            f"{other.source}: {show_names(sorted(found))} ({'; '.join(parts)}). {advice}."
        )
