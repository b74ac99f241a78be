"""Puts a saved model in its place: the folder is whole or absent."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from tinybert_hf.errors import OutputFolderError
from tinybert_hf.model.manifest_tinybert import write_manifest
from tinybert_hf.opening.input_limits import with_fitting_settings


def put_in_place(
    model: Any,
    processing_class: Any,
    target: str | Path,
    further: Mapping[str, Mapping[str, Tensor]] | None = None,
    add: Callable[[Path], None] | None = None,
) -> None:
    """Write model and tokenizer beside `target`, note their SHA-256, and rename.

    Args:
        model: with `save_pretrained`.
        processing_class: the tokenizer, or None; it is saved with settings that fit the model.
        target: a folder that does not exist yet, or is empty.
        further: safetensors files that belong to the model, by name.
        add: puts other files into the folder that it is given.
    """
    with made_beside(Path(target)) as beside:
        model.save_pretrained(beside)
        if processing_class is not None:
            with_fitting_settings(processing_class, model).save_pretrained(beside)
        for name, tensors in (further or {}).items():
            save_file(dict(tensors), beside / name)
        if add is not None:
            add(beside)
        write_manifest(beside)
        os.replace(beside, target)


@contextmanager
def made_beside(target: Path) -> Iterator[Path]:
    """A folder beside `target`, not there yet, for the block to fill and to rename; where that fails, nothing stays.

    Args:
        target: that it is going to be; the folders above it are made where they are not there.
    """
    missing = [folder for folder in target.absolute().parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.parent / f".{target.name}.saving"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        yield beside
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        for folder in missing:
            with suppress(OSError):  # somebody else has put something there
                folder.rmdir()
        raise


def check_writable(target: str | Path) -> Path:
    """Refuse a place where nothing can be written, before minutes are spent.

    Returns:
        The nearest folder that exists.

    Raises:
        OutputFolderError: naming that folder.
    """
    nearest = Path(target).absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not os.access(nearest, os.W_OK):
        raise OutputFolderError(f"output folder {target}: {nearest} is not writable; choose another --output-dir")
    return nearest
