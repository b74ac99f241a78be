"""Finds recipes, reads their YAML, changes it from the command line, and turns it into a `Recipe`."""

from __future__ import annotations

import copy
import dataclasses
import math
import types
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from tinybert_hf.errors import RecipeError, TinyBertError, as_float
from tinybert_hf.messages import nearest_names

if TYPE_CHECKING:
    from tinybert_hf.recipes.schema import Recipe


# Turn a mapping that was read from YAML into dataclasses: the dataclass is the schema.

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


_MANY_NAMES = 12  # a list of more hides the hint before it


def unknown_name(path: str, name: str, known: Any) -> str:
    """The message about a name that is not among the known ones, with the nearest of them first."""
    names = [str(one) for one in known]
    nearest = nearest_names(name, names, most=3)
    nearest = nearest or [one for one in names if name and one.startswith(name)][:3]
    hint = f"did you mean {' or '.join(nearest)}? " if nearest else ""
    if nearest and len(names) > _MANY_NAMES:
        return f"{path}: there is no {name!r} here; {hint}docs/recipe.md has all {len(names)}"
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


# Changes to a recipe from the command line: `--set phases.0.learning_rate=1e-4` and the options.


def apply_overrides(mapping: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """Apply assignments like "phases.0.learning_rate=1e-4" to a copy of a recipe's mapping.

    The value is read as YAML, so `null`, `true`, `[a, b]` and `{epochs: 2}` mean what they mean in the file.

    Raises:
        RecipeError: no "=", a path that leads nowhere, a list index that is out of range.
    """
    changed = copy.deepcopy(dict(mapping))
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path.strip():
            raise RecipeError(
                f"--set {assignment}: expected PATH=VALUE, for example phases.0.learning_rate=1e-4 or seed=1"
            )
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError) as error:
            raise RecipeError(f"--set {assignment}: the value is not YAML; put it in quotes") from error
        set_value(changed, path.strip(), value)
    return changed


def set_value(mapping: dict[str, Any], path: str, value: Any) -> None:
    """Set one value at a dotted path, in place; sections that are absent or null are made."""
    *parents, last = path.split(".")
    holder: Any = mapping
    walked: list[str] = []
    for part in parents:
        key = _key(holder, part, walked)
        if isinstance(holder, dict) and holder.get(key) is None:
            holder[key] = {}
        holder = holder[key]
        walked.append(part)
    holder[_key(holder, last, walked)] = value


def _key(holder: Any, part: str, walked: list[str]) -> Any:
    where = ".".join(walked)
    if isinstance(holder, dict):
        return part
    if not isinstance(holder, list):
        raise RecipeError(f"{where}.{part}: {where} is {describe(holder)}, it has no parts that could be set")
    if not part.isdecimal() or int(part) >= len(holder):
        items = ", ".join(f"{where}.{index}{_label(item)}" for index, item in enumerate(holder))
        raise RecipeError(f"{where}.{part}: {where} is a list, its items are {items or '(none)'}")
    return int(part)


def _label(item: Any) -> str:
    return f" ({item['name']})" if isinstance(item, dict) and "name" in item else ""


# Find recipes, read their YAML, and turn it into a `Recipe`.


def shipped_recipes() -> dict[str, str]:
    """Names of the recipes that come with the package, with their descriptions."""
    return {name: str(read_recipe(name).get("description", "")).strip() for name in _shipped_names()}


def _shipped_names() -> list[str]:
    names = [entry.name for entry in files("tinybert_hf.recipes").iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_recipe(
    name_or_path: str,
    overrides: Mapping[str, Any] | None = None,
    assignments: Iterable[str] = (),
    *,
    with_baseline: bool = False,
) -> Recipe:
    """Load a recipe and apply what the command line says about it.

    Args:
        name_or_path: a name of `shipped_recipes` or a YAML file.
        overrides: values by dotted path, for example {"teacher.model": "bert-base-uncased"}.
        assignments: further ones as text, "phases.0.learning_rate=1e-4"; they win.
        with_baseline: where the recipe has no baseline, add one with the usual settings.

    Raises:
        RecipeError: no such recipe, a file that is not YAML, an unknown field, a value of the wrong type or range.
    """
    mapping = changed_recipe(
        read_recipe(name_or_path), name_or_path, overrides or {}, assignments, with_baseline=with_baseline
    )
    return build_recipe(mapping, name_or_path)


def build_recipe(mapping: Mapping[str, Any], name_or_path: str) -> Recipe:
    """The recipe that a mapping says; errors as `load_recipe`."""
    from tinybert_hf.recipes.schema import Recipe  # which needs this file

    try:
        return build(Recipe, mapping)
    except RecipeError as error:
        raise RecipeError(f"recipe {name_or_path}: {error}") from error


def changed_recipe(
    mapping: Mapping[str, Any],
    name_or_path: str,
    overrides: Mapping[str, Any],
    assignments: Iterable[str],
    *,
    with_baseline: bool = False,
) -> dict[str, Any]:
    """A recipe with its changes, as plain values that nobody has checked.

    Args:
        mapping: of the recipe, from `read_recipe`; unchanged.
        name_or_path: what it was read from.
        overrides: as for `load_recipe`, like assignments and with_baseline.

    Raises:
        RecipeError: a change that leads nowhere.
    """
    changed = copy.deepcopy(dict(mapping))
    changed.setdefault("name", Path(name_or_path).stem)
    for path, value in overrides.items():
        set_value(changed, path, value)
    if with_baseline and changed.get("baseline") is None:
        changed["baseline"] = {}
    return apply_overrides(changed, assignments)


def read_recipe(name_or_path: str) -> dict[str, Any]:
    """Read the YAML of a shipped recipe or of a file, without checking its fields.

    Raises:
        RecipeError: no such recipe, or a file that is empty or broken, with the line.
    """
    return _parse(recipe_text(name_or_path), name_or_path)


def recipe_text(name_or_path: str) -> str:
    """The YAML of a shipped recipe or of a file, as it is written.

    Raises:
        RecipeError: no such recipe, or a file that cannot be read.
    """
    if name_or_path.endswith((".yaml", ".yml")) or "/" in name_or_path:
        try:
            return Path(name_or_path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise RecipeError(
                f"recipe {name_or_path}: there is no such file; `tinybert recipes sst2 > {name_or_path}` makes one to "
                "change"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"recipe {name_or_path}: the file cannot be read: {error}") from error
    shipped = files("tinybert_hf.recipes").joinpath(f"{name_or_path}.yaml")
    if not shipped.is_file():
        message = unknown_name("recipe", name_or_path, _shipped_names())
        raise RecipeError(f"{message}. An own recipe is given as a file: my-recipe.yaml")
    return shipped.read_text(encoding="utf-8")


_MAX_CHARACTERS, _MAX_VALUES = 1_000_000, 10_000


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key standing twice, where YAML would silently take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            problem = None
            if not isinstance(key_node, yaml.ScalarNode):
                problem = "the name of a field has to be a word"
            elif key_node.value in seen:
                problem = f"the field {key_node.value!r} stands here twice"
            if problem:
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def _check_size(root: yaml.Node | None, source: str) -> None:
    """Refuse aliases that stand for more than they seem to: nine lines of them can make a billion values.

    Raises:
        RecipeError: too many values, or an alias within the value that it names.
    """
    sizes: dict[int, int] = {}
    waiting = [(root, False)] if root is not None else []
    within: set[int] = set()
    while waiting:
        node, is_done = waiting.pop()
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        parts = parts if isinstance(node, yaml.CollectionNode) else []
        if is_done:
            within.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(part)] for part in parts)
            if sizes[id(node)] > _MAX_VALUES:
                raise RecipeError(
                    f"recipe {source}, {_line(node)}: with its aliases (*name) it makes more than "
                    f"{_MAX_VALUES:,} values"
                )
        elif id(node) in within:
            raise RecipeError(
                f"recipe {source}, {_line(node)}: an alias (*name) stands within the value that it names"
            )
        elif id(node) not in sizes:
            within.add(id(node))
            waiting += [(node, True), *((part, False) for part in parts)]


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"


def _parse(text: str, source: str) -> dict[str, Any]:
    if len(text) > _MAX_CHARACTERS:
        raise RecipeError(f"recipe {source}: {len(text):,} characters are too many for a recipe")
    try:
        _check_size(yaml.compose(text, Loader=_Loader), source)
        mapping = yaml.load(text, Loader=_Loader)
    except RecursionError as error:
        raise RecipeError(f"recipe {source}: it is nested too deeply") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise RecipeError(f"recipe {source}{place}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"recipe {source}: not valid YAML: {error}") from error
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
        # PyYAML takes 2020-13-45 for a date, !!int x for a number, and then fails to read them.
        if isinstance(error, RecipeError):
            raise
        raise RecipeError(f"recipe {source}: a value cannot be read ({error}); put it in quotes") from error
    if mapping is None:
        raise RecipeError(
            f"recipe {source}, line 1: the file is empty; `tinybert recipes` lists recipes to start from"
        )
    if not isinstance(mapping, dict):
        raise RecipeError(f"recipe {source}, line 1: expected fields (`name: value`), found {describe(mapping)}")
    return mapping
