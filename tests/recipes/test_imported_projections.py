"""Task distillation from a published general checkpoint begins with the projections that it brings."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from tiny_run import STUDENT, make_teacher, recipe_mapping
from torch import Tensor
from transformers import AutoTokenizer, BertConfig, BertModel, set_seed

from tinybert_hf.checkpoints import PROJECTIONS_FILE
from tinybert_hf.conversion import convert_checkpoint
from tinybert_hf.errors import TinyBertError
from tinybert_hf.recipes.loader import build
from tinybert_hf.recipes.plan import make_plan
from tinybert_hf.recipes.report import describe_plan
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe

ONE = ("fit_dense",)
EACH = ("fit_denses.0", "fit_denses.1", "fit_denses.2")
# So slow that the projections end as they began, up to rounding.
STILL = [{"name": "intermediate", "epochs": 1, "batch_size": 16, "projection_learning_rate": 1e-12}]


def general(folder: Path, teacher: str, names: tuple[str, ...]) -> tuple[str, dict[str, Tensor]]:
    """A published general checkpoint with the teacher's vocabulary, converted; and its projections."""
    set_seed(4)
    words = AutoTokenizer.from_pretrained(teacher).get_vocab()
    published = folder / "published"
    published.mkdir()
    model = BertModel(BertConfig(**STUDENT, vocab_size=len(words)))
    maps = {}
    for name in names:
        maps[f"{name}.weight"], maps[f"{name}.bias"] = torch.randn(32, STUDENT["hidden_size"]), torch.randn(32)
    weights = {f"bert.{name}": value for name, value in model.state_dict().items()}
    torch.save({**weights, **maps}, published / "pytorch_model.bin")
    config = {**STUDENT, "vocab_size": len(words), "type_vocab_size": 2, "emb_size": 16, "hidden_act": "gelu"}
    (published / "config.json").write_text(json.dumps(config))
    (published / "vocab.txt").write_text("\n".join(sorted(words, key=words.__getitem__)))
    convert_checkpoint(published, folder / "general")
    return str(folder / "general"), maps


def run(work: Path, teacher: str, student: str, phases: list[dict[str, Any]]) -> str:
    console = Console(record=True, width=120, file=io.StringIO())
    changes = {"student": {"model": student}, "phases": phases, "baseline": None}
    recipe = build(Recipe, recipe_mapping(work, teacher, **changes))
    planned = describe_plan(make_plan(recipe))
    run_recipe(recipe, console)
    said = console.export_text()
    for words in ("are gone on with", "are not used"):
        assert (words in planned) == (words in said)
    return said


@pytest.mark.parametrize(
    ("names", "projection"), [(ONE, "shared"), (EACH, "per_layer"), (ONE, "per_layer")], ids=["v1", "v2", "spread"]
)
def test_the_first_phase_begins_with_them(work: Path, teacher: str, names: tuple[str, ...], projection: str) -> None:
    student, maps = general(work, teacher, names)
    said = run(work, teacher, student, [{**STILL[0], "projection": projection}])
    assert "are gone on with" in said
    kept = load_file(work / "out" / "phases" / "0-intermediate" / PROJECTIONS_FILE)
    assert len(kept) == (2 if projection == "shared" else 6)
    for name, value in kept.items():
        _, layer, part = name.split(".")
        own = f"fit_denses.{layer}" if names is EACH else "fit_dense"
        torch.testing.assert_close(value, maps[f"{own}.{part}"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("reason", ["another width", "one for all asked of several"])
def test_what_does_not_fit_is_said_and_made_anew(work: Path, teacher: str, reason: str) -> None:
    student, _ = general(work, teacher, ONE if reason == "another width" else EACH)
    if reason == "another width":
        teacher = make_teacher(work / "wider", hidden_size=48)
    projection = "per_layer" if reason == "another width" else "shared"
    said = run(work, teacher, student, [{**STILL[0], "projection": projection}])
    assert "are not used" in said
    kept = load_file(work / "out" / "phases" / "0-intermediate" / PROJECTIONS_FILE)
    shapes = {tuple(value.shape) for value in kept.values()}
    assert shapes == ({(48, 16), (48,)} if reason == "another width" else {(32, 16), (32,)})


def test_a_damaged_file_is_named(work: Path, teacher: str) -> None:
    student, _ = general(work, teacher, ONE)
    (Path(student) / PROJECTIONS_FILE).write_bytes(b"no tensors")
    with pytest.raises(TinyBertError, match=PROJECTIONS_FILE.replace(".", r"\.")):
        run(work, teacher, student, STILL)
