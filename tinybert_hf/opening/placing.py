"""Puts a saved model in its place: the folder is whole or absent."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from tinybert_hf.model.manifest_tinybert import write_manifest


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
        processing_class: the tokenizer, or None.
        target: a folder that does not exist yet, or is empty.
        further: safetensors files that belong to the model, by name.
        add: puts other files into the folder that it is given.
    """
    target = Path(target)
    beside = target.parent / f".{target.name}.saving"
    shutil.rmtree(beside, ignore_errors=True)
    model.save_pretrained(beside)
    if processing_class is not None:
        processing_class.save_pretrained(beside)
    for name, tensors in (further or {}).items():
        save_file(dict(tensors), beside / name)
    if add is not None:
        add(beside)
    write_manifest(beside)
    os.replace(beside, target)
