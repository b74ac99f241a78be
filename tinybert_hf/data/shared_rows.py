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
    learnt = {"train": data.train, "unlabelled": data.unlabelled}
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
                verb = "stands" if shared == 1 else "stand"
                yield (
                    f"{shared:,} of {counted(len(keys), f'{name} row')} {verb} among the {other} rows too, so the "
                    "figures on them are better than on new rows."
                )


def _keys(rows: Dataset) -> Iterator[Any]:
    """What a model reads of each row."""
    if "tokens" in rows.column_names:
        yield from map(tuple, rows["tokens"])
    else:
        yield from zip(*(rows[name] for name in _READ if name in rows.column_names), strict=True)
