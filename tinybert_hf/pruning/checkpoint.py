"""Prune the vocabulary of a saved model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf import model as family
from tinybert_hf.errors import OutputFolderError, TinyBertError
from tinybert_hf.opening import (
    PROJECTIONS_FILE,
    check_folder,
    check_writable,
    open_config,
    open_model,
    open_tokenizer,
    put_in_place,
    read_projections,
)
from tinybert_hf.pruning.choice import MARGIN, MIN_COUNT, check_choice
from tinybert_hf.pruning.vocabulary import PrunedModel, check_prunable, prune_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def prune_checkpoint(
    name_or_path: str | Path,
    texts: Iterable[str],
    output_dir: str | Path | None,
    *,
    min_count: int = MIN_COUNT,
    margin: float = MARGIN,
) -> PrunedModel:
    """Prune a saved model and put the result into a folder of its own.

    The folder appears when it is whole: it is written beside and renamed, after the outputs were compared.

    Args:
        name_or_path: a folder, or an id on the Hub.
        texts: as for `prune_vocabulary`.
        output_dir: new or empty; None: nothing is written.
        min_count: as for `prune_vocabulary`.
        margin: likewise.

    Raises:
        OutputFolderError: the folder holds something.
        TinyBertError: there is no model or no tokenizer there; or what `prune_vocabulary` refuses.
    """
    check_choice(min_count, margin)
    target = None if output_dir is None else Path(output_dir)
    if target is not None and target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputFolderError(f"{target} is there and not empty. Give another output folder, or remove it.")
    if target is not None:
        check_writable(target)
    model, tokenizer = _open(str(name_or_path))
    pruned = prune_vocabulary(model, tokenizer, texts, min_count=min_count, margin=margin)
    if target is not None:
        projections = read_projections(name_or_path)
        further = {} if projections is None else {PROJECTIONS_FILE: projections}
        put_in_place(pruned.model, pruned.tokenizer, target, further)
    return pruned


def _open(path: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    check_folder(path)
    config = open_config(path)
    check_prunable(config, str((config.architectures or [""])[0]))
    model = open_model(path, _class_of(config, path))
    tokenizer = open_tokenizer(path, what=f"{path} has no tokenizer that can be opened", config=model)
    return model.eval(), tokenizer


def _class_of(config: Any, path: str) -> Any:
    """The class that the weights were saved from, head included."""
    import transformers

    name = str((config.architectures or ["none"])[0])
    found = getattr(family, name, None) or getattr(transformers, name, None)
    if found is None:
        raise TinyBertError(
            f"{path}: config.json names the class {name!r}, which neither this package nor transformers has; no code "
            "of the folder is run here."
        )
    return found
