"""What the name of a model means, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny_run import make_teacher
from transformers import AutoModel, RobertaConfig, RobertaModel

from tinybert_hf.benchmark.models import BenchmarkModel, find_model, short_names, weight_files
from tinybert_hf.benchmark.settings import BenchmarkSettings
from tinybert_hf.checkpoints import Checkpoint
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation.cost import random_inputs


def test_a_folder(teacher: str) -> None:
    found = find_model(teacher)
    assert (found.task, found.longest) == ("text-classification", 64)
    model = found.open()
    assert found.parameters == sum(one.numel() for one in model.parameters())
    assert found.megabytes() == (Path(teacher) / "model.safetensors").stat().st_size / 1e6
    assert not model.training
    assert weight_files(Path(teacher)) == [Path(teacher) / "model.safetensors"]


def test_an_encoder_without_a_head(headless: str) -> None:
    found = find_model(headless)
    assert (found.task, found.auto_class) == (None, "AutoModel")
    assert isinstance(found.open(), type(AutoModel.from_pretrained(headless)))


def test_a_shape_has_random_weights_and_keeps_the_random_state() -> None:
    state = torch.get_rng_state()
    found = find_model("2l-192d")
    first, second = found.open(), find_model("2l-192d").open()
    assert found.place is None
    assert found.config.num_labels == 2
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert found.parameters == sum(one.numel() for one in first.parameters())
    assert found.megabytes() == pytest.approx(4 * found.parameters / 1e6)


@pytest.mark.parametrize(
    ("name", "millions"), [("bert-base", 109.5), ("bert-large", 335.1), ("distilbert-base", 67.0)]
)
def test_known_shapes_are_as_large_as_the_published_models(name: str, millions: float) -> None:
    assert find_model(name).parameters / 1e6 == pytest.approx(millions, abs=0.06)


def test_a_folder_of_a_shapes_name_is_the_folder(work: Path) -> None:
    make_teacher(work / "2l-192d")
    assert find_model("2l-192d").place == "2l-192d"


def test_the_teacher_of_a_run(work: Path, teacher: str) -> None:
    run = {name: {} for name in ("metrics", "costs", "versions")} | {"main_metric": "accuracy", "phases": []}
    recipe = {"task": "text-classification", "phases": [], "teacher": {"model": teacher, "finetune": None}}
    (work / "out").mkdir()
    (work / "out" / "run.json").write_text(json.dumps({**run, "recipe": recipe}))
    assert find_model("out/teacher").place == teacher


def test_roberta_reads_two_tokens_fewer_than_it_has_positions() -> None:
    config = RobertaConfig(
        vocab_size=60, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=20,
    )  # fmt: skip
    found = BenchmarkModel("r", Checkpoint("", config), "AutoModel")
    assert found.longest == 18
    model = RobertaModel(config)
    model(**random_inputs(config, 2, 18, "cpu"))
    with pytest.raises((IndexError, RuntimeError)):
        model(**random_inputs(config, 2, 19, "cpu"))


def test_inputs_are_the_same_for_one_vocabulary_and_hold_no_special_token(teacher: str) -> None:
    config = find_model(teacher).config
    state = torch.get_rng_state()
    first = random_inputs(config, 4, 50, "cpu")
    assert torch.equal(first["input_ids"], random_inputs(config, 4, 50, "cpu")["input_ids"])
    assert torch.equal(torch.get_rng_state(), state)
    assert first["attention_mask"].min() == 1
    assert config.pad_token_id not in first["input_ids"]
    assert first["input_ids"].max() < config.vocab_size
    assert first["input_ids"].unique().numel() > 50


def test_short_names(work: Path) -> None:
    for folder in ("a/student", "b/student", "c/other"):
        (work / folder).mkdir(parents=True)
    assert short_names(["a/student", "c/other"]) == ["student", "other"]
    assert short_names(["a/student", "b/student", "me/hub"]) == ["a/student", "b/student", "me/hub"]


def test_what_is_no_model(work: Path) -> None:
    with pytest.raises(TinyBertError, match="Did you mean 'bert-base', a shape without weights"):
        find_model("bert-bas")
    (work / "empty").mkdir()
    with pytest.raises(TinyBertError, match=r"not a checkpoint: it has no config\.json"):
        find_model("empty")


def test_a_translator_is_refused_with_what_measures_it(work: Path) -> None:
    config = {"model_type": "marian", "architectures": ["MarianMTModel"], "is_encoder_decoder": True}
    (work / "marian").mkdir()
    (work / "marian" / "config.json").write_text(json.dumps(config))
    with pytest.raises(TinyBertError, match=r"marian is a translator.*measure_translation_costs"):
        find_model("marian")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backends": ("onnx-int9",)}, "no backend 'onnx-int9'. Did you mean 'onnx-int8'"),
        ({"backends": ("tensorflow",)}, "no backend 'tensorflow'. Known are eager, compiled, onnx, onnx-int8"),
        ({"batch_sizes": (0, 4)}, "batch size of 0"),
        ({"lengths": ()}, "one length at least"),
        ({"threads": 0}, "0 threads are too few"),
        ({"rounds": 0}, "0 rounds are too few"),
        ({"seconds": 0.0}, "seconds is 0.0; it must be above 0"),
    ],
)
def test_settings_that_cannot_be_measured(settings: dict[str, object], message: str) -> None:
    with pytest.raises(TinyBertError, match=message):
        BenchmarkSettings(**settings)  # type: ignore[arg-type]


def test_sizes_are_measured_once_and_small_ones_first() -> None:
    sizes = BenchmarkSettings(batch_sizes=(8, 1, 8), lengths=(128, 32)).sizes
    assert sizes == [(1, 32), (1, 128), (8, 32), (8, 128)]
