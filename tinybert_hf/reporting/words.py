"""What figures, losses and models are called on the page."""

from __future__ import annotations

from typing import Any

LOSSES = {
    "attention_loss": "attention",
    "hidden_state_loss": "hidden states",
    "embedding_loss": "embeddings",
    "decoder_attention_loss": "decoder: own attention",
    "cross_attention_loss": "decoder: attention to source",
    "decoder_hidden_state_loss": "decoder: hidden states",
    "prediction_loss": "prediction (teacher's answers)",
    "label_loss": "labels",
}
MODELS = {"teacher": "teacher", "student": "student", "baseline": "student alone"}
_METRICS = {"bleu": "BLEU", "chrf": "chrF", "f1": "F1", "f1_micro": "F1 (micro)", "f1_macro": "F1 (macro)",
            "matthews_correlation": "Matthews correlation", "pearson": "Pearson correlation",
            "spearman": "Spearman correlation", "mse": "mean squared error", "exact_match": "exact match"}  # fmt: skip
# Shares of rows, which everybody reads as a percentage.
_SHARES = ("accuracy", "exact_match")


def metric_name(name: str) -> str:
    """A metric in words."""
    return _METRICS.get(name, name.replace("_", " "))


def metric_value(name: str, value: float) -> str:
    """A metric as it is written."""
    if name in ("bleu", "chrf"):
        return f"{value:.1f}"
    return f"{value:.1%}" if name in _SHARES else f"{value:.3f}"


def parameters(count: float) -> str:
    """A number of parameters."""
    return f"{count / 1e6:.2f} M" if count < 1e7 else f"{count / 1e6:,.0f} M"


def setting(value: Any) -> str:
    """A value of a recipe."""
    if value is None:
        return "as usual"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
