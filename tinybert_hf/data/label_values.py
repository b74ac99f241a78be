"""What kind of labels a column holds, and so which problem it is."""

import ast
import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from tinybert_hf.data.raw_rows import RawRows
from tinybert_hf.data.settings import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from tinybert_hf.errors import DataError

_WHOLE = re.compile(r"[+-]?(0|[1-9]\d*)")
_WHOLE_FLOAT = re.compile(r"[+-]?(0|[1-9]\d*)\.0*")
_FRACTION = re.compile(r"[+-]?\d*\.\d*[1-9]\d*")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_PROBLEM_OF_KIND = {"whole": SINGLE_LABEL, "text": SINGLE_LABEL, "number": REGRESSION, "list": MULTI_LABEL}


def label_kind(tables: Sequence[RawRows], column: str, wanted: str | None = None) -> str:
    """Finds the kind of the labels, and turns the text of CSV cells into it in place.

    Whole numbers in a CSV file are classes even when a tool wrote them as 1.0; elsewhere a float is a float, unless
    single labels are wanted.

    Args:
        tables: all splits together, so that they agree.
        column: the label column.
        wanted: the problem type that the user gave, or None.

    Returns:
        "whole", "number", "text" or "list".

    Raises:
        DataError: a label is missing, of a type that is no label, or of another kind than the first one.
    """
    for table in tables:
        for row, value in enumerate(table.columns[column]):
            if value is None or (isinstance(value, str) and table.is_text and not value.strip()):
                table.refuse(row, column, "the label is missing (None). Fill it or remove the row.")
    _parse_cells([table for table in tables if table.is_text and isinstance(table.columns[column][0], str)], column)
    values = [value for table in tables for value in table.columns[column]]
    kinds = {_kind(value) for value in values}
    if kinds == {"whole", "number"}:
        kinds = {"number"}
    if kinds == {"number"} and wanted == SINGLE_LABEL and all(float(value).is_integer() for value in values):
        for table in tables:
            table.columns[column] = [int(value) for value in table.columns[column]]
        return "whole"
    if len(kinds) == 1 and kinds <= _PROBLEM_OF_KIND.keys():
        return kinds.pop()
    return _refuse_mixture(tables, column)


def problem_of(kind: str, wanted: str | None, tables: Sequence[RawRows], column: str) -> str:
    """Settles the problem type.

    Args:
        kind: what `label_kind` found.
        wanted: the problem type that the user gave, or None.
        tables: for the message.
        column: for the message.

    Raises:
        DataError: the labels cannot be read as the wanted problem.
    """
    found = _PROBLEM_OF_KIND[kind]
    if wanted is None or wanted == found or (wanted == REGRESSION and kind == "whole"):
        return wanted or found
    first = tables[0].columns[column][0]
    raise DataError(
        f"problem_type is {wanted}, but column {column!r} of {tables[0].source} holds labels such as {first!r:.60}, "
        f"which are {found}. Is it the right column (--label-column; in a recipe, data.label_column)? Else change the "
        "labels, or what they are to be (--set data.problem_type=...; in a recipe, data.problem_type)."
    )


def _kind(value: Any) -> str:
    if isinstance(value, int):
        return "whole"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else type(value).__name__


def _refuse_mixture(tables: Sequence[RawRows], column: str) -> NoReturn:
    first = tables[0].columns[column][0]
    for table in tables:
        for row, value in enumerate(table.columns[column]):
            differs = _kind(value) != _kind(first)
            if differs or _kind(first) not in _PROBLEM_OF_KIND:
                other = f", but the first label is {first!r:.60}" if differs else ""
                table.refuse(
                    row,
                    column,
                    f"the label {value!r:.60} is of type {type(value).__name__}{other}. "
                    "Labels are all whole numbers, all names, all fractions (regression), or all lists.",
                )
    raise AssertionError("a mixture was found, so one row differs")


def _parse_cells(tables: Sequence[RawRows], column: str) -> None:
    cells = [cell.strip() for table in tables for cell in table.columns[column]]
    for table in tables:
        values = [cell.strip() for cell in table.columns[column]]
        if all(_WHOLE.fullmatch(cell) for cell in cells):
            table.columns[column] = [int(value) for value in values]
        elif all(_WHOLE.fullmatch(cell) or _WHOLE_FLOAT.fullmatch(cell) for cell in cells):
            table.columns[column] = [int(float(value)) for value in values]
        elif all(_NUMBER.fullmatch(cell) for cell in cells) and any(not cell.isdecimal() for cell in cells):
            table.columns[column] = [float(value) for value in values]
        elif all(cell.startswith("[") for cell in cells):
            table.columns[column] = [_parse_list(table, row, column, cell) for row, cell in enumerate(values)]
        elif any(_FRACTION.fullmatch(cell) for cell in cells):
            for row, value in enumerate(values):
                if not _NUMBER.fullmatch(value):
                    table.refuse(row, column, f"the label {value!r:.60} is no number, but other labels are fractions.")
        else:
            table.columns[column] = values


def _parse_list(table: RawRows, row: int, column: str, cell: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return table.refuse(row, column, f'{cell:.60} is not a list. Write it as [0, 1, 0] or ["name", "name"].')
