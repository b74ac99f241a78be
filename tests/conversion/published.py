"""The published TinyBERT's forward, written down plainly from the paper and its released computation."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def published_logits(weights: dict[str, Tensor], ids: Tensor, mask: Tensor, heads: int) -> Tensor:
    """Logits of a fine-tuned checkpoint: Linear(relu(pooled)), no dropout.

    Args:
        weights: names as `bert.…` with LayerNorm.weight and .bias, and `classifier.…`.
        ids: (B, L).
        mask: 1 for real tokens (B, L).
        heads: of attention.
    """
    pooled = published_pooled(weights, ids, mask, heads)
    return pooled.clamp(min=0) @ weights["classifier.weight"].T + weights["classifier.bias"]


def published_pooled(weights: dict[str, Tensor], ids: Tensor, mask: Tensor, heads: int) -> Tensor:
    """The pooled output (B, H): tanh of a linear map of the first token."""

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"bert.{name}.weight"].T + weights[f"bert.{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
        scaled = (x - mean) / (variance + 1e-12).sqrt()
        return scaled * weights[f"bert.{name}.weight"] + weights[f"bert.{name}.bias"]

    embeddings = "bert.embeddings"
    x = weights[f"{embeddings}.word_embeddings.weight"][ids]
    x = x + weights[f"{embeddings}.position_embeddings.weight"][: ids.shape[1]]
    x = norm(x + weights[f"{embeddings}.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    batch, length, width = x.shape
    layers = sum(name.endswith("attention.self.query.weight") for name in weights)
    for index in range(layers):
        layer = f"encoder.layer.{index}"
        query, key, value = (
            linear(x, f"{layer}.attention.self.{name}").view(batch, length, heads, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(-1, -2) / math.sqrt(width // heads)
        scores = scores + (1 - mask[:, None, None, :]) * -10000.0
        seen = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, length, width)
        x = norm(linear(seen, f"{layer}.attention.output.dense") + x, f"{layer}.attention.output.LayerNorm")
        inner = linear(x, f"{layer}.intermediate.dense")
        inner = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
        x = norm(linear(inner, f"{layer}.output.dense") + x, f"{layer}.output.LayerNorm")
    return linear(x[:, 0], "pooler.dense").tanh()
