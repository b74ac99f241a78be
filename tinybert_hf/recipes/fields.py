"""Turn a mapping that was read from YAML into dataclasses: the dataclass is the schema."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from tinybert_hf.errors import RecipeError, TinyBertError, as_float

T = TypeVar("T")


def build(cls: type[T], mapping: Any, path: str = "") -> T:
    """Build a dataclass from a mapping; nested dataclasses, unions, lists and tuples are built as annotated.

    Args:
        cls: a dataclass whose annotations say what each field may hold.
        mapping: what YAML gave for it.
        path: dotted path of the mapping in the recipe, for the messages; empty at the top.

    Raises:
        RecipeError: an unknown field (with the nearest names), a missing one, or a value of another type.
    """
    if not isinstance(mapping, Mapping):
        raise RecipeError(f"{_at(path)}expected fields of the form `name: value`, found {describe(mapping)}")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name in mapping:
        if name not in fields:
            raise RecipeError(unknown_name(_join(path, name), str(name), fields))
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in mapping:
            raise RecipeError(f"{_join(path, name)}: this field is missing, and it has no default")
    hints = get_type_hints(cls)
    values = {name: convert(value, hints[name], _join(path, name)) for name, value in mapping.items()}
    try:
        return cls(**values)
    except TinyBertError as error:
        raise RecipeError(f"{_at(path)}{error}") from error


def unknown_name(path: str, name: str, known: Any) -> str:
    """The message about a name that is not among the known ones, with the nearest of them first."""
    names = [str(one) for one in known]
    nearest = get_close_matches(name, names, n=3, cutoff=0.6)
    nearest = nearest or [one for one in names if name and one.startswith(name)][:3]
    hint = f"did you mean {' or '.join(nearest)}? " if nearest else ""
    return f"{path}: there is no {name!r} here; {hint}Known: {', '.join(names)}"


def convert(value: Any, expected: Any, path: str) -> Any:
    """Give the value as the annotated type, or say what was expected and what was found."""
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, types.UnionType):
        return _convert_union(value, arguments, path)
    if dataclasses.is_dataclass(expected):
        return build(expected, value, path)  # type: ignore[arg-type]
    if expected is Any:
        _check_finite(value, path)
        return value
    if origin in (list, tuple) or expected in (list, tuple):
        if not isinstance(value, list | tuple):
            raise _wrong_type(path, expected, value)
        item = arguments[0] if arguments else Any
        items = [convert(one, item, f"{path}.{index}") for index, one in enumerate(value)]
        return items if (origin or expected) is list else tuple(items)
    if origin is dict or expected is dict:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise _wrong_type(path, expected, value)
        item = arguments[1] if arguments else Any
        return {key: convert(one, item, f"{path}.{key}") for key, one in value.items()}
    converted = _SCALARS[expected](value)
    if converted is None:
        raise _wrong_type(path, expected, value)
    return converted


def _convert_union(value: Any, choices: tuple[Any, ...], path: str) -> Any:
    if value is None and types.NoneType in choices:
        return None
    choices = tuple(choice for choice in choices if choice is not types.NoneType)
    if len(choices) == 1:
        return convert(value, choices[0], path)  # its own message names the exact place
    for choice in choices:
        try:
            return convert(value, choice, path)
        except RecipeError:
            continue
    raise _wrong_type(path, choices, value)


def _check_finite(value: Any, path: str) -> None:
    """Refuse .nan and .inf, also within the lists and fields of a value of any type."""
    if isinstance(value, int | float) and not math.isfinite(as_float(value)):
        raise RecipeError(
            f"{path}: expected a finite number, found {value if isinstance(value, float) else describe(value)}"
        )
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        _check_finite(one, _join(path, name))


def _as_bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _as_float(value: Any) -> float | None:
    # YAML 1.1 reads 1e-4 (without a point) as text, so numbers in text are numbers here.
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = as_float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _as_int(value: Any) -> int | None:
    number = _as_float(value)
    if number is not None and isinstance(value, int):
        return value  # a float would round a long one
    return int(number) if number is not None and number.is_integer() else None


def _as_str(value: Any) -> str | None:
    return value if isinstance(value, str) else None


_SCALARS: dict[Any, Callable[[Any], Any]] = {bool: _as_bool, float: _as_float, int: _as_int, str: _as_str}
_NAMES = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "text",
    list: "a list",
    tuple: "a list",
}


def _wrong_type(path: str, expected: Any, value: Any) -> RecipeError:
    quotes = ""
    choices = expected if isinstance(expected, tuple) else (expected,)
    if str in choices and isinstance(value, bool | int | float):
        quotes = " (that is how YAML reads it without quotes: write '...' if you mean text)"
    names = " or ".join(_name(choice) for choice in choices)
    return RecipeError(f"{path}: expected {names}, found {describe(value)}{quotes}")


def _name(expected: Any) -> str:
    origin = get_origin(expected)
    if origin is dict or expected is dict:
        return "fields of the form `name: value`"
    return _NAMES.get(origin or expected, str(expected))


def describe(value: Any) -> str:
    """A value of YAML in the words of a message."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"fields ({', '.join(str(key) for key in list(value)[:5])})" if value else "fields (none)"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return f"the text {value[:80]!r}"
    if isinstance(value, int) and math.isinf(as_float(value)):
        return "a number of hundreds of digits"
    return f"the number {value}" if isinstance(value, int | float) else f"{type(value).__name__} {value}"


def _join(path: str, name: Any) -> str:
    return f"{path}.{name}" if path else str(name)


def _at(path: str) -> str:
    return f"{path}: " if path else ""
