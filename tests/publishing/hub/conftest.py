"""A Hub on loopback, and a folder to push."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from publishing.hub.hub_server import TOKEN, Hub, serving

from tinybert_hf import TinyBertConfig, TinyBertForSequenceClassification
from tinybert_hf.checkpoints import save_atomically
from tinybert_hf.data import train_wordpiece_tokenizer


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """The client of this process talks to it, with the right token."""
    with serving() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small student with its tokenizer, and what a run leaves beside it."""
    torch.manual_seed(0)
    tokenizer = train_wordpiece_tokenizer(["the film was good", "a dull plot"] * 4, vocab_size=90, max_length=32)
    config = TinyBertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=32, id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1},
    )  # fmt: skip
    save_atomically(TinyBertForSequenceClassification(config), tokenizer, tmp_path / "out")
    (tmp_path / "out" / "teacher").mkdir()
    (tmp_path / "out" / "teacher" / "model.safetensors").write_bytes(b"teacher")
    (tmp_path / "out" / "notes.txt").write_text("private")
    return tmp_path / "out"
