"""Reads the project's Markdown pages: their commands, their code, their links and anchors."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import unicodedata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer

from tinybert_hf.cli import app
from tinybert_hf.recipes.loader import shipped_recipes

ROOT = Path(__file__).parent.parent


def fenced_blocks(text: str, *languages: str, title: str | None = None) -> list[str]:
    """The fenced blocks of some languages; with `title`, those that are called so (```python title="...")."""
    blocks = re.findall(r"^```([^\n]*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [
        body
        for info, body in blocks
        if info.strip().split(" ")[0] in languages and (title is None or f'title="{title}"' in info)
    ]


def commands(text: str) -> list[list[str]]:
    """Every `tinybert ...` command of the shell blocks, as words; lines joined at a backslash, comments left out."""
    lines = "\n".join(fenced_blocks(text, "", "bash", "sh", "shell", "console")).replace("\\\n", " ").splitlines()
    parts = [part.strip().removeprefix("$ ") for line in lines for part in re.split(r"&&|;", line.split(" > ")[0])]
    return [shlex.split(part, comments=True)[1:] for part in parts if part.startswith("tinybert ")]


def without_code(text: str) -> str:
    """The text without its fenced blocks, code spans and comments, where brackets and # mean other things."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "`code`", re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL))


def targets(text: str) -> list[str]:
    """What the links of a page point to, as it is written there."""
    return re.findall(r"\]\(([^)\s]+)\)", without_code(text))


def is_external(target: str) -> bool:
    """Whether a link leaves the project."""
    return re.match(r"[a-z][a-z+.-]*:", target) is not None


def links(text: str) -> list[str]:
    """Targets of links that point into the repository, without their anchors."""
    return [target.split("#")[0] for target in targets(text) if not re.match(r"[a-z]+:|#", target)]


def broken_link(page: Path, target: str) -> str | None:
    """What is wrong with a link of a page into the repository; None where it leads somewhere."""
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists():
        return f"{target}: there is no {file}"
    if anchor and file.suffix == ".md" and anchor not in anchors(file.read_text(encoding="utf-8")):
        return f"{target}: no heading of {file.name} is called so"
    return None


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings that GitHub and the built site agree on."""
    titles = re.findall(r"^#{1,6} +(.+?) *$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), flags=re.M)
    plain = [re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {_anchor_of_site(title) for title in plain} & {_anchor_of_github(title) for title in plain}


def _anchor_of_site(title: str) -> str:
    title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())


def _anchor_of_github(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def wrong_address(target: str) -> str | None:
    """What is wrong with the form of an external link; None where it could be right. Nothing is fetched."""
    parts = urlsplit(target)
    if parts.scheme != "https":
        return f"{target}: not https"
    if not re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z]{2,}", parts.netloc):
        return f"{target}: {parts.netloc!r} is no name of a site"
    return None


def parse(words: list[str]) -> Any:
    """Parse a command line as `tinybert` would, without running it."""
    group = typer.main.get_command(app)
    command = group.commands[words[0]]  # type: ignore[attr-defined]
    return command.make_context(words[0], list(words[1:])).params


def check_command(words: list[str]) -> None:
    """Parse a command, and look whether its recipe is there."""
    if "--help" in words or "-h" in words:
        return
    recipe = parse(words).get("recipe")
    assert recipe is None or recipe in shipped_recipes() or recipe.endswith(".yaml"), f"there is no recipe {recipe}"


def check_python(block: str) -> None:
    """Compile a block, and look whether what it imports of this package is there."""
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tinybert_hf":
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"
