"""The notebooks that are committed: as their sources are, run to the end, and fit to be read.

`make test-notebooks` runs them; here their files are only read.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 400_000  # bytes, pictures included
# A home, a temporary folder, a place of packages: paths of the machine that ran a notebook.
PLACES = re.compile(
    r"(?<![\w.])/(?:home|root|tmp|Users|usr|opt|mnt|var|work|private)/|[A-Z]:\\\\|site-packages|ipykernel_\d"
)
NOISE = re.compile(r"Warning\b|it/s\]|s/it\]|\d+%\|")  # of libraries, and of progress bars
# Two notebooks draw: a picture that is lost is seen by nobody who only reads the code.
PICTURES = {"04_what_the_student_learned": 3, "05_shipping": 1}


def read(notebook: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(notebook.read_text(encoding="utf-8"))
    return content


def code_cells(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells that run, without empty ones."""
    return [cell for cell in content["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


def texts_of(output: dict[str, Any]) -> list[str]:
    """Everything in an output that is read as text."""
    parts = [output.get("text", ""), *(value for kind, value in output.get("data", {}).items() if kind[:5] == "text/")]
    return ["".join(part) for part in parts]


def faults(content: dict[str, Any]) -> list[str]:
    """What must not be in a notebook that is committed."""
    found, cells = [], code_cells(content)
    counts = [cell["execution_count"] for cell in cells]
    if counts != list(range(1, len(cells) + 1)):
        found.append(f"the cells were not run once, from top to bottom: {counts}")
    for number, cell in enumerate(cells, start=1):
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                found.append(f"cell {number} ended in {output['ename']}")
            for text in texts_of(output):
                found += [
                    f"cell {number} shows a path: {text[m.start() : m.end() + 30]}" for m in PLACES.finditer(text)
                ]
                found += [f"cell {number} is noisy: {m[0]}" for m in NOISE.finditer(text)]
    return found


def pictures(content: dict[str, Any]) -> int:
    return sum("image/png" in output.get("data", {}) for cell in code_cells(content) for output in cell["outputs"])


def test_there_are_pairs() -> None:
    assert NOTEBOOKS
    assert [file.stem for file in NOTEBOOKS] == sorted(file.stem for file in FOLDER.glob("*.py"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_is_as_its_source(notebook: Path) -> None:
    jupytext = pytest.importorskip("jupytext")
    source = jupytext.read(notebook.with_suffix(".py"))
    kept = [(cell["cell_type"], "".join(cell["source"])) for cell in read(notebook)["cells"]]
    assert kept == [(cell.cell_type, cell.source) for cell in source.cells], "run `make notebooks`"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_was_run_and_is_fit_to_be_read(notebook: Path) -> None:
    content = read(notebook)
    assert faults(content) == []
    assert any(cell["outputs"] for cell in code_cells(content))
    assert pictures(content) >= PICTURES.get(notebook.stem, 0)
    assert notebook.stat().st_size <= LARGEST


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_is_tidy(notebook: Path) -> None:
    assert tidy_notebooks().tidy(read(notebook)) == read(notebook), "run `make notebooks`"


def test_pieces_of_a_stream_are_joined() -> None:
    other = {"output_type": "stream", "name": "stderr", "text": ["d\n"]}
    made = tidy_notebooks().joined([stream("a\nb"), stream("c\n"), other, stream("e\n")])
    assert [one["text"] for one in made] == [["a\n", "bc\n"], ["d\n"], ["e\n"]]


def tidy_notebooks() -> Any:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("tidy_notebooks", ROOT / "docs" / "tidy_notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_says_first_what_the_reader_will_have(notebook: Path) -> None:
    first = "".join(read(notebook)["cells"][0]["source"])
    assert re.match(r"# \w", first)
    assert "**At the end you have**" in first
    assert "**It takes**" in first


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_works_in_a_temporary_folder(notebook: Path) -> None:
    source = "\n".join("".join(cell["source"]) for cell in code_cells(read(notebook)) if not is_magic(cell))
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    assert "tempfile.TemporaryDirectory" in calls
    assert "os.chdir" in calls
    assert not PLACES.search(source)


def is_magic(cell: dict[str, Any]) -> bool:
    return "".join(cell["source"]).startswith("%%")


def test_the_readme_lists_them() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [file.name for file in NOTEBOOKS if f"(notebooks/{file.name})" not in readme] == []


def cell(*outputs: dict[str, Any], count: int = 1) -> dict[str, Any]:
    return {"cell_type": "code", "source": ["x"], "execution_count": count, "outputs": list(outputs)}


def stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ([cell(stream("The student is in out.\nacc/loss 0.5, https://example.org/tmp/x\n"))], None),
        ([cell(stream("saved in /tmp/abc/out"))], "shows a path: /tmp/abc"),
        ([cell({"output_type": "display_data", "data": {"text/html": ["<b>", "/home/me/x</b>"]}})], "shows a path"),
        ([cell(stream("a.py:1: UserWarning: x"))], "is noisy: Warning"),
        ([cell(stream(" 50%|#####     | 1/2 [00:01<00:01, 1.5it/s]"))], "is noisy"),
        ([cell({"output_type": "error", "ename": "KeyError", "evalue": "", "traceback": []})], "ended in KeyError"),
        ([cell(count=2)], "not run once"),
        ([cell(), {**cell(), "execution_count": None}], "not run once"),
    ],
)
def test_the_reading_of_a_notebook(cells: list[dict[str, Any]], fault: str | None) -> None:
    found = faults({"cells": cells})
    assert found == [] if fault is None else any(fault in one for one in found)
