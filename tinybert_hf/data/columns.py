"""Find the columns that nobody has named, where they have an obvious name."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from tinybert_hf.data.files import read_file
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.errors import DataError

OBVIOUS_COLUMNS = {"text_column": ("text", "sentence"), "label_column": ("label", "labels")}


def with_obvious_columns(settings: DataSettings, named: Collection[str] = ()) -> DataSettings:
    """Replace a column that the file lacks by one of another obvious name that it has.

    Looks into the train file, or into the validation file where there is no other. What the file has stays as it is,
    so of `text` and `sentence` together the text is the one that the settings name: `text`, unless they say otherwise.

    Args:
        settings: as they were given, with the usual names where nothing was given.
        named: fields of the settings that the user has named: these stay, and so does any name that is not obvious.

    Returns:
        The settings; unchanged where nothing obvious is there, so that reading the file says what it lacks.
    """
    file = settings.train_file or settings.validation_file
    if file is None:
        return settings
    found: dict[str, Any] = {}
    for field, names in OBVIOUS_COLUMNS.items():
        now = getattr(settings, field)
        if field in named or now not in names:
            continue
        there = next((name for name in (now, *names) if _has_column(file, name)), now)
        if there != now:
            found[field] = there
    return replace(settings, **found)


def _has_column(file: str, name: str) -> bool:
    try:
        read_file(file, [name], max_rows=1)
    except DataError:
        return False
    return True
