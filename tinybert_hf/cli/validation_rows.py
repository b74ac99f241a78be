"""Where the rows of --validation-file are, for the commands that measure models which exist already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinybert_hf.cli.options import choose_columns
from tinybert_hf.data.settings import QUESTION_ANSWERING, QUESTION_ANSWERING_LENGTH, DataSettings
from tinybert_hf.opening import TEXT_CLASSIFICATION


def validation_settings(task: str | None, known: Mapping[str, Any], given: Mapping[str, Any]) -> DataSettings:
    """The rows with the columns that were named, else those that a model was trained with, else the obvious ones.

    Args:
        task: a name in `HEADS`; None: a translator's.
        known: what the model was trained with, from `trained_with`.
        given: by options, from `data_overrides`.
    """
    length = {"max_length": QUESTION_ANSWERING_LENGTH} if task == QUESTION_ANSWERING else {}
    settings = DataSettings(**{**length, **known, **given})
    return choose_columns(settings, given) if task == TEXT_CLASSIFICATION else settings
