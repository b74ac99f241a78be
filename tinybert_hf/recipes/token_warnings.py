"""Whether a model that labels words has learnt nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tinybert_hf.data import TaskData
from tinybert_hf.data.bio import marks_entities


def blind_warning(metrics: Mapping[str, Any], who: str, data: TaskData) -> str | None:
    """What to say of a model that knows no more than the tag counts; None of any other.

    Args:
        metrics: on the validation rows.
        who: the model, at the beginning of a sentence.
        data: with the validation rows.
    """
    if marks_entities(data.label_names):
        return f"{who} finds no entity rightly (f1 0)." if metrics["f1"] == 0 else None
    assert data.validation is not None
    counts = Counter(tag for row in data.validation["tags"] for tag in row)
    most = max(counts.values()) / counts.total()
    if metrics["accuracy"] > most:
        return None
    return (
        f"{who}'s accuracy is {metrics['accuracy']:.4f}, no better than always answering the most frequent tag "
        f"({most:.4f})."
    )
