"""Checkpoints in the layouts of the published TinyBERTs, made here with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "was", "good", "bad", "##ly", "cafe", "a", "."]
SHAPE = {
    "vocab_size": 20,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
}
# As the published config.json has them: no model_type, and fields that transformers does not know.
PUBLISHED = {
    "attention_probs_dropout_prob": 0.1,
    "cell": {},
    "emb_size": 24,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "initializer_range": 0.02,
    "pre_trained": "",
    "structure": [],
    **SHAPE,
}
TEACHER_WIDTH = 40


def body(prefix: str = "bert.", old_norms: bool = False, layers: int = 2) -> dict[str, Tensor]:
    """Embeddings, layers and pooler under the published names."""
    draw = torch.Generator().manual_seed(7)

    def tensor(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw) * 0.4

    weight, bias = ("gamma", "beta") if old_norms else ("weight", "bias")
    width, inner = SHAPE["hidden_size"], SHAPE["intermediate_size"]
    made: dict[str, Tensor] = {
        "embeddings.word_embeddings.weight": tensor(SHAPE["vocab_size"], width),
        "embeddings.position_embeddings.weight": tensor(SHAPE["max_position_embeddings"], width),
        "embeddings.token_type_embeddings.weight": tensor(2, width),
        f"embeddings.LayerNorm.{weight}": 1 + tensor(width),
        f"embeddings.LayerNorm.{bias}": tensor(width),
    }
    for index in range(layers):
        layer = f"encoder.layer.{index}"
        for name, out, into in (
            ("attention.self.query", width, width),
            ("attention.self.key", width, width),
            ("attention.self.value", width, width),
            ("attention.output.dense", width, width),
            ("intermediate.dense", inner, width),
            ("output.dense", width, inner),
        ):
            made[f"{layer}.{name}.weight"], made[f"{layer}.{name}.bias"] = tensor(out, into), tensor(out)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            made[f"{layer}.{name}.{weight}"], made[f"{layer}.{name}.{bias}"] = 1 + tensor(width), tensor(width)
    made["pooler.dense.weight"], made["pooler.dense.bias"] = tensor(width, width), tensor(width)
    return {f"{prefix}{name}": value for name, value in made.items()}


def classifier(labels: int = 2) -> dict[str, Tensor]:
    """A fine-tuned head."""
    draw = torch.Generator().manual_seed(8)
    width = SHAPE["hidden_size"]
    return {
        "classifier.weight": torch.randn(labels, width, generator=draw),
        "classifier.bias": torch.randn(labels, generator=draw),
    }


def untrained_heads() -> dict[str, Tensor]:
    """What the general checkpoints hold besides, and never learnt."""
    width, words = SHAPE["hidden_size"], SHAPE["vocab_size"]
    return {
        "cls.predictions.bias": torch.zeros(words),
        "cls.predictions.transform.dense.weight": torch.ones(width, width),
        "cls.predictions.transform.dense.bias": torch.zeros(width),
        "cls.predictions.transform.LayerNorm.weight": torch.ones(width),
        "cls.predictions.transform.LayerNorm.bias": torch.zeros(width),
        "cls.predictions.decoder.weight": torch.ones(words, width),
        "cls.seq_relationship.weight": torch.ones(2, width),
        "cls.seq_relationship.bias": torch.zeros(2),
    }


def projections(names: tuple[str, ...]) -> dict[str, Tensor]:
    """`fit_dense`, or `fit_denses.0` and so on; each another one."""
    made = {}
    for index, name in enumerate(names):
        draw = torch.Generator().manual_seed(20 + index)
        made[f"{name}.weight"] = torch.randn(TEACHER_WIDTH, SHAPE["hidden_size"], generator=draw)
        made[f"{name}.bias"] = torch.randn(TEACHER_WIDTH, generator=draw)
    return made


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Write a checkpoint as it is published: pytorch_model.bin, config.json, vocab.txt."""

    def write(weights: dict[str, Tensor], config: dict[str, Any] | None = None, name: str = "published") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        torch.save(weights, folder / "pytorch_model.bin")
        (folder / "config.json").write_text(json.dumps(PUBLISHED if config is None else config))
        (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
        return folder

    return write
