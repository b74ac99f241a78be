"""How good a model is, and what it costs."""

from tinybert_hf.evaluation.answering import QuestionAnswerer
from tinybert_hf.evaluation.answers import answer_metrics_for
from tinybert_hf.evaluation.any_checkpoint import evaluate_any_checkpoint, holds_translator, task_of_checkpoint
from tinybert_hf.evaluation.benchmark import ModelCost, measure_costs
from tinybert_hf.evaluation.checkpoint import evaluate_checkpoint, evaluate_model, predicted_logits
from tinybert_hf.evaluation.layer_distances import measure_layer_distances
from tinybert_hf.evaluation.metrics import LOWER_IS_BETTER, load_metric, main_metric, metric_names, metrics_for
from tinybert_hf.evaluation.task_metrics import metrics_of, task_metrics
from tinybert_hf.evaluation.token_scores import check_can_count, token_metrics_for, token_scores
from tinybert_hf.evaluation.translation import (
    TranslationResult,
    evaluate_translation,
    evaluate_translation_checkpoint,
    open_translator,
)
from tinybert_hf.evaluation.translation_scores import TranslationScores, sentence_chrf, translation_scores
from tinybert_hf.evaluation.translation_speed import (
    TranslationContestant,
    TranslationCost,
    int8_megabytes,
    measure_translation_costs,
    parameter_count,
)
from tinybert_hf.evaluation.useless_figures import knows_nothing, nothing_in_common
from tinybert_hf.evaluation.worst_sentences import worst_sentences, write_worst_sentences

__all__ = [
    "LOWER_IS_BETTER",
    "ModelCost",
    "QuestionAnswerer",
    "TranslationContestant",
    "TranslationCost",
    "TranslationResult",
    "TranslationScores",
    "answer_metrics_for",
    "check_can_count",
    "evaluate_any_checkpoint",
    "evaluate_checkpoint",
    "evaluate_model",
    "evaluate_translation",
    "evaluate_translation_checkpoint",
    "holds_translator",
    "int8_megabytes",
    "knows_nothing",
    "load_metric",
    "main_metric",
    "measure_costs",
    "measure_layer_distances",
    "measure_translation_costs",
    "metric_names",
    "metrics_for",
    "metrics_of",
    "nothing_in_common",
    "open_translator",
    "parameter_count",
    "predicted_logits",
    "sentence_chrf",
    "task_metrics",
    "task_of_checkpoint",
    "token_metrics_for",
    "token_scores",
    "translation_scores",
    "worst_sentences",
    "write_worst_sentences",
]
