"""Entity F1 and accuracy of models that label words."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.bio import NO_LABEL, OUTSIDE, marks_entities
from tinybert_hf.errors import TinyBertError

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import EvalPrediction

Rows = Sequence[Sequence[str]]


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
    for said, row, words in zip(logits, rows["row"], rows["word_ids"], strict=True):
        for best, word in zip(said.argmax(-1), words, strict=True):
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
    pairs = [pair for said, gold in zip(predictions, references, strict=True) for pair in zip(said, gold, strict=True)]
    accuracy = {"accuracy": sum(said == gold for said, gold in pairs) / len(pairs) if pairs else 0.0}
    if not entities:
        return accuracy
    check_can_count(entities=True)
    from seqeval.metrics import f1_score, precision_score, recall_score

    both = [[list(row) for row in rows] for rows in (references, predictions)]
    counted = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
    return {name: float(count(*both, zero_division=0)) for name, count in counted.items()} | accuracy


def check_can_count(*, entities: bool) -> None:
    """Says before any training that entities could not be counted after it.

    Args:
        entities: there are some to count.

    Raises:
        TinyBertError: seqeval is not installed.
    """
    if entities and find_spec("seqeval") is None:
        raise TinyBertError('Entities are counted by seqeval: pip install "tinybert_hf[ner]".')


def token_metrics_for(label_names: Sequence[str]) -> "Callable[[EvalPrediction], dict[str, float]]":
    """Makes the `compute_metrics` of a Trainer for a token classifier.

    It sees windows and label ids alone: an entity that two windows share counts twice, a tag that is not among the
    labels not at all. The figures of a finished run are those of `token_scores` over whole rows.

    Args:
        label_names: in the order of their ids.
    """

    def compute_metrics(outcome: "EvalPrediction") -> dict[str, float]:
        logits: Any = outcome.predictions[0] if isinstance(outcome.predictions, tuple) else outcome.predictions
        labels: Any = outcome.label_ids[0] if isinstance(outcome.label_ids, tuple) else outcome.label_ids
        said, gold = [], []
        for best, row in zip(logits.argmax(-1), labels, strict=True):
            real = row != NO_LABEL
            said.append([label_names[index] for index in best[real]])
            gold.append([label_names[index] for index in row[real]])
        return token_scores(said, gold, entities=marks_entities(label_names))

    return compute_metrics
