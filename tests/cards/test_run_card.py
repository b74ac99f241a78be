"""A model card says what the run says, and nothing of the machine that it ran on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from tiny_run import make_teacher, recipe_mapping

from tinybert_hf.cards import card_of, eval_results_of
from tinybert_hf.errors import TinyBertError
from tinybert_hf.recipes.fields import build
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    import io

    from rich.console import Console

    work = tmp_path_factory.mktemp("card")
    mapping = recipe_mapping(work, make_teacher(work / "teacher"))
    run_recipe(build(Recipe, mapping), Console(file=io.StringIO()))
    return work / "out"


def test_every_figure_is_that_of_the_run(out: Path) -> None:
    run = json.loads((out / "run.json").read_text())
    card = ModelCard(card_of(out, "me/tiny", "apache-2.0"))
    data = card.data.to_dict()
    assert (data["license"], data["pipeline_tag"], data["library_name"]) == (
        "apache-2.0", "text-classification", "transformers",
    )  # fmt: skip
    figures = {one.metric_type: one.metric_value for one in card.data.eval_results or ()}
    assert figures["accuracy"] == round(run["metrics"]["student"]["accuracy"], 4)
    for who in ("teacher", "student", "baseline"):
        assert f"| {run['metrics'][who]['accuracy']:.4f} |" in card.text
    share = run["metrics"]["student"]["accuracy"] / run["metrics"]["teacher"]["accuracy"]
    assert f"keeps {share:.1%} of its teacher's accuracy" in card.text
    for phase in run["phases"]:
        for name, value in phase["losses"].items():
            assert name == "loss" or f"{value:.3g}" in card.text
    assert 'pipeline("text-classification", "me/tiny", trust_remote_code=True)' in card.text
    assert "Labels: negative, positive." in card.text
    assert "{'" not in card.text
    assert "None" not in card.text


def test_no_path_of_the_machine(out: Path) -> None:
    text = card_of(out)
    assert str(out.parent) not in text
    assert "a local model (`teacher`)" in text
    assert "base_model" not in text


def test_a_teacher_of_the_hub_is_its_base_model(out: Path, tmp_path: Path) -> None:
    folder = changed(out, tmp_path, lambda run: run["recipe"]["teacher"].update(model="owner/bert-large"))
    card = ModelCard(card_of(folder))
    assert card.data.to_dict()["base_model"] == "owner/bert-large"
    assert "[owner/bert-large](https://huggingface.co/owner/bert-large)" in card.text


def test_without_a_run(out: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "config.json").write_text((out / "config.json").read_text())
    text = card_of(folder)
    assert "What it reaches" not in text
    assert "# plain" in text


def changed(out: Path, tmp_path: Path, change: Any) -> Path:
    folder = tmp_path / "changed"
    folder.mkdir()
    (folder / "config.json").write_text((out / "config.json").read_text())
    run = json.loads((out / "run.json").read_text())
    change(run)
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def test_a_run_of_another_version(out: Path, tmp_path: Path) -> None:
    folder = changed(out, tmp_path, lambda run: run.pop("costs"))
    with pytest.raises(TinyBertError, match=r"run\.json is of another version, or damaged \(KeyError: 'costs'\)"):
        card_of(folder)


def test_what_is_no_model_of_ours(tmp_path: Path) -> None:
    with pytest.raises(TinyBertError, match=r"there is no config\.json"):
        card_of(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BertModel"], "hidden_size": 3}))
    with pytest.raises(TinyBertError, match="describes a BertModel, which is none of this package's"):
        card_of(tmp_path)


def test_the_hub_gets_a_figure_for_rows_of_its_own_only(out: Path, tmp_path: Path) -> None:
    import yaml
    from huggingface_hub.hf_api import parse_eval_result_entries

    assert eval_results_of(out) is None, "the rows of this run lie in files"
    run = json.loads((out / "run.json").read_text())
    data = {"dataset": "nyu-mll/glue", "dataset_config": "sst2", "train_file": None, "validation_file": None}
    run["recipe"]["data"] |= data
    (tmp_path / "run.json").write_text(json.dumps(run))
    (entry,) = parse_eval_result_entries(yaml.safe_load(eval_results_of(tmp_path)))
    assert (entry.dataset_id, entry.task_id) == ("nyu-mll/glue", "sst2")
    assert entry.value == round(run["metrics"]["student"]["accuracy"], 4)
    assert "accuracy on the split validation" in entry.notes
    for other in ("demo-sentiment", "imdb"):  # a generator, and a name without its owner
        run["recipe"]["data"]["dataset"] = other
        (tmp_path / "run.json").write_text(json.dumps(run))
        assert eval_results_of(tmp_path) is None, other


def test_what_the_targets_of_a_translator_were_and_whether_the_teacher_was_trained_here(
    out: Path, tmp_path: Path
) -> None:
    run = json.loads((out / "run.json").read_text())
    run["recipe"]["pseudo_labels"] = {"beams": 4, "references": True}
    run["recipe"]["teacher"] |= {"model": "me/pretrained", "finetune": {"epochs": 1}}
    run["recipe"]["data"] |= {"dataset": "demo-sentiment"}
    for name in ("config.json", "run.json"):
        (tmp_path / name).write_text((out / name).read_text() if name == "config.json" else json.dumps(run))
    card = ModelCard(card_of(tmp_path))
    assert "translations of the training rows (4 beams) and the references: sequence-level" in card.text
    assert (
        "distilled from [me/pretrained](https://huggingface.co/me/pretrained), fine-tuned in the same run."
        in card.text
    )
    assert {one.dataset_type for one in card.data.eval_results} == {"custom"}, "a generator is no dataset on the Hub"
    assert card.data.datasets is None
