"""`push_to_hub=True` in the arguments: the student arrives, as from any Trainer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from hub.hub_server import Hub
from safetensors.torch import load
from tiny_models import bert

from tinybert_hf import (
    DistillationArguments,
    DistillationTrainer,
    TinyBertConfig,
    TinyBertForSequenceClassification,
)

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def test_the_student_arrives(hub: Hub, tmp_path: Path) -> None:
    data = Dataset.from_dict({"input_ids": [[5, 6, 7]] * 8, "attention_mask": [[1] * 3] * 8, "labels": [0, 1] * 4})
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 16}
    student = TinyBertForSequenceClassification(TinyBertConfig(vocab_size=60, num_labels=3, **shape))
    arguments = DistillationArguments(
        str(tmp_path / "out"), max_steps=2, save_steps=1, use_cpu=True, disable_tqdm=True, log_level="error",
        dataloader_pin_memory=False, push_to_hub=True, hub_model_id="me/tiny", report_to=[],
    )  # fmt: skip
    trainer = DistillationTrainer(student, bert(layers=4, hidden=32), arguments, train_dataset=data)
    trainer.train()
    trainer.push_to_hub()
    files = hub.repositories["me/tiny"].branches["main"]
    assert {"config.json", "modeling_tinybert.py", "README.md"} <= files.keys()
    arrived = load(files["model.safetensors"])
    assert arrived.keys() == student.state_dict().keys(), "no projection among the weights"
    for name, value in student.state_dict().items():
        assert torch.equal(arrived[name], value)
