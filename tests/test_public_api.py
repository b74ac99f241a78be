"""The public names exist, and the package stays light until they are used."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import tinybert_hf
from tinybert_hf.model import PRESETS
from tinybert_hf.tasks import student_shapes

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


@pytest.mark.slow
def test_import_adds_nothing_to_what_a_bert_of_transformers_loads() -> None:
    script = (
        "import sys, transformers\n"
        "transformers.AutoModel, transformers.AutoTokenizer, transformers.BertForSequenceClassification\n"
        "from transformers import BertTokenizer, EncoderDecoderConfig, GenerationMixin, MarianTokenizer\n"
        "before = set(sys.modules)\n"
        "import tinybert_hf\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=280)
    more = process.stdout.split()
    assert "tinybert_hf.model.modeling_tinybert" in more
    assert {name.split(".")[0] for name in more} <= {"tinybert_hf", "transformers"}
    assert [name for name in more if name.startswith("transformers.models.")] == []


def test_the_command_answers_without_torch(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "sys.argv = ['tinybert', *sys.argv[1:]]\n"
        "from tinybert_hf_command import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print('loaded:', *(name for name in ('torch', 'transformers') if name in sys.modules))"
    )
    (tmp_path / "bad.yaml").write_text("name: [")
    (tmp_path / "wrong.yaml").write_text("student: {preset: 4l-312d}\nphases: [{name: intermediate, epoch: 1}]")
    (tmp_path / "rows.jsonl").write_text("{}")
    rows = ["--train-file", "rows.jsonl", "--validation-file"]
    for arguments, said in (
        (["--help"], "distill"),
        (["distill", "--teecher", "x"], "--teacher"),
        (["distill", "sst3"], "did you mean sst2"),
        (["distill", "bad.yaml"], "bad.yaml, line 1"),
        (["distill", "wrong.yaml"], "did you mean epochs"),
        (["distill", "sst2", "--set", "phases.0.temperature=0"], "temperature"),
        (["distill", "demo", "--student", "4l-312"], "did you mean 4l-312d"),
        (["distill", "sst2", *rows, "row.jsonl", "--student", "4l-312d"], "Did you mean rows.jsonl"),
        (["distill", "sst2", *rows, "rows.jsonl", "--teacher", "./x"], "./x does not exist"),
        (["export", "x", "--to", "onxx"], "Did you mean onnx?"),
        (["benchmark", "bert-base", "--backends", "egaer"], "Did you mean 'eager'"),
        (["benchmark", "bert-base", "--plot", "p.png", "--validation-file", "rows.jsonl"], "has to end in .svg"),
        (["distill", "general", "--corpus", "no/*.txt", "--teacher", "x"], "No file matches no/*.txt"),
    ):
        process = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            capture_output=True, text=True, check=False, timeout=280, cwd=tmp_path,
        )  # fmt: skip
        assert said in process.stdout + process.stderr
        assert process.stdout.splitlines()[-1] == "loaded:"


LOAD = "import tinybert_hf_command, sys\nfrom tinybert_hf import load_recipe\n"
SAID = "print(*(name for name in ('torch', 'transformers', 'numpy') if name in sys.modules))"


def test_a_recipe_is_checked_without_torch(tmp_path: Path) -> None:
    wrong = {
        "phases: [{name: intermediate, epoch: 1}]": "did you mean epochs",
        "phases: [{name: prediction, cross_attention_loss_weight: 1}]": "is for translators",
        "phases: [{name: intermediate, layer_map: none}]": "no loss but those between layers",
        "phases: [{name: intermediate, teacher_cache: true}]": "too large to keep",
        "phases: [{name: intermediate, projection: each}]": "there is no 'each' here",
        "student: {preset: 4l-312}": "did you mean 4l-312d",
        "student: {preset: seq2seq-6-2-256d}": "is a translator",
        "teacher: {model: x, dtype: int4}": "there is no 'int4' here",
        "card: {license: 3}": "card.license",
    }
    script = [
        LOAD,
        "from tinybert_hf.recipes.loader import shipped_recipes",
        "for name in shipped_recipes(): load_recipe(name)",
    ]
    for number, line in enumerate(wrong):
        rest = "" if line.startswith("student") else "student: {preset: 4l-312d}\n"
        (tmp_path / f"{number}.yaml").write_text(f"{rest}{line}\n")
        script += ["try:", f"    load_recipe('{number}.yaml')", "except Exception as error:", "    print(error)"]
    process = subprocess.run(
        [sys.executable, "-c", "\n".join([*script, SAID])],
        capture_output=True, text=True, check=True, timeout=280, cwd=tmp_path,
    )  # fmt: skip
    *messages, loaded = process.stdout.splitlines()
    assert len(messages) == len(wrong)
    for number, (message, said) in enumerate(zip(messages, wrong.values(), strict=True)):
        assert f"recipe {number}.yaml: " in message
        assert said in message
    assert loaded == ""


def test_the_shapes_that_a_recipe_is_checked_by_are_those_of_the_family() -> None:
    assert student_shapes() == PRESETS


def test_the_command_registers_the_family_where_it_opens_a_model() -> None:
    script = (
        "import tinybert_hf_command, tinybert_hf.cli, sys\n"
        "assert 'torch' not in sys.modules\n"
        "from tinybert_hf.checkpoints import open_config\n"
        "from transformers import AutoConfig, AutoModel\n"
        "import tinybert_hf.checkpoints.integrity as config_file\n"
        "try:\n"
        "    open_config('/nowhere')\n"
        "except tinybert_hf.errors.TinyBertError:\n"
        "    pass\n"
        "small = AutoConfig.for_model('tinybert', vocab_size=8, hidden_size=8, num_hidden_layers=1,\n"
        "                             num_attention_heads=1, intermediate_size=8)\n"
        "print(type(AutoModel.from_config(small)).__name__)"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=280)
    assert process.stdout.split() == ["TinyBertModel"]
