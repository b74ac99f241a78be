"""Rows for a teacher that reads tokens of its own: further columns, padded by its own tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from tinybert_hf.distillation.teachers import Teachers, columns_of
from tinybert_hf.errors import DataError
from tinybert_hf.opening import with_fitting_settings

if TYPE_CHECKING:
    from datasets import Dataset

_NOT_READ = ("labels", "label", "length")


def own_inputs(index: int, inputs: Collection[str]) -> list[str]:
    """The columns with a teacher's own tokens, by the names of what its forward takes."""
    return [f"{columns_of(index)}{name}" for name in inputs]


def with_teacher_tokens(rows: Dataset, encoded: Mapping[str, Any] | Dataset, *, teacher: int = 0) -> Dataset:
    """Put the tokens of a teacher with another tokenizer beside the student's.

    Args:
        rows: in the student's tokens.
        encoded: the same rows, in the same order, as the teacher's tokenizer gives them (not padded).
        teacher: its place among the teachers, from 0.

    Returns:
        The rows with the columns teacher_0_input_ids, teacher_0_attention_mask, ... more.

    Raises:
        DataError: another number of rows.
    """
    from datasets import Dataset, concatenate_datasets

    own = encoded if isinstance(encoded, Dataset) else Dataset.from_dict(dict(encoded))
    if len(own) != len(rows):
        raise DataError(
            f"There are {len(rows)} rows for the student and {len(own)} for teachers[{teacher}]: tokenise the same "
            "texts twice, in one order."
        )
    own = own.remove_columns([name for name in _NOT_READ if name in own.column_names])
    own = own.rename_columns({name: f"{columns_of(teacher)}{name}" for name in own.column_names})
    return concatenate_datasets([rows, own], axis=1)


class OwnTokensCollator:
    """Pads the student's columns as ever, and each teacher's own with that teacher's tokenizer."""

    def __init__(self, collate: Callable[[list[Any]], Any], teachers: Teachers) -> None:
        self.collate = collate
        self.tokenizers = {
            columns_of(index): with_fitting_settings(tokenizer, teachers.models[index])
            for index, tokenizer in enumerate(teachers.tokenizers)
            if teachers.differences[index]
        }

    def __call__(self, rows: list[Any]) -> dict[str, Any]:
        """A batch of these rows; rows to evaluate on need no columns for a teacher."""
        batch: dict[str, Any] = {}
        for prefix, tokenizer in self.tokenizers.items():
            own = [{name: value for name, value in row.items() if name.startswith(prefix)} for row in rows]
            rows = [{name: value for name, value in row.items() if not name.startswith(prefix)} for row in rows]
            if own and own[0]:
                plain = [{name.removeprefix(prefix): value for name, value in row.items()} for row in own]
                padded = tokenizer.pad(plain, return_tensors="pt")
                batch |= {f"{prefix}{name}": value for name, value in padded.items()}
        return {**self.collate(rows), **batch}
