"""A teacher that names its labels in another order teaches the same; one that names them wrongly is found out."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from tiny_run import make_teacher, recipe_mapping, write_rows
from transformers import AutoModelForSequenceClassification, AutoTokenizer, set_seed

from tinybert_hf.recipes.loader import build
from tinybert_hf.recipes.report import RunReport
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe

DATA = ("entailment", "neutral", "contradiction")
TEACHER = ("contradiction", "entailment", "neutral")  # as the best known MNLI models have them
WORDS = ("film", "plot", "cast", "scene", "song", "play", "good", "bright", "bad", "dull", "number", "was", "the")


@pytest.fixture(scope="module")
def drawn() -> list[tuple[str, str]]:
    """Pairs of sentences."""
    words = random.Random(0)
    return [(" ".join(words.choices(WORDS, k=4)), " ".join(words.choices(WORDS, k=4))) for _ in range(90)]


@pytest.fixture(scope="module")
def knower(tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str, str]]) -> str:
    """A teacher whose answers are taken for the right ones below, so it is always right; it gives each of them."""
    folder = make_teacher(tmp_path_factory.mktemp("knower"), labels=DATA, texts=[" ".join(WORDS)] * 3)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        said = answers(model, AutoTokenizer.from_pretrained(folder), drawn)
        model.classifier.weight.div_(said.std(0)[:, None])
        model.classifier.bias.copy_((model.classifier.bias - said.mean(0)) / said.std(0))
    model.save_pretrained(folder)
    return folder


def answers(model: Any, tokenizer: Any, drawn: list[tuple[str, str]]) -> torch.Tensor:
    first, second = zip(*drawn, strict=True)
    with torch.no_grad():
        return model.eval()(**tokenizer(first, second, return_tensors="pt", padding=True)).logits


@pytest.fixture(scope="module")
def pairs(knower: str, drawn: list[tuple[str, str]]) -> list[dict[str, str]]:
    """The pairs with the teacher's answers."""
    model, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(knower),
        AutoTokenizer.from_pretrained(knower),
    )
    right = answers(model, tokenizer, drawn).argmax(-1).tolist()
    assert min(right.count(label) for label in range(3)) > 8
    return [
        {"premise": first, "hypothesis": second, "label": DATA[label]}
        for (first, second), label in zip(drawn, right, strict=True)
    ]


def permuted(knower: str, folder: Path, names: tuple[str, ...], order: list[int]) -> str:
    """The same model with its outputs in another order, under some names."""
    model = AutoModelForSequenceClassification.from_pretrained(knower)
    with torch.no_grad():
        model.classifier.weight.copy_(model.classifier.weight[order])
        model.classifier.bias.copy_(model.classifier.bias[order])
    model.config.update(
        {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(knower).save_pretrained(folder)
    return str(folder)


def run(work: Path, model: str, pairs: list[dict[str, Any]], out: str, epochs: float = 0.2) -> tuple[RunReport, str]:
    mapping = recipe_mapping(work, model, baseline=None)
    mapping["data"] = {
        "train_file": write_rows(work / "pairs.jsonl", pairs),
        "validation_file": write_rows(work / "dev.jsonl", pairs),
        "text_column": "premise",
        "text_pair_column": "hypothesis",
        "label_names": list(DATA),
        "max_length": 64,
    }
    mapping["phases"] = [{"name": "prediction", "epochs": epochs, "batch_size": 8, "learning_rate": 2e-3}]
    mapping["output_dir"] = str(work / out)
    shown = io.StringIO()
    set_seed(0)
    return run_recipe(build(Recipe, mapping), Console(file=shown, width=200)), shown.getvalue()


@pytest.mark.slow
def test_mnli_labels_in_the_teachers_own_order(work: Path, knower: str, pairs: list[dict[str, Any]]) -> None:
    order = [DATA.index(name) for name in TEACHER]
    crossed, _ = run(work, permuted(knower, work / "crossed", TEACHER, order), pairs, "out-crossed", epochs=2)
    straight, _ = run(work, permuted(knower, work / "straight", DATA, [0, 1, 2]), pairs, "out-straight", epochs=2)
    assert straight.metrics["teacher"]["accuracy"] > 0.9
    assert crossed.metrics["teacher"] == straight.metrics["teacher"]
    ours, theirs = (load_file(work / out / "model.safetensors") for out in ("out-straight", "out-crossed"))
    for name, weight in ours.items():
        torch.testing.assert_close(
            weight, theirs[name], rtol=1e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )
    assert crossed.metrics == straight.metrics


def test_a_teacher_without_names_in_another_order_is_found_out(
    work: Path, knower: str, pairs: list[dict[str, Any]]
) -> None:
    order = [DATA.index(name) for name in TEACHER]
    generic = permuted(knower, work / "generic", ("LABEL_0", "LABEL_1", "LABEL_2"), order)
    report, shown = run(work, generic, pairs, "out")
    assert report.metrics["teacher"]["accuracy"] < 0.1
    (warning,) = (one for one in report.warnings if "teacher" in one)
    assert "LABEL_0 = contradiction, LABEL_1 = entailment, LABEL_2 = neutral" in warning
    assert "id2label" in warning
    assert shown.count(f"WARNING: {warning}") == 1  # where the teacher is measured
    assert "above, and in run.json" in shown  # and at the end where to find it


def test_two_names_exchanged_among_three(work: Path, knower: str, pairs: list[dict[str, Any]]) -> None:
    """Better than the most frequent label and yet wrong: also said."""
    model = permuted(knower, work / "exchanged", ("entailment", "contradiction", "neutral"), [0, 1, 2])
    many = [row for row in pairs if row["label"] == "entailment"] + pairs
    random.Random(0).shuffle(many)
    report, _ = run(work, model, many, "out")
    assert any("contradiction = neutral, neutral = contradiction" in one for one in report.warnings)
