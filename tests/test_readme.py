"""What the README says is so: its commands parse, its code imports, its files exist."""

import ast
import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

import tinybert_hf
from tinybert_hf.cli import app
from tinybert_hf.recipes.loader import shipped_recipes

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def fenced_blocks(text: str, *languages: str) -> list[str]:
    """The fenced blocks of some languages."""
    blocks = re.findall(r"^```([^\n]*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [body for language, body in blocks if language.strip().split(" ")[0] in languages]


def commands(text: str) -> list[list[str]]:
    """Every `tinybert ...` command of the shell blocks, as words; lines joined at a backslash, comments left out."""
    lines = "\n".join(fenced_blocks(text, "", "bash", "sh", "shell", "console")).replace("\\\n", " ").splitlines()
    parts = [part.strip().removeprefix("$ ") for line in lines for part in re.split(r"&&|;", line.split(" > ")[0])]
    return [shlex.split(part, comments=True)[1:] for part in parts if part.startswith("tinybert ")]


def file_tree(text: str) -> dict[str, str]:
    """Path -> description of every line of the file tree that begins with `tinybert_hf/`."""
    tree: dict[str, str] = {}
    for block in fenced_blocks(text, "", "text"):
        if not block.lstrip().startswith("tinybert_hf/"):
            continue
        folders: list[str] = []
        for line in block.splitlines():
            match = re.match(r"^([\s│├└─]*)(\S+)\s*(.*)$", line)
            if match is None:
                continue
            depth, name = len(match[1]) // 4, match[2]
            folders = [*folders[:depth], name.rstrip("/")]
            tree["/".join(folders)] = match[3].strip()
    return tree


def links(text: str) -> list[str]:
    """Targets of links that point into the repository."""
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return [target.split("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]


def parse(words: list[str]) -> Any:
    """Parse a command line as `tinybert` would, without running it."""
    group = typer.main.get_command(app)
    command = group.commands[words[0]]  # type: ignore[attr-defined]
    return command.make_context(words[0], list(words[1:])).params


@pytest.mark.parametrize("words", commands(README), ids=" ".join)
def test_command_parses(words: list[str]) -> None:
    if "--help" in words or "-h" in words:
        return
    parsed = parse(words)
    recipe = parsed.get("recipe")
    assert recipe is None or recipe in shipped_recipes() or recipe.endswith(".yaml")


@pytest.mark.parametrize("block", fenced_blocks(README, "python"), ids=lambda block: block.strip().splitlines()[0])
def test_python_compiles_and_imports_exist(block: str) -> None:
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tinybert_hf":
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"


@pytest.mark.parametrize("target", links(README))
def test_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_file_tree_names_every_file_once_with_a_description() -> None:
    tree = file_tree(README)
    assert tree, "the README has no file tree"
    package = Path(tinybert_hf.__file__).parent
    files = {
        str(file.relative_to(ROOT))
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.name != "py.typed"
    }
    listed = {path for path in tree if (ROOT / path).is_file() or not (ROOT / path).is_dir()}
    assert listed - files - {"tinybert_hf/py.typed"} == set(), "the tree names files that are not there"
    # An __init__.py that only gathers names is said by its folder's line.
    assert {file for file in files - listed if not file.endswith("__init__.py")} == set(), "files without a line"
    assert [path for path in listed if not tree[path]] == [], "lines without a description"


EXAMPLE = """
```bash
pip install -e . && tinybert distill demo   # a comment
tinybert distill --train-file a.jsonl \\
    --teacher x
```
```text
tinybert_hf/
├── cli/                 commands
│   └── distill.py       one command
└── errors.py            what can go wrong
```
[a](docs/a.md#part) [b](https://example.org) ![c](c.png)
"""


def test_the_reading_of_a_readme() -> None:
    assert commands(EXAMPLE) == [["distill", "demo"], ["distill", "--train-file", "a.jsonl", "--teacher", "x"]]
    assert links(EXAMPLE) == ["docs/a.md", "c.png"]
    assert file_tree(EXAMPLE) == {
        "tinybert_hf": "",
        "tinybert_hf/cli": "commands",
        "tinybert_hf/cli/distill.py": "one command",
        "tinybert_hf/errors.py": "what can go wrong",
    }


def test_a_wrong_command_is_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["distill", "demo", "--teachr", "x"])
