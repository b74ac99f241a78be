"""Find recipes, read their YAML, and turn it into a `Recipe`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tinybert_hf.errors import RecipeError
from tinybert_hf.recipes.fields import build, describe, unknown_name
from tinybert_hf.recipes.overrides import apply_overrides, set_value

if TYPE_CHECKING:
    from tinybert_hf.recipes.schema import Recipe


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
    from tinybert_hf.recipes.schema import Recipe  # brings the Trainer, which a list of recipes does not need

    mapping = changed_recipe(name_or_path, overrides or {}, assignments, with_baseline=with_baseline)
    try:
        return build(Recipe, mapping)
    except RecipeError as error:
        raise RecipeError(f"recipe {name_or_path}: {error}") from error


def changed_recipe(
    name_or_path: str, overrides: Mapping[str, Any], assignments: Iterable[str], *, with_baseline: bool = False
) -> dict[str, Any]:
    """A recipe with its changes, as plain values that nobody has checked; arguments and errors as `load_recipe`."""
    mapping = read_recipe(name_or_path)
    mapping.setdefault("name", Path(name_or_path).stem)
    for path, value in overrides.items():
        set_value(mapping, path, value)
    if with_baseline and mapping.get("baseline") is None:
        mapping["baseline"] = {}
    return apply_overrides(mapping, assignments)


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
