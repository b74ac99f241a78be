"""The figures against plain formulas, from logits as a Trainer hands them over."""

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score
from transformers import EvalPrediction

from tinybert_hf.evaluation import load_metric, main_metric, metrics_for

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"


def _f1(predicted, expected, label):
    both = sum(p == label == e for p, e in zip(predicted, expected, strict=True))
    return 2 * both / max(1, sum(p == label for p in predicted) + sum(e == label for e in expected))


def _pearson(x, y):
    x, y = x - x.mean(), y - y.mean()
    return (x * y).sum() / math.sqrt((x * x).sum() * (y * y).sum())


@pytest.mark.parametrize("num_labels", [2, 3, 5])
def test_single_label(num_labels):
    rng = np.random.default_rng(num_labels)
    logits, labels = rng.normal(size=(60, num_labels)), rng.integers(0, num_labels, 60)
    predicted = logits.argmax(-1)
    scores = metrics_for(SINGLE, num_labels)(EvalPrediction(logits, labels))
    assert scores["accuracy"] == pytest.approx(np.mean(predicted == labels))
    per_label = [_f1(predicted, labels, label) for label in range(num_labels)]
    assert scores["f1"] == pytest.approx(per_label[1] if num_labels == 2 else np.mean(per_label))
    onehot = np.eye(num_labels)
    x, y = onehot[predicted], onehot[labels]
    covariance = [(a - a.mean(0)) * (b - b.mean(0)) for a, b in ((x, y), (x, x), (y, y))]
    xy, xx, yy = (part.sum() for part in covariance)
    assert scores["matthews_correlation"] == pytest.approx(xy / math.sqrt(xx * yy))


def test_macro_f1_leaves_out_what_no_row_has_and_no_answer_is():
    """As scikit-learn and `evaluate` do where nobody names the labels: perfect answers have 1."""
    labels = np.array([0, 1, 0, 1])
    scores = metrics_for(SINGLE, 3)(EvalPrediction(np.eye(3)[labels], labels))
    assert scores == {"accuracy": 1.0, "f1": 1.0, "matthews_correlation": 1.0}
    answered = np.array([0, 1, 0, 2])
    scores = metrics_for(SINGLE, 3)(EvalPrediction(np.eye(3)[answered], labels))
    assert scores["f1"] == pytest.approx(f1_score(labels, answered, average="macro"))
    assert scores["f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    wanted = np.array([[1, 0, 0], [0, 1, 0]])
    for given in (wanted, np.array([[1, 0, 1], [0, 1, 0]]), np.zeros((2, 3), dtype=int)):
        scores = metrics_for(MULTI, 3)(EvalPrediction(given - 0.5, wanted))
        oracle = f1_score(wanted, given, average="macro", zero_division=np.nan)
        assert scores["f1_macro"] == pytest.approx(oracle)
    scores = metrics_for(MULTI, 3)(EvalPrediction(-np.ones((2, 3)), np.zeros((2, 3))))
    assert scores["f1_macro"] == 0.0


def test_one_class_only_gives_no_warning_and_no_nan():
    scores = metrics_for(SINGLE, 2)(EvalPrediction(np.array([[1.0, 0.0]] * 3), np.zeros(3, dtype=int)))
    assert scores == {"accuracy": 1.0, "f1": 0.0, "matthews_correlation": 0.0}


def test_multi_label():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(40, 4)), rng.integers(0, 2, (40, 4)).astype(np.float32)
    predicted = logits > 0
    scores = metrics_for(MULTI, 4)(EvalPrediction(logits, labels))
    assert scores["f1_micro"] == pytest.approx(_f1(predicted.reshape(-1), labels.reshape(-1), 1))
    assert scores["f1_macro"] == pytest.approx(np.mean([_f1(predicted[:, i], labels[:, i], 1) for i in range(4)]))
    exact = np.mean([(row == label).all() for row, label in zip(predicted, labels, strict=True)])
    assert scores["exact_match"] == scores["accuracy"] == pytest.approx(exact)


def test_regression():
    rng = np.random.default_rng(0)
    labels = rng.normal(size=50).astype(np.float32)
    logits = (labels + rng.normal(size=50)).astype(np.float32)[:, None]
    scores = metrics_for(REGRESSION, 1)(EvalPrediction(logits, labels))
    ranks = [np.argsort(np.argsort(values)).astype(float) for values in (logits[:, 0], labels)]
    assert scores["pearson"] == pytest.approx(_pearson(logits[:, 0].astype(float), labels.astype(float)))
    assert scores["spearman"] == pytest.approx(_pearson(*ranks))
    assert scores["mse"] == pytest.approx(np.mean((logits[:, 0] - labels) ** 2), rel=1e-5)


def test_constant_predictions_correlate_with_nothing():
    scores = metrics_for(REGRESSION, 1)(EvalPrediction(np.ones((3, 1)), np.array([1.0, 2.0, 3.0])))
    assert scores == {"pearson": 0.0, "spearman": 0.0, "mse": pytest.approx(5 / 3)}


def test_logits_may_come_first_in_a_tuple():
    logits, labels = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([1, 0])
    assert metrics_for(SINGLE, 2)(EvalPrediction((logits, np.zeros(3)), labels))["accuracy"] == 1.0


def test_problem_types():
    assert [main_metric(problem) for problem in (SINGLE, MULTI, REGRESSION)] == ["accuracy", "f1_micro", "pearson"]
    for call in (main_metric, load_metric, lambda problem: metrics_for(problem, 2)):
        with pytest.raises(ValueError, match="'ranking'; known are single_label"):
            call("ranking")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("problem", "num_labels", "predictions", "references"),
    [
        (SINGLE, 3, [0, 1, 2, 1], [0, 2, 2, 1]),
        (MULTI, 2, [[0, 1], [1, 1]], [[0, 1], [1, 0]]),
        (REGRESSION, 1, [0.5, 1.5, 1.0], [0.0, 2.0, 1.5]),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_evaluate_metrics_add_batches_to_the_same_figures(problem, num_labels, predictions, references):
    logits = np.eye(3)[predictions] if problem == SINGLE else np.array(predictions, dtype=float)
    logits = logits - 0.5 if problem == MULTI else logits
    metric = load_metric(problem, num_labels)
    metric.add_batch(predictions=predictions[:2], references=references[:2])
    metric.add_batch(predictions=predictions[2:], references=references[2:])
    expected = metrics_for(problem, num_labels)(EvalPrediction(logits, np.array(references)))
    assert metric.compute() == pytest.approx(expected)
