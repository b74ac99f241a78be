"""What the README says is so: its commands parse, its code imports, nothing that it should lead to is left out."""

import re

import pytest
from markdown_pages import ROOT, check_command, check_python, commands, fenced_blocks, links, parse, targets

from tinybert_hf.cli import COMMANDS

README = (ROOT / "README.md").read_text(encoding="utf-8")
# The set-up with the main job, and the set-up with the tests: alone in their blocks, where a reader sees them at once.
FIRST = (
    "pip install -e . && tinybert distill demo\n",
    'pip install -e ".[test]" && pytest -n logical --dist loadfile\n',
)


@pytest.mark.parametrize("words", commands(README), ids=" ".join)
def test_command_parses(words: list[str]) -> None:
    check_command(words)


@pytest.mark.parametrize("block", fenced_blocks(README, "python"), ids=lambda block: block.strip().splitlines()[0])
def test_python_compiles_and_imports_exist(block: str) -> None:
    check_python(block)


@pytest.mark.parametrize("target", links(README))
def test_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_it_is_a_door_and_not_the_house() -> None:
    assert len(README.encode()) <= 12_000


def test_both_first_commands_stand_at_its_top() -> None:
    assert tuple(fenced_blocks(README, "bash")[:2]) == FIRST
    assert README.index(FIRST[1]) < README.index("```python")
    assert README[: README.index(FIRST[1])].count("\n") <= 40


def test_it_shows_python_before_its_other_commands() -> None:
    languages = re.findall(r"^```(\w+)", README, flags=re.MULTILINE)
    assert languages[:3] == ["bash", "bash", "python"]


@pytest.mark.parametrize("command", [command.__name__.replace("_", "-") for command in COMMANDS])
def test_every_command_has_its_page(command: str) -> None:
    rows = [line for line in README.splitlines() if line.startswith("| `tinybert ")]
    named = [row for row in rows if f"`tinybert {command}`" in row.split(" | ")[0]]
    assert len(named) == 1
    assert targets(named[0])


def test_it_leads_to_every_page_and_every_notebook() -> None:
    pages = {f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md")} - {"docs/index.md"}
    notebooks = {f"notebooks/{file.name}" for file in (ROOT / "notebooks").glob("*.ipynb")}
    assert pages | notebooks <= set(links(README))


def test_every_room_has_a_line() -> None:
    rooms = {path.parent.name for path in (ROOT / "tinybert_hf").glob("*/__init__.py")}
    assert rooms == set(re.findall(r"^\| `(\w+)/` \|", README, flags=re.MULTILINE))


EXAMPLE = """
```bash
pip install -e . && tinybert distill demo   # a comment
tinybert distill --train-file a.jsonl \\
    --teacher x
```
[a](docs/a.md#part) [b](https://example.org) ![c](c.png)
"""


def test_the_reading_of_a_readme() -> None:
    assert commands(EXAMPLE) == [["distill", "demo"], ["distill", "--train-file", "a.jsonl", "--teacher", "x"]]
    assert links(EXAMPLE) == ["docs/a.md", "c.png"]


def test_a_wrong_command_is_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["distill", "demo", "--teachr", "x"])
