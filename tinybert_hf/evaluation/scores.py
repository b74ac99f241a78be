"""The figures for each problem type, counted by scikit-learn and scipy.

Plain functions: the Trainer calls them after every epoch, and importing `evaluate` alone takes seconds.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.floating[Any] | np.integer[Any]]


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
