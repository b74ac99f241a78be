"""From a model's logits to the figures of its problem type."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.bio import marks_entities
from tinybert_hf.data.settings import MULTI_LABEL, PROBLEM_TYPES, QUESTION_ANSWERING, REGRESSION, SINGLE_LABEL
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.data.tasks.translation import TRANSLATION
from tinybert_hf.evaluation.scores import multi_label_scores, regression_scores, single_label_scores

if TYPE_CHECKING:
    from transformers import EvalPrediction

_MAIN_METRICS = {
    SINGLE_LABEL: "accuracy",
    MULTI_LABEL: "f1_micro",
    REGRESSION: "pearson",
    TRANSLATION: "bleu",
    QUESTION_ANSWERING: "f1",
}

# Those beside it. A lower mse is better, so it can stand beside a main metric but not be one.
_FURTHER_METRICS = {
    SINGLE_LABEL: ("f1", "matthews_correlation"),
    MULTI_LABEL: ("f1_macro", "exact_match", "accuracy"),
    REGRESSION: ("spearman", "mse"),
    TRANSLATION: ("chrf",),
    QUESTION_ANSWERING: ("exact_match",),
}
LOWER_IS_BETTER = ("mse",)


def metric_names(problem_type: str, label_names: Sequence[str] = ()) -> tuple[str, ...]:
    """Names the figures of a problem type, the main one first.

    Args:
        problem_type: as transformers calls it, or the name of a task that has none.
        label_names: of a token classifier.

    Raises:
        ValueError: an unknown problem type.
    """
    if problem_type == TOKEN_CLASSIFICATION:
        return ("f1", "precision", "recall", "accuracy") if marks_entities(label_names) else ("accuracy",)
    return main_metric(problem_type), *_FURTHER_METRICS.get(problem_type, ())


def main_metric(problem_type: str, label_names: Sequence[str] = ()) -> str:
    """Names the figure that decides between two models; a higher one is better.

    Args:
        problem_type: as transformers calls it, or the name of a task that has none.
        label_names: of a token classifier: with entities their F1 decides, else accuracy.

    Raises:
        ValueError: an unknown problem type.
    """
    if problem_type == TOKEN_CLASSIFICATION:
        return "f1" if marks_entities(label_names) else "accuracy"
    _check(problem_type, tuple(_MAIN_METRICS))
    return _MAIN_METRICS[problem_type]


def metrics_for(problem_type: str, num_labels: int) -> "Callable[[EvalPrediction], dict[str, float]]":
    """Makes the `compute_metrics` of a Trainer for a classifier; for a translator see `evaluate_translation`.

    Args:
        problem_type: as transformers calls it.
        num_labels: width of the classifier.

    Returns:
        A function from logits and labels to the figures. Logits above 0 (a probability above 1/2) count as 1 where a
        row may have several labels.

    Raises:
        ValueError: an unknown problem type.
    """
    _check(problem_type)

    def compute_metrics(outcome: "EvalPrediction") -> dict[str, float]:
        # Models that return hidden states or attentions too come as a tuple with the logits first.
        logits: Any = outcome.predictions[0] if isinstance(outcome.predictions, tuple) else outcome.predictions
        labels: Any = outcome.label_ids[0] if isinstance(outcome.label_ids, tuple) else outcome.label_ids
        if problem_type == REGRESSION:
            return regression_scores(logits.reshape(-1), labels.reshape(-1))
        if problem_type == MULTI_LABEL:
            return multi_label_scores((logits > 0).astype(int), labels.astype(int))
        return single_label_scores(logits.argmax(axis=-1), labels, num_labels)

    return compute_metrics


def load_metric(problem_type: str, num_labels: int = 2, target_language: str | None = None) -> Any:
    """Makes the same figures as an `evaluate.Metric`, for code that adds batches or combines metrics.

    It needs no network. Importing `evaluate` takes seconds, which is why the Trainer's way does not.

    Args:
        problem_type: as transformers calls it, or "translation".
        num_labels: width of the classifier.
        target_language: of translations; it chooses how BLEU cuts words. None looks at the references' script.

    Returns:
        The metric; it takes class ids, 0/1 lists, numbers, or detokenized texts, not logits.

    Raises:
        ValueError: an unknown problem type.
    """
    _check(problem_type, (*PROBLEM_TYPES, TRANSLATION))
    if problem_type == TRANSLATION:
        from tinybert_hf.evaluation.translation_metrics import translation_metric

        return translation_metric(target_language)
    from tinybert_hf.evaluation.evaluate_metrics import METRICS

    return METRICS[problem_type](num_labels=num_labels)


def _check(problem_type: str, known: tuple[str, ...] = PROBLEM_TYPES) -> None:
    if problem_type not in known:
        raise ValueError(f"problem_type is {problem_type!r}; known are {', '.join(known)}.")
