"""What a model was trained with, where its folder says so: then it need not be said again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinybert_hf.errors import TinyBertError

_KEPT = (
    "text_column",
    "text_pair_column",
    "label_column",
    "label_separator",
    "source_column",
    "target_column",
    "tokens_column",
    "tags_column",
    "question_column",
    "context_column",
    "answers_column",
    "max_length",
    "doc_stride",
    "problem_type",
)


def trained_with(model: str) -> dict[str, Any]:
    """The columns, length and problem of the run that made the model.

    Args:
        model: a folder; one that holds a run.json, or an export of such a model. Of any other nothing is known.

    Raises:
        TinyBertError: the file cannot be read.
    """
    run, note = Path(model) / "run.json", Path(model) / "export.json"
    file = run if run.is_file() else note
    if not file.is_file():
        return {}
    from tinybert_hf.data import DataSettings
    from tinybert_hf.recipes.fields import build

    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        known = content["recipe"]["data"] if file == run else content.get("trained_with", {})  # older exports: none
        kept = {name: known[name] for name in _KEPT if known.get(name) is not None}
        build(DataSettings, kept)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise TinyBertError(
            f"{file} does not say which columns the model was trained with ({type(error).__name__}: {error}). Move it "
            "away and name them: --text-column, --label-column."
        ) from error
    return kept
