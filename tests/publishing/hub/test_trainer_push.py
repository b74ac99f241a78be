"""`push_to_hub=True` in the arguments: the student arrives, as from any Trainer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from publishing.hub.hub_server import Hub, environment
from safetensors.torch import load, load_file

TRAIN = """
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification
from tinybert_hf import (DistillationArguments, DistillationTrainer, TinyBertConfig,
                         TinyBertForSequenceClassification)

data = Dataset.from_dict({"input_ids": [[5, 6, 7]] * 8, "attention_mask": [[1] * 3] * 8, "labels": [0, 1] * 4})
shape = {"vocab_size": 60, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 16}
student = TinyBertForSequenceClassification(TinyBertConfig(hidden_size=16, **shape))
teacher = BertForSequenceClassification(BertConfig(hidden_size=32, **shape))
arguments = DistillationArguments("out", max_steps=2, save_steps=1, use_cpu=True, push_to_hub=True,
                                  hub_model_id="me/tiny", report_to=[])
trainer = DistillationTrainer(student, teacher, arguments, train_dataset=data)
trainer.train()
trainer.push_to_hub()
"""


def test_the_student_arrives(hub: Hub, tmp_path: Path) -> None:
    # A process of its own: the Trainer's client has read the address of the Hub when it was imported.
    done = subprocess.run(
        [sys.executable, "-c", TRAIN], env=environment(hub, tmp_path / "home"), cwd=tmp_path, capture_output=True,
        text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files = hub.repositories["me/tiny"].branches["main"]
    assert {"config.json", "modeling_tinybert.py", "README.md"} <= files.keys()
    assert b"distilled from" in files["README.md"]
    arrived, saved = load(files["model.safetensors"]), load_file(tmp_path / "out" / "model.safetensors")
    assert not [name for name in arrived if "projection" in name or name.startswith("maps")]
    assert arrived.keys() == saved.keys()
    for name, value in saved.items():
        assert torch.equal(arrived[name], value)
