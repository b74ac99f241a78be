"""Metrics by name and by task, entity F1 of words among them, and what somebody who knows nothing would reach."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from tinybert_hf.data import TaskData
from tinybert_hf.data.settings import MULTI_LABEL, PROBLEM_TYPES, REGRESSION, SINGLE_LABEL
from tinybert_hf.data.token_classification import NO_LABEL, OUTSIDE, marks_entities
from tinybert_hf.distillation.teachers import constant_answer_warning, majority_share
from tinybert_hf.errors import TinyBertError
from tinybert_hf.tasks import TASKS, TOKEN_CLASSIFICATION, TRANSLATION, spec_of

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from numpy.typing import NDArray
    from transformers import EvalPrediction

    Numbers = NDArray[np.floating[Any] | np.integer[Any]]


# The metrics for each problem type, counted by scikit-learn and scipy.
#
# Plain functions: the Trainer calls them after every epoch, and importing `evaluate` alone takes seconds.


def single_label_scores(predictions: "Numbers", references: "Numbers", num_labels: int = 2) -> dict[str, float]:
    """Accuracy, F1 and Matthews correlation.

    Args:
        predictions: class ids, (B,).
        references: class ids, (B,).
        num_labels: with 2, F1 is that of class 1; with more, the mean over the classes (macro) that a row has or that
            the model answers, as scikit-learn counts it.

    Returns:
        accuracy, f1, matthews_correlation (0 where one class is all there is).
    """
    import numpy as np
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    if num_labels == 2:
        f1 = f1_score(references, predictions, labels=[0, 1], pos_label=1, average="binary", zero_division=0)
    else:
        f1 = f1_score(references, predictions, average="macro", zero_division=0)
    classes = np.union1d(references, predictions)
    return {
        "accuracy": float(accuracy_score(references, predictions)),
        "f1": float(f1),
        "matthews_correlation": float(matthews_corrcoef(references, predictions)) if len(classes) > 1 else 0.0,
    }


def multi_label_scores(predictions: "Numbers", references: "Numbers") -> dict[str, float]:
    """F1, and the part of rows with every label right.

    Args:
        predictions: 0 or 1, (B, labels).
        references: 0 or 1, (B, labels).

    Returns:
        f1_micro; f1_macro, the mean over the labels that a row has or that the model gives; exact_match; and accuracy,
        which is the same as exact_match.
    """
    import numpy as np
    from sklearn.metrics import accuracy_score, f1_score

    # A label of which nothing is right or wrong has no F1; counted as 0, it would spoil perfect answers.
    used = np.flatnonzero(np.asarray(references).any(0) | np.asarray(predictions).any(0))
    f1_macro = f1_score(references, predictions, labels=used, average="macro", zero_division=0) if len(used) else 0.0
    exact = float(accuracy_score(references, predictions))
    return {
        "f1_micro": float(f1_score(references, predictions, average="micro", zero_division=0)),
        "f1_macro": float(f1_macro),
        "exact_match": exact,
        "accuracy": exact,
    }


def regression_scores(predictions: "Numbers", references: "Numbers") -> dict[str, float]:
    """Correlations and the mean squared error.

    Args:
        predictions: (B,).
        references: (B,).

    Returns:
        pearson, spearman, mse. A correlation with a constant is undefined and counts as 0: such a model knows nothing.
    """
    import numpy as np
    from scipy.stats import pearsonr, spearmanr

    # In float64: differences of float32 rounding would make a constant prediction look like a varying one.
    predicted, expected = np.asarray(predictions, dtype=np.float64), np.asarray(references, dtype=np.float64)
    mse = float(np.mean((predicted - expected) ** 2))
    if min(np.ptp(predicted), np.ptp(expected)) == 0:
        return {"pearson": 0.0, "spearman": 0.0, "mse": mse}
    return {
        "pearson": float(pearsonr(predicted, expected)[0]),
        "spearman": float(spearmanr(predicted, expected)[0]),
        "mse": mse,
    }


# What each task says about its metrics; `TASKS` names the class that says it.


class TaskMetrics(Protocol):
    """The metrics of one task."""

    def names(self, problem_type: str, label_names: Sequence[str] = ()) -> tuple[str, ...]:
        """Names the metrics, the main one first.

        Args:
            problem_type: of a TaskData.
            label_names: likewise.
        """
        ...

    def of(self, logits: Any, rows: "Dataset", raw: "Dataset", data: TaskData) -> dict[str, Any]:
        """Counts them on labelled rows; arguments as for `task_metrics`."""
        ...

    def in_training(self, rows: "Dataset", data: TaskData) -> "Callable[[EvalPrediction], dict[str, float]]":
        """Makes the `compute_metrics` of a Trainer.

        Args:
            rows: the evaluation rows of the trainer, from the task's `tokenize`.
            data: the checked rows, with the validation rows that they were made from.
        """
        ...

    def nothing_learnt(self, data: TaskData, metrics: Mapping[str, Any], who: str) -> str | None:
        """See `knows_nothing`."""
        ...


LOWER_IS_BETTER = ("mse",)


def metric_names(problem_type: str, label_names: Sequence[str] = ()) -> tuple[str, ...]:
    """Names the metrics of a problem type, the main one first.

    Args:
        problem_type: as transformers calls it, or the name of a task that has none.
        label_names: of a token classifier.

    Raises:
        ValueError: an unknown problem type.
    """
    return _scores(problem_type).names(problem_type, label_names)


def main_metric(problem_type: str, label_names: Sequence[str] = ()) -> str:
    """Names the metric that decides between two models; a higher one is better.

    Args:
        problem_type: as transformers calls it, or the name of a task that has none.
        label_names: of a token classifier: with entities their F1 decides, else accuracy.

    Raises:
        ValueError: an unknown problem type.
    """
    return metric_names(problem_type, label_names)[0]


def _scores(problem_type: str) -> TaskMetrics:
    measured = [name for name, spec in TASKS.items() if spec.metrics]
    if problem_type not in measured:
        _check(problem_type, (*PROBLEM_TYPES, *measured))
    return spec_of(problem_type).scores  # type: ignore[no-any-return]


# The metrics of labels and numbers of texts.

# The main one first. A lower mse is better, so it can stand beside a main metric but not be one.
_NAMES = {
    SINGLE_LABEL: ("accuracy", "f1", "matthews_correlation"),
    MULTI_LABEL: ("f1_micro", "f1_macro", "exact_match", "accuracy"),
    REGRESSION: ("pearson", "spearman", "mse"),
}


class TextMetrics:
    """Of a text classifier, by its problem type; see `TaskMetrics`."""

    def names(self, problem_type: str, label_names: Sequence[str] = ()) -> tuple[str, ...]:
        """Names the metrics."""
        return _NAMES[problem_type]

    def of(self, logits: Any, rows: "Dataset", raw: "Dataset", data: TaskData) -> dict[str, Any]:
        """Counts them on labelled rows."""
        return dict(metrics_of(logits, rows, data.problem_type))

    def in_training(self, rows: "Dataset", data: TaskData) -> "Callable[[EvalPrediction], dict[str, float]]":
        """Makes the `compute_metrics` of a Trainer."""
        return metrics_for(data.problem_type, data.num_labels)

    def nothing_learnt(self, data: TaskData, metrics: Mapping[str, Any], who: str) -> str | None:
        """What to say of a model that knows nothing."""
        if data.problem_type == SINGLE_LABEL:
            return _no_better(metrics, majority_share(data.part("validation")["label"]), who, "label")
        if data.problem_type == MULTI_LABEL:
            labels = [] if data.validation is None else list(data.validation["label"])
            return constant_answer_warning(metrics[main_metric(MULTI_LABEL)], labels, who)
        return None if metrics["pearson"] > 0 else f"{who} gives numbers that do not rise with the right ones."


def metrics_for(problem_type: str, num_labels: int) -> "Callable[[EvalPrediction], dict[str, float]]":
    """Makes the `compute_metrics` of a Trainer for a classifier; for a translator see `evaluate_translation`.

    Args:
        problem_type: as transformers calls it.
        num_labels: width of the classifier.

    Returns:
        A function from logits and labels to the metrics. Logits above 0 (a probability above 1/2) count as 1 where a
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
    """Makes the same metrics as an `evaluate.Metric`, for code that adds batches or combines metrics.

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
        from tinybert_hf.evaluation.metric_classes import translation_metric

        return translation_metric(target_language)
    from tinybert_hf.evaluation.metric_classes import METRICS

    return METRICS[problem_type](num_labels=num_labels)


def _check(problem_type: str, known: tuple[str, ...] = PROBLEM_TYPES) -> None:
    if problem_type not in known:
        raise ValueError(f"problem_type is {problem_type!r}; known are {', '.join(known)}.")


# Entity F1 and accuracy of models that label words.

Rows = Sequence[Sequence[str]]


class TagMetrics:
    """Of a model that labels words; see `TaskMetrics`."""

    def names(self, problem_type: str, label_names: Sequence[str] = ()) -> tuple[str, ...]:
        """Names the metrics."""
        return ("f1", "precision", "recall", "accuracy") if marks_entities(label_names) else ("accuracy",)

    def of(self, logits: Any, rows: "Dataset", raw: "Dataset", data: TaskData) -> dict[str, Any]:
        """Counts them on labelled rows."""
        tags, entities = answered_tags(logits, rows, raw, data.label_names), marks_entities(data.label_names)
        return dict(token_scores(tags, list(raw["tags"]), entities=entities))

    def in_training(self, rows: "Dataset", data: TaskData) -> "Callable[[EvalPrediction], dict[str, float]]":
        """Makes the `compute_metrics` of a Trainer."""
        return token_metrics_for(data.label_names)

    def nothing_learnt(self, data: TaskData, metrics: Mapping[str, Any], who: str) -> str | None:
        """What to say of a model that knows nothing."""
        if marks_entities(data.label_names):
            return None if metrics["f1"] > 0 else f"{who} finds no entity rightly (f1 0)."
        counts = Counter(tag for row in data.part("validation")["tags"] for tag in row)
        return _no_better(metrics, max(counts.values()) / counts.total(), who, "tag")


def answered_tags(logits: Any, rows: "Dataset", raw: "Dataset", label_names: Sequence[str]) -> list[list[str]]:
    """The tag that a model gives to each word.

    Args:
        logits: of each window, (tokens, labels), the labels in the order of `label_names`.
        rows: the windows, from the task's `tokenize`.
        raw: the rows with the words.
        label_names: in the order of their ids.

    Returns:
        For each row of `raw` a tag for each word. A word without a piece has O where tags mark entities, and else no
        tag (an empty one), which is wrong.
    """
    silent = OUTSIDE if marks_entities(label_names) else ""
    answers = [[silent] * len(words) for words in raw["tokens"]]
    for each, row, words in zip(logits, rows["row"], rows["word_ids"], strict=True):
        for best, word in zip(each.argmax(-1), words, strict=True):
            if word >= 0:
                answers[row][word] = label_names[best]
    return answers


def token_scores(predictions: Rows, references: Rows, *, entities: bool) -> dict[str, float]:
    """Counts entities as `seqeval` does in its default mode, which is that of the CoNLL script, and words.

    An entity is right where its first word, its last word and its kind are. An I- that continues nothing begins one.

    Args:
        predictions: a tag for each word of each row.
        references: likewise.
        entities: the tags mark entities; False: each word has a plain label.

    Returns:
        f1, precision and recall over all entities together (micro), where there are entities; and accuracy: the share
        of words with the right tag.

    Raises:
        TinyBertError: seqeval is not installed.
    """
    pairs = [
        pair
        for predicted, gold in zip(predictions, references, strict=True)
        for pair in zip(predicted, gold, strict=True)
    ]
    accuracy = {"accuracy": sum(predicted == gold for predicted, gold in pairs) / len(pairs) if pairs else 0.0}
    if not entities:
        return accuracy
    check_can_count(TOKEN_CLASSIFICATION, ("B-any",))
    from seqeval.metrics import f1_score, precision_score, recall_score

    both = [[list(row) for row in rows] for rows in (references, predictions)]
    counted = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
    return {name: float(count(*both, zero_division=0)) for name, count in counted.items()} | accuracy


def check_can_count(problem_type: str, label_names: Sequence[str]) -> None:
    """Says before any training that entities could not be counted after it.

    Args:
        problem_type: of a TaskData.
        label_names: likewise.

    Raises:
        TinyBertError: seqeval is not installed.
    """
    if problem_type == TOKEN_CLASSIFICATION and marks_entities(label_names) and find_spec("seqeval") is None:
        raise TinyBertError('Entities are counted by seqeval: pip install "tinybert_hf[ner]".')


def token_metrics_for(label_names: Sequence[str]) -> "Callable[[EvalPrediction], dict[str, float]]":
    """Makes the `compute_metrics` of a Trainer for a token classifier.

    It sees windows and label ids alone: an entity that two windows share counts twice, a tag that is not among the
    labels not at all. The metrics of a finished run are those of `token_scores` over whole rows.

    Args:
        label_names: in the order of their ids.
    """

    def compute_metrics(outcome: "EvalPrediction") -> dict[str, float]:
        logits: Any = outcome.predictions[0] if isinstance(outcome.predictions, tuple) else outcome.predictions
        labels: Any = outcome.label_ids[0] if isinstance(outcome.label_ids, tuple) else outcome.label_ids
        predicted, gold = [], []
        for best, row in zip(logits.argmax(-1), labels, strict=True):
            real = row != NO_LABEL
            predicted.append([label_names[index] for index in best[real]])
            gold.append([label_names[index] for index in row[real]])
        return token_scores(predicted, gold, entities=marks_entities(label_names))

    return compute_metrics


# From a model's answers to the metrics of its task.


def task_metrics(logits: Any, rows: "Dataset", raw: "Dataset", data: TaskData) -> dict[str, Any]:
    """The metrics of a model on labelled rows.

    Args:
        logits: from `predicted_logits`, the labels in the order of `data.label_names`.
        rows: the tokenized rows that were answered.
        raw: the rows that they were made from.
        data: says what the rows are.
    """
    return _scores(data.problem_type).of(logits, rows, raw, data)


def metrics_of(logits: Any, dataset: "Dataset", problem_type: str) -> dict[str, float]:
    """The metrics of `metrics_for`.

    Args:
        logits: (rows, labels), as an array.
        dataset: the same rows, with `labels`.
        problem_type: as transformers calls it.
    """
    import numpy as np
    from transformers import EvalPrediction

    labels = np.asarray(list(dataset["labels"]))
    return metrics_for(problem_type, logits.shape[-1])(EvalPrediction(predictions=logits, label_ids=labels))


# Metrics that say that a model knows no more of its task than the counts of the labels.


def knows_nothing(data: TaskData, metrics: Mapping[str, Any], who: str) -> str | None:
    """What to say of a model that knows nothing; None where it knows something.

    Args:
        data: with the validation rows.
        metrics: of the model on them, as `task_metrics` gives them, or with the BLEU of translations.
        who: the model, at the beginning of a sentence: "The student".
    """
    return _scores(data.problem_type).nothing_learnt(data, metrics, who)


def doubts_about(metrics: Mapping[str, Any], data: TaskData) -> dict[str, list[str]]:
    """`warnings` to stand beside the metrics of a saved model that knows nothing; nothing where it knows something."""
    warning = knows_nothing(data, metrics, "The model")
    advice = "Was it trained for this task, with these labels, and long enough?"
    return {} if warning is None else {"warnings": [f"{warning} {advice}"]}


def _no_better(metrics: Mapping[str, Any], most: float, who: str, what: str) -> str | None:
    if metrics["accuracy"] > most or most == 1:  # of rows with one label nothing can be said
        return None
    return (
        f"{who}'s accuracy is {metrics['accuracy']:.4f}, no better than always answering the most frequent {what} "
        f"({most:.4f})."
    )
