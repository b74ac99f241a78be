"""The card that a trainer writes: its own settings and figures, and nothing over a card of a person's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from huggingface_hub import ModelCard, metadata_save
from tiny_models import bert

from tinybert_hf import DistillationArguments, DistillationTrainer, TinyBertConfig, TinyBertForSequenceClassification
from tinybert_hf.checkpoints.card_parts import MARK
from tinybert_hf.errors import TinyBertError


@pytest.fixture
def trainer(tmp_path: Path) -> DistillationTrainer:
    rows = {"input_ids": [[5, 6, 7]] * 8, "attention_mask": [[1] * 3] * 8, "labels": [0, 1, 2, 1] * 2}
    student = TinyBertForSequenceClassification(
        TinyBertConfig(
            vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=16,
            id2label={0: "bad", 1: "fair", 2: "good"}, label2id={"bad": 0, "fair": 1, "good": 2},
        )
    )  # fmt: skip
    teacher = bert(layers=4, hidden=32, num_labels=3)
    teacher.config._name_or_path = "someone/large-teacher"
    arguments: dict[str, Any] = {"max_steps": 2, "logging_steps": 1, "use_cpu": True, "report_to": []}
    return DistillationTrainer(
        student,
        teacher,
        DistillationArguments(
            str(tmp_path / "small"), phase="joint", temperature=2.0, attention_loss_weight=0.5, eval_strategy="steps",
            eval_steps=2, save_strategy="no", dataloader_pin_memory=False, **arguments,
        ),
        train_dataset=Dataset.from_dict(rows),
        eval_dataset=Dataset.from_dict(rows),
        compute_metrics=lambda prediction: {"accuracy": 0.625},
    )  # fmt: skip


def read(trainer: DistillationTrainer) -> ModelCard:
    return ModelCard.load(Path(trainer.args.output_dir) / "README.md")


def test_settings_figures_and_metadata(trainer: DistillationTrainer) -> None:
    trainer.train()
    trainer.create_model_card(tags="mine", license="mit", dataset_tags="nyu-mll/glue")
    card = read(trainer)
    data = card.data.to_dict()
    assert (data["license"], data["pipeline_tag"], data["base_model"]) == (
        "mit", "text-classification", ["someone/large-teacher"],
    )  # fmt: skip
    assert {"tinybert", "distillation", "mine"} <= set(data["tags"])
    assert data["datasets"] == ["nyu-mll/glue"]
    assert {one.metric_type: one.metric_value for one in card.data.eval_results}["accuracy"] == 0.625
    for line in (
        "distilled from [someone/large-teacher](https://huggingface.co/someone/large-teacher).",
        "Labels: bad, fair, good.",
        "| temperature | 2.0 |",
        "| lr scheduler type | linear |",
        "| max steps | 2 |",
        "| accuracy | 0.625 |",
        "attention_loss 0.5",
        f"| attention loss | {trainer.state.log_history[-3]['attention_loss']:.4g} |",
        'pipeline("text-classification", "small", trust_remote_code=True)',
    ):
        assert line in card.text, line
    assert "fine-tuned version" not in card.text
    assert "epochs" not in card.text
    assert "None" not in card.text


def test_what_the_hub_could_not_read_and_what_nobody_has_said(trainer: DistillationTrainer, tmp_path: Path) -> None:
    trainer.compute_metrics = lambda prediction: {
        "accuracy": np.float64(0.5), "f1": np.float32(0.25), "loss_of_none": float("nan"), "is_good": True,
    }  # fmt: skip
    trainer.train()
    teacher = tmp_path / "large | *teacher*"
    teacher.mkdir()
    metadata_save(teacher / "README.md", {"license": "gpl-3.0", "language": "zh-CN"})
    for name, license, language in (("someone/large-teacher", "unknown", "und"), (str(teacher), "gpl-3.0", "zh")):
        trainer.teacher.config._name_or_path = name
        trainer.create_model_card()
        card = read(trainer)
        assert (card.data.license, card.data.language) == (license, language)
    metrics = {one.metric_type: one.metric_value for one in card.data.eval_results}
    assert {**metrics, "loss": 0} == {"accuracy": 0.5, "f1": 0.25, "loss": 0}
    assert '("这部电影非常好看，剧情也很感人。")' in card.text, "bad, fair and good are what somebody thinks"
    with pytest.raises(TinyBertError, match="license is 'Apache'"):
        trainer.create_model_card(license="Apache")


def test_before_training_there_are_no_figures(trainer: DistillationTrainer) -> None:
    trainer.create_model_card(model_name="me/small")
    card = read(trainer)
    assert "What it reaches" not in card.text
    assert card.data.eval_results is None
    assert 'pipeline("text-classification", "me/small"' in card.text


def test_the_card_of_a_person_stays(trainer: DistillationTrainer) -> None:
    file = Path(trainer.args.output_dir) / "README.md"
    file.parent.mkdir(exist_ok=True)
    file.write_text("my own words")
    trainer.create_model_card()
    assert file.read_text() == "my own words"
    file.write_text(f"{MARK}\nan earlier one")
    trainer.create_model_card()
    assert "an earlier one" not in file.read_text()
