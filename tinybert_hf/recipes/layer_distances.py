"""How far the student's layers are from the teacher's, before and after: kept in the run's folder for its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.held_folder import is_first_process
from tinybert_hf.evaluation import measure_layer_distances
from tinybert_hf.recipes.folder import write_json

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DISTANCES_FILE = "layer_distances.json"
BEFORE, AFTER = "layer distances before", "layer distances after"
_OTHER_TOKENS = (
    "the teacher reads a text as other tokens than the student, so their layers cannot be compared by token"
)


def distances_to_teacher(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    other_tokens: bool,
) -> dict[str, Any]:
    """See `measure_layer_distances`; where that cannot be, the reason under the name `missing`.

    Args:
        student: on its device.
        teacher: the first, where there are several.
        rows: tokenised validation rows.
        tokenizer: of the student.
        other_tokens: the teacher reads other tokens.
    """
    if other_tokens:
        return {"missing": _OTHER_TOKENS}
    try:
        return measure_layer_distances(student, teacher, rows, tokenizer)
    except Exception as error:  # a picture of the report is not worth a run
        return {"missing": f"{type(error).__name__}: {error}"}


def write_distances(folder: Path, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Into the run's folder; of several processes the first one writes."""
    if is_first_process():
        write_json(folder / DISTANCES_FILE, {"before": before, "after": after})
