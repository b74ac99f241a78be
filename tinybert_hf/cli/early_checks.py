"""What can be said about a command before torch and transformers are loaded, which takes seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tinybert_hf.cli.model_folders import opens_models


def check_row_files(*files: str | None) -> None:
    """Look at files of rows.

    Args:
        *files: None where none was given.

    Raises:
        DataError: one is missing, a folder, of an unknown kind, or empty.
    """
    from tinybert_hf.data.files import checked_suffix

    for file in files:
        if file is not None:
            checked_suffix(Path(file))


def check_recipe_early(recipe: str, overrides: Mapping[str, Any], assignments: Iterable[str]) -> None:
    """Look at the files and folders that a recipe names.

    Whatever has another form than a recipe's is passed over: the loader says what is wrong with it.

    Args:
        recipe: name or file.
        overrides: the changes by the options, by dotted path.
        assignments: of --set.

    Raises:
        TinyBertError: the recipe cannot be read, or a file or a folder is not there.
    """
    from tinybert_hf.recipes.loader import changed_recipe

    mapping = changed_recipe(recipe, overrides, assignments)
    check_row_files(*_texts(mapping, "data", "train_file", "validation_file"))
    _check_corpus(mapping)
    further = mapping.get("further_teachers")
    names = [model for one in (further if isinstance(further, list) else ()) for model in _texts(one, "", "model")]
    for section in ("teacher", "augmentation", "student"):
        names += _texts(mapping, section, "model")
    with opens_models(*names):
        pass


def _check_corpus(mapping: Mapping[str, Any]) -> None:
    from tinybert_hf.data.finding import files_of

    corpus = mapping.get("corpus")
    if mapping.get("task") != "general" or not isinstance(corpus, Mapping):
        return
    for field in ("files", "validation_files"):
        named = corpus.get(field)
        for name in named if isinstance(named, list | tuple) else ():
            if isinstance(name, str):
                files_of(name)


def _texts(mapping: Any, section: str, *fields: str) -> Iterator[str]:
    """The values of these fields that are texts."""
    part = mapping.get(section) if section and isinstance(mapping, Mapping) else mapping
    values = [part.get(field) for field in fields] if isinstance(part, Mapping) else []
    yield from (value for value in values if isinstance(value, str))
