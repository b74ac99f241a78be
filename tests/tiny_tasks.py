"""A few generated rows for each task that has a recipe, as the task's own files and splits have them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiny_run import write_rows

from tinybert_hf.data.demo import demo_sentiment


@dataclass(frozen=True)
class TaskRows:
    """What the rows of a task look like, by the data set's own description.

    Attributes:
        texts: columns with text.
        labels: the values that the label column holds.
        names: what the whole numbers mean, as the configuration of the data set says it.
        label: name of the label column.
        further: names of the splits that are measured apart.
    """

    texts: tuple[str, ...]
    labels: tuple[Any, ...]
    names: tuple[str, ...] | None
    label: str = "label"
    further: tuple[str, ...] = field(default=())

    def rows(self, count: int, seed: int = 0) -> list[dict[str, Any]]:
        """Rows with every label."""
        sentences = [row["text"] for row in demo_sentiment(count * len(self.texts), seed=seed)]
        drawn = random.Random(seed)
        made = []
        for index in range(count):
            texts = {column: sentences[index * len(self.texts) + place] for place, column in enumerate(self.texts)}
            row = {"idx": index, **texts, self.label: self.labels[index % len(self.labels)]}
            made.append(dict(drawn.sample(list(row.items()), len(row))))  # columns stand in any order
        return made

    def write(self, folder: Path) -> dict[str, Any]:
        """Write train and validation rows; returns the fields of a recipe that name them."""
        files = {
            "data.train_file": write_rows(folder / "train.jsonl", self.rows(24)),
            "data.validation_file": write_rows(folder / "validation.jsonl", self.rows(12, seed=1)),
        }
        for seed, name in enumerate(self.further, start=2):
            file = write_rows(folder / f"{name}.jsonl", self.rows(12, seed=seed))
            files[f"data.further_validation_files.{name}"] = file
        return files


_PAIR = ("sentence1", "sentence2")
_FOLLOWS = ("entailment", "not_entailment")
_OPINION = ("negative", "positive")

TASK_ROWS = {
    "cola": TaskRows(("sentence",), (0, 1), ("unacceptable", "acceptable")),
    "sst2": TaskRows(("sentence",), (0, 1), _OPINION),
    "mrpc": TaskRows(_PAIR, (0, 1), ("not_equivalent", "equivalent")),
    "stsb": TaskRows(_PAIR, (0.0, 2.2, 5.0), None),
    "qqp": TaskRows(("question1", "question2"), (0, 1), ("not_duplicate", "duplicate")),
    "mnli": TaskRows(
        ("premise", "hypothesis"), (0, 1, 2), ("entailment", "neutral", "contradiction"), further=("mismatched",)
    ),
    "qnli": TaskRows(("question", "sentence"), (0, 1), _FOLLOWS),
    "rte": TaskRows(_PAIR, (0, 1), _FOLLOWS),
    "wnli": TaskRows(_PAIR, (0, 1), ("not_entailment", "entailment")),
    "agnews": TaskRows(("text",), (0, 1, 2, 3), ("World", "Sports", "Business", "Sci/Tech")),
    "chinese-sentiment": TaskRows(("text",), (0, 1), _OPINION),
    "multi-label": TaskRows(("text",), (["praise"], ["praise", "song"], []), ("praise", "song"), label="labels"),
    "text-classification": TaskRows(("text",), ("good", "bad"), ("bad", "good")),
}
