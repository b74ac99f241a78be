"""English sentences with their Chinese translations from a grammar, for a demo that needs no download.

The two languages share no word and hardly an order: place, company and time move to the front of the verb, what
describes a noun stands before it, counted things need a measure word, and questions keep the order of statements.
"""

from collections.abc import Sequence
from random import Random
from typing import Any

from tinybert_hf.data.demo_translation import actions, descriptions, facts
from tinybert_hf.data.demo_translation.phrases import pick
from tinybert_hf.data.raw_rows import RawRows, check_columns
from tinybert_hf.data.settings import DEMO_TRANSLATION

TRAIN_ROWS = 16000
VALIDATION_ROWS = 500
SEED = 0

_KINDS = (*actions.KINDS, *descriptions.KINDS, *facts.KINDS)


def demo_translation(rows: int, seed: int = SEED) -> list[dict[str, Any]]:
    """Generates pairs of sentences, none of which stands twice on its side.

    The same seed gives the same rows in every process, and more rows only add to the end.

    Args:
        rows: how many.
        seed: of the generator.

    Returns:
        Rows with `source` (English) and `target` (Chinese).
    """
    rng = Random(seed)
    seen: set[str] = set()
    made: list[dict[str, Any]] = []
    while len(made) < rows:
        source, target = _pair(rng)
        if source not in seen and target not in seen:
            seen.update((source, target))
            made.append({"source": source, "target": target})
    return made


def demo_translation_splits(
    train_rows: int = TRAIN_ROWS, validation_rows: int = VALIDATION_ROWS, seed: int = SEED
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Generates a train and a validation split that share no sentence, on neither side.

    The validation rows come first out of the generator, so they stay the same whatever `train_rows` is.

    Returns:
        Train rows and validation rows, as `demo_translation` makes them.
    """
    rows = demo_translation(train_rows + validation_rows, seed)
    return rows[validation_rows:], rows[:validation_rows]


def demo_translation_rows(
    part: str, columns: Sequence[str], max_train_rows: int | None, max_validation_rows: int | None
) -> RawRows:
    """Makes one split of the dataset "demo-translation".

    Args:
        part: "train" or "validation".
        columns: the columns to keep.
        max_train_rows: train rows to make instead of 16,000.
        max_validation_rows: validation rows to make instead of 500.

    Raises:
        DataError: a column that the demo does not have.
    """
    check_columns(DEMO_TRANSLATION, columns, ("source", "target"))
    # Fewer validation rows leave the others unused: a later run over all of them must not meet train rows.
    reserved = max(VALIDATION_ROWS, max_validation_rows or 0)
    if part == "train":
        rows, _ = demo_translation_splits(max_train_rows or TRAIN_ROWS, reserved)
    else:
        rows = demo_translation(max_validation_rows or VALIDATION_ROWS)
    return RawRows(f"{DEMO_TRANSLATION} [{part}]", {column: [row[column] for row in rows] for column in columns})


def _pair(rng: Random) -> tuple[str, str]:
    made = pick(rng, _KINDS)(rng)
    source, target = f"{made.english[0].upper()}{made.english[1:]}", made.chinese
    return (source, target) if source.endswith("?") else (f"{source}.", f"{target}。")
