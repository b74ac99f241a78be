"""Changes to a recipe from the command line: `--set phases.0.learning_rate=1e-4` and the options."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from tinybert_hf.errors import RecipeError
from tinybert_hf.recipes.fields import describe


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
