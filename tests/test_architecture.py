"""Who may import whom: from the own room and from lower floors, never sideways, never up."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tinybert_hf"
FLOORS = {
    "model": 0,
    "checkpoints": 1,
    "distillation": 2,
    "data": 2,
    "training": 3,
    "evaluation": 3,
    "conversion": 4,
    "recipes": 5,
    "publishing": 5,
    "benchmark": 6,
    "cli": 7,
}
# The folder that travels with every checkpoint: whatever else it imports becomes a requirement of its users.
MODEL_MAY_IMPORT = {*sys.stdlib_module_names, "torch", "transformers", "huggingface_hub"}
FOR_ALL = ("errors", "lazy_names", "messages", "tasks")
FILES = sorted(PACKAGE.rglob("*.py"))


def imported_modules(source: str, package: str) -> Iterator[str]:
    """Absolute names of everything that a file imports, at its top or within a function.

    Args:
        source: the file's text.
        package: dotted name of the package that the file lies in, for relative imports.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            if module == "tinybert_hf":
                yield from (f"tinybert_hf.{alias.name}" for alias in node.names)


def wrong_arrows(source: str, package: str) -> list[str]:
    """What a file of `package` must not import."""
    room = package.split(".")[1]
    wrong = []
    for module in imported_modules(source, package):
        top, _, rest = module.partition(".")
        other = rest.split(".")[0]
        if room == "model":
            if top not in MODEL_MAY_IMPORT and not module.startswith("tinybert_hf.model"):
                wrong.append(module)
        # `import tinybert_hf` alone registers the model family, no more.
        elif top == "tinybert_hf" and other not in ("", *FOR_ALL, room) and FLOORS.get(other, 99) >= FLOORS[room]:
            wrong.append(module)
    return wrong


def package_of(file: Path) -> str:
    return ".".join(("tinybert_hf", *file.relative_to(PACKAGE).parts[:-1]))


@pytest.mark.parametrize("room", FLOORS)
def test_imports_only_from_its_room_and_lower_floors(room: str) -> None:
    files = sorted((PACKAGE / room).rglob("*.py"))
    assert files
    wrong = {str(file): wrong_arrows(file.read_text(encoding="utf-8"), package_of(file)) for file in files}
    assert {file: arrows for file, arrows in wrong.items() if arrows} == {}


@pytest.mark.parametrize("file", sorted((PACKAGE / "model").glob("*_tinybert*.py")), ids=lambda f: f.name)
def test_files_of_a_checkpoint_import_each_other_as_neighbours(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1, f"line {node.lineno}: `..` does not exist in a checkpoint's flat folder"
            assert node.module, f"line {node.lineno}: `from . import x` does not travel"
            assert "." not in node.module, f"line {node.lineno}: a checkpoint has no subfolders"
    own = imported_modules(file.read_text(encoding="utf-8"), "tinybert_hf.model")
    assert not [m for m in own if m == "tinybert_hf" or (m.startswith("tinybert_hf.") and "model." not in m)]


def test_no_circle_of_imports_at_run_time() -> None:
    modules = {
        ".".join(("tinybert_hf", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): file
        for file in FILES
    }
    graph = {}
    for name, file in modules.items():
        at_the_top = [
            node for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)
        ]
        named = [(str(node.module), f"{node.module}.{alias.name}") for node in at_the_top for alias in node.names]
        graph[name] = {inner if inner in modules else module for module, inner in named} & modules.keys()
    TopologicalSorter(graph).prepare()  # raises a CycleError that names the files


def test_every_room_has_a_floor() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert rooms == FLOORS.keys()


def test_no_room_for_leftovers() -> None:
    assert not [file for file in FILES if file.stem in ("utils", "helpers", "misc", "common")]


@pytest.mark.parametrize(
    ("package", "source", "wrong"),
    [
        ("tinybert_hf.training", "from tinybert_hf.distillation import capture", []),
        ("tinybert_hf.training", "from tinybert_hf.recipes.loader import load_recipe", ["tinybert_hf.recipes.loader"]),
        ("tinybert_hf.training", "import tinybert_hf.evaluation", ["tinybert_hf.evaluation"]),
        ("tinybert_hf.conversion.export", "from ...recipes import plan", ["tinybert_hf.recipes"]),
        ("tinybert_hf.conversion.export", "from ..published import HEADS", []),
        ("tinybert_hf.data", "def f():\n    from tinybert_hf import training", ["tinybert_hf.training"]),
        ("tinybert_hf.data", "from tinybert_hf.errors import DataError", []),
        ("tinybert_hf.model", "from tinybert_hf.errors import DataError", ["tinybert_hf.errors"]),
        ("tinybert_hf.model", "import numpy", ["numpy"]),
        ("tinybert_hf.model", "from .configuration_tinybert import TinyBertConfig\nimport torch.nn", []),
    ],
)
def test_the_rule_itself(package: str, source: str, wrong: list[str]) -> None:
    assert wrong_arrows(source, package) == wrong
