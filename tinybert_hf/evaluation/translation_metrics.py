"""BLEU and chrF as metrics of the `evaluate` library. Slow to import; `metrics.load_metric` does it when asked."""

from typing import Any

import datasets
import evaluate

from tinybert_hf.evaluation.translation_scores import corpus_bleu, corpus_chrf


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
