"""Metrics of this package in the form of the library `evaluate`, which is loaded with this file."""

from typing import Any

import datasets
import evaluate

from tinybert_hf.data.settings import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from tinybert_hf.evaluation.metrics import multi_label_scores, regression_scores, single_label_scores
from tinybert_hf.evaluation.translation import corpus_bleu, corpus_chrf

# The same as metrics of the `evaluate` library. Slow to import; `metrics.load_metric` does it when asked.


class _Scores(evaluate.Metric):  # type: ignore[misc]
    """What the three metrics share: a description, and values of one type."""

    value: Any = datasets.Value("int64")

    def __init__(self, num_labels: int = 2, **kwargs: Any) -> None:
        self.num_labels = num_labels
        super().__init__(**{"keep_in_memory": True, **kwargs})

    def _info(self) -> Any:
        return evaluate.MetricInfo(
            description=self.__doc__ or "",
            citation="",
            features=datasets.Features({"predictions": self.value, "references": self.value}),
        )


class SingleLabelScores(_Scores):
    """Accuracy, F1 and Matthews correlation of class ids."""

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return single_label_scores(predictions, references, self.num_labels)


class MultiLabelScores(_Scores):
    """Micro and macro F1 and exact match of lists of 0 and 1."""

    value = datasets.List(datasets.Value("int64"))

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return multi_label_scores(predictions, references)


class RegressionScores(_Scores):
    """Pearson, Spearman and mean squared error of numbers."""

    value = datasets.Value("float64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return regression_scores(predictions, references)


METRICS = {SINGLE_LABEL: SingleLabelScores, MULTI_LABEL: MultiLabelScores, REGRESSION: RegressionScores}


# BLEU and chrF as metrics of the `evaluate` library. Slow to import; `metrics.load_metric` does it when asked.


class _TranslationMetric(evaluate.Metric):  # type: ignore[misc]
    """What both metrics share: predictions and references are detokenized texts, one reference each."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"keep_in_memory": True, **kwargs})

    def _info(self) -> Any:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=self.__doc__ or "",
            citation="",
            features=datasets.Features({"predictions": text, "references": text}),
        )


class Bleu(_TranslationMetric):
    """BLEU of sacrebleu, 0 to 100, with its signature."""

    def __init__(self, target_language: str | None = None, **kwargs: Any) -> None:
        self.target_language = target_language
        super().__init__(**kwargs)

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        score, signature = corpus_bleu(predictions, references, self.target_language)
        return {"bleu": score, "bleu_signature": signature}


class Chrf(_TranslationMetric):
    """chrF of sacrebleu, 0 to 100, with its signature."""

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        score, signature = corpus_chrf(predictions, references)
        return {"chrf": score, "chrf_signature": signature}


def translation_metric(target_language: str | None = None) -> Any:
    """Both at once, with the same `add_batch` and `compute`.

    Args:
        target_language: chooses BLEU's tokenizer; None looks at the references.
    """
    return evaluate.combine([Bleu(target_language), Chrf()])
