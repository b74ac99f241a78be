"""From a model's answers to the figures of its task."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.bio import marks_entities
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.evaluation.checkpoint import metrics_of
from tinybert_hf.evaluation.token_scores import answered_tags, token_scores

if TYPE_CHECKING:
    from datasets import Dataset


def task_metrics(
    logits: Any, rows: "Dataset", raw: "Dataset", problem_type: str, label_names: Sequence[str]
) -> dict[str, Any]:
    """The figures of a model on labelled rows.

    Args:
        logits: from `predicted_logits`, the labels in the order of `label_names`.
        rows: the tokenized rows that were answered.
        raw: the rows that they were made from.
        problem_type: of a TaskData.
        label_names: likewise.
    """
    if problem_type == TOKEN_CLASSIFICATION:
        said, entities = answered_tags(logits, rows, raw, label_names), marks_entities(label_names)
        return token_scores(said, list(raw["tags"]), entities=entities)
    return dict(metrics_of(logits, rows, problem_type))
