"""The public names exist, and the package stays light until they are used."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import tinybert_hf

HEAVY = ("datasets", "evaluate", "sklearn", "onnxruntime")


@pytest.mark.parametrize("name", tinybert_hf.__all__)
def test_public_name_is_there(name: str) -> None:
    assert getattr(tinybert_hf, name).__name__ == name


def test_names_of_the_readme_example_are_public() -> None:
    promised = {
        "TinyBertConfig",
        "TinyBertForSequenceClassification",
        "DistillationTrainer",
        "DistillationArguments",
        "distillation_losses",
    }
    assert promised <= set(tinybert_hf.__all__)
    assert set(tinybert_hf.__all__) <= set(dir(tinybert_hf))


def test_one_version_everywhere() -> None:
    root = Path(__file__).parent.parent
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation["version"] == tinybert_hf.__version__
    assert f"## {tinybert_hf.__version__}" in (root / "CHANGELOG.md").read_text()
    assert re.fullmatch(r"\d+\.\d+\.\d+", tinybert_hf.__version__)


def test_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'TinyBart'"):
        _ = tinybert_hf.TinyBart


def loaded_after(code: str) -> set[str]:
    """The heavy libraries that a fresh process has loaded after `code`."""
    script = f"{code}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=280)
    return set(process.stdout.split())


def test_import_loads_nothing_heavy() -> None:
    everything = "import tinybert_hf, tinybert_hf.cli, tinybert_hf.data, tinybert_hf.recipes"
    assert loaded_after(everything) == set()


def test_the_command_line_itself_imports_no_torch() -> None:
    # The package's own __init__ registers the model family and so loads torch; the command line must not add to it.
    script = (
        "import sys, types\n"
        "package = types.ModuleType('tinybert_hf')\n"
        f"package.__path__ = [{str(next(iter(tinybert_hf.__path__)))!r}]\n"
        "sys.modules['tinybert_hf'] = package\n"
        "import tinybert_hf.cli\n"
        "print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=280)
    assert process.stdout.split() == ["False", "False"]
