"""What mypy and an editor know of the public names: a user's file has their types, and a wrong name is an error."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinybert_hf

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tinybert_hf"
# transformers and torch are not read: their types are not ours, and reading them takes a minute.
SETTINGS = """[mypy]
mypy_path = {root}
follow_imports = silent
[mypy-torch.*,transformers.*,datasets.*,evaluate.*,sklearn.*,scipy.*,accelerate.*,tokenizers.*,safetensors.*,numpy.*]
follow_imports = skip
ignore_missing_imports = True
[mypy-huggingface_hub.*,typer.*,rich.*,yaml.*,jinja2.*,onnx.*,onnxruntime.*,openvino.*,gradio.*,filelock.*,sacrebleu.*]
follow_imports = skip
ignore_missing_imports = True
[mypy-seqeval.*,gensim.*,ai_edge_litert.*,litert_torch.*]
follow_imports = skip
ignore_missing_imports = True
"""
USER = """from tinybert_hf import (
    BenchmarkSettings, DistillationArguments, DistillationTrainer, benchmark_models, export_model, load_recipe,
    open_exported, prune_vocabulary, resolve_layer_map, write_report,
)
args = DistillationArguments("out", phase="prediction")
reveal_type(args)
reveal_type(args.temperature)
reveal_type(DistillationTrainer)
reveal_type(resolve_layer_map)
reveal_type(load_recipe)
reveal_type(export_model)
reveal_type(open_exported)
reveal_type(write_report)
reveal_type(benchmark_models)
reveal_type(BenchmarkSettings().threads)
reveal_type(prune_vocabulary)
args.temperature = "warm"
from tinybert_hf import DistilationArguments
"""


def imported_for_types(source: str) -> dict[str, str]:
    """Name -> module, of the imports under `if TYPE_CHECKING` that give a name on."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for one in node.body:
                assert isinstance(one, ast.ImportFrom)
                found.update({alias.asname: one.module or "" for alias in one.names if alias.asname == alias.name})
    return found  # type: ignore[return-value]


def test_the_imports_for_types_are_those_of_run_time() -> None:
    source = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    assert imported_for_types(source) == tinybert_hf._MODULE_OF


@pytest.mark.parametrize("module", sorted(set(tinybert_hf._MODULE_OF.values())))
def test_a_room_that_imports_late_says_its_names_to_type_checkers_too(module: str) -> None:
    file = PACKAGE.parent.joinpath(*module.split("."))
    source = (file / "__init__.py" if file.is_dir() else file.with_suffix(".py")).read_text(encoding="utf-8")
    known = {
        name
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.asname or alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom)
            else [node.name]
            if isinstance(node, (ast.ClassDef, ast.FunctionDef))
            else []
        )
    }
    assert {name for name, room in tinybert_hf._MODULE_OF.items() if room == module} <= known


def test_mypy_knows_them_in_a_users_file(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    (tmp_path / "mypy.ini").write_text(SETTINGS.format(root=ROOT), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "user.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    revealed = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert len(revealed) == USER.count("reveal_type"), done.stdout + done.stderr
    assert "Any" not in revealed
    assert revealed[0].endswith(".DistillationArguments")
    assert revealed[1].removeprefix("builtins.") == "float"
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(errors) == 2, done.stdout
    assert '"float"' in errors[0]
    assert 'no attribute "DistilationArguments"' in errors[1]
