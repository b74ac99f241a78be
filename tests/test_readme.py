"""What the README says is so: its commands parse, its code imports, its files exist."""

import re
from pathlib import Path

import pytest
from markdown_pages import ROOT, check_command, check_python, commands, fenced_blocks, links, parse

import tinybert_hf

README = (ROOT / "README.md").read_text(encoding="utf-8")


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


@pytest.mark.parametrize("words", commands(README), ids=" ".join)
def test_command_parses(words: list[str]) -> None:
    check_command(words)


@pytest.mark.parametrize("block", fenced_blocks(README, "python"), ids=lambda block: block.strip().splitlines()[0])
def test_python_compiles_and_imports_exist(block: str) -> None:
    check_python(block)


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
