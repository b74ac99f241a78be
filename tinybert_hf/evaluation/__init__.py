"""How good a model is, and what it costs."""

from tinybert_hf.evaluation.benchmark import ModelCost, measure_costs
from tinybert_hf.evaluation.checkpoint import evaluate_checkpoint, evaluate_model
from tinybert_hf.evaluation.metrics import load_metric, main_metric, metrics_for

__all__ = [
    "ModelCost",
    "evaluate_checkpoint",
    "evaluate_model",
    "load_metric",
    "main_metric",
    "measure_costs",
    "metrics_for",
]
