"""Rows that are learnt from and measured on as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from datasets import Dataset

    from tinybert_hf.data.tasks.base import TaskData

_READ = ("text", "text_pair", "question", "context", "source")  # what a model reads; the rest are answers


def shared_rows_notes(data: TaskData) -> Iterator[str]:
    """A sentence for each part of the rows that are measured on, of which rows are learnt from too.

    Args:
        data: checked rows.
    """
    learnt = {"training": data.train, "unlabelled": data.unlabelled}
    measured = {"validation": data.validation, **data.further_validation}
    for name, rows in measured.items():
        if rows is None:
            continue
        keys = list(_keys(rows))
        wanted = set(keys)
        for other, further in learnt.items():
            again = wanted.intersection(_keys(further)) if further is not None else set()
            shared = sum(key in again for key in keys)
            if shared:
                stand = f"{counted(len(keys), f'{name} row')} {'stands' if shared == 1 else 'stand'}"
                yield (
                    f"{shared:,} of {stand} among the {other} rows too, letter case apart, so the "
                    "figures on them are better than on new rows."
                )


def _keys(rows: Dataset) -> Iterator[Any]:
    """What a model reads of each row."""
    if "tokens" in rows.column_names:
        yield from (_alike(" ".join(words)) for words in rows["tokens"])
    else:
        read = [map(_alike, rows[name]) for name in _READ if name in rows.column_names]
        yield from zip(*read, strict=True)


def _alike(text: str) -> str:
    """The same for texts that most tokenizers read alike."""
    return " ".join(text.casefold().split())
