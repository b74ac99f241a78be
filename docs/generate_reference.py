"""Writes docs/recipe.md and docs/commands.md from the code: every field of a recipe, every option of a command.

    python docs/generate_reference.py            # writes the two files
    python docs/generate_reference.py --check    # says whether they are as the code is

A field or an option without a description is an error.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import sys
import textwrap
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

FOLDER = Path(__file__).resolve().parent
_HEAD = "<!-- Written by `python docs/generate_reference.py`. -->"


def recipe_page() -> str:
    """Every field of a recipe."""
    from tinybert_hf.recipes.schema import Recipe

    lines = [
        _HEAD,
        "",
        "# What a recipe may say",
        "",
        "A recipe is a YAML file with these fields; `tinybert recipes NAME` prints a shipped one to begin with. Each "
        "field can be",
        "set for one run: `--set phases.0.learning_rate=1e-4`, `--set student.overrides.num_hidden_layers=3`.",
    ]
    for path, kind in sections(Recipe):
        lines += ["", f"## `{path}`" if path else "## The recipe itself", ""]
        lines += [first_paragraph(kind), ""]
        lines += ["| field | holds | default | |", "| --- | --- | --- | --- |"]
        described = descriptions(kind)
        hints = get_type_hints(kind)
        for field in dataclasses.fields(kind):
            if nested(hints[field.name]) is not None:
                about = described.get(field.name, "") or "A section of its own, below."
            elif field.name in described:
                about = described[field.name]
            else:
                raise SystemExit(f"{kind.__name__}.{field.name} has no description")
            about = about.replace("None", "null")  # as YAML has it
            lines.append(f"| `{field.name}` | {format_type(hints[field.name])} | {default_of(field)} | {about} |")
    return "\n".join(lines) + "\n"


def sections(kind: Any, path: str = "") -> list[tuple[str, Any]]:
    """A dataclass and those below it, with the paths of their fields."""
    found = [(path, kind)]
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        below = nested(hints[field.name])
        if below is not None:
            inner, many = below
            name = f"{path}.{field.name}" if path else field.name
            found += sections(inner, f"{name}.N" if many else name)
    return found


def nested(hint: Any) -> tuple[Any, bool] | None:
    """The dataclass that a field holds, and whether it holds several."""
    if dataclasses.is_dataclass(hint):
        return hint, False
    for inner in get_args(hint):
        if dataclasses.is_dataclass(inner):
            return inner, get_origin(hint) in (list, tuple)
    return None


def descriptions(kind: Any) -> dict[str, str]:
    """What the code says of each field: a text below it, or a line of the section Attributes."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    body = tree.body[0].body  # type: ignore[attr-defined]
    found = {}
    for one, after in itertools.pairwise(body):
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(one, ast.AnnAssign) and is_text and isinstance(after.value.value, str):  # type: ignore[attr-defined]
            found[one.target.id] = on_one_line(after.value.value)  # type: ignore[attr-defined,union-attr]
    found |= {
        one.name: on_one_line(one.metadata["help"]) for one in dataclasses.fields(kind) if "help" in one.metadata
    }
    attributes = re.search(r"Attributes:\n(.*?)(?:\n\n|\Z)", inspect.getdoc(kind) or "", re.DOTALL)
    if attributes:
        for entry in re.finditer(r"^ {4}(\w+): (.*?)(?=^ {4}\w+: |\Z)", attributes[1], re.DOTALL | re.MULTILINE):
            found.setdefault(entry[1], on_one_line(entry[2]))
    return found


def first_paragraph(kind: Any) -> str:
    """Of the docstring."""
    return on_one_line((inspect.getdoc(kind) or "").split("\n\n")[0])


def on_one_line(text: str) -> str:
    """For a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def format_type(hint: Any) -> str:
    """What YAML may hold there."""
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(format_type(one) for one in get_args(hint) if one is not type(None))
    if nested(hint) is not None:
        return "a list of sections" if get_origin(hint) in (list, tuple) else "a section"
    origin = get_origin(hint) or hint
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "fields"}
    return words.get(origin, "a list")


def default_of(field: Any) -> str:
    """As YAML has it; a dash where the field is needed."""
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
        return "needed"
    value = field.default if field.default is not dataclasses.MISSING else field.default_factory()
    if dataclasses.is_dataclass(value) or (isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0])):
        return "their defaults" if not isinstance(value, tuple) else ", ".join(f"`{one.name}`" for one in value)
    if value is None or value in ("", (), {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def commands_page() -> str:
    """Every command and option."""
    import typer

    from tinybert_hf.cli import app

    group: Any = typer.main.get_command(app)
    lines = [_HEAD, "", "# The commands", "", on_one_line(group.help or "") + " Each command has `--help`."]
    for name, command in group.commands.items():
        parts = [on_one_line(part) for part in (command.help or "").split("\n\n")]
        lines += [
            "",
            f"## `tinybert {name}`",
            "",
            "\n\n".join(parts),
            "",
            "| option | default | |",
            "| --- | --- | --- |",
        ]
        for parameter in command.params:
            about = getattr(parameter, "help", None)
            if parameter.name == "help":
                continue
            if not about:
                raise SystemExit(f"tinybert {name}: {parameter.name} has no description")
            is_argument = parameter.param_type_name == "argument"
            title = parameter.name.upper() if is_argument else ", ".join([*parameter.opts, *parameter.secondary_opts])
            default = "" if parameter.default in (None, False, "") or parameter.required else f"`{parameter.default}`"
            lines.append(f"| `{title}` | {'needed' if parameter.required else default} | {on_one_line(about)} |")
    return "\n".join(lines) + "\n"


PAGES = {"recipe.md": recipe_page, "commands.md": commands_page}


def main() -> int:
    """Write or check."""
    stale = []
    for name, make in PAGES.items():
        text = make()
        if "--check" not in sys.argv:
            (FOLDER / name).write_text(text, encoding="utf-8")
        elif not (FOLDER / name).is_file() or (FOLDER / name).read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        print(f"not as the code is: {', '.join(stale)}; run python docs/generate_reference.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
