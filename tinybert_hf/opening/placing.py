"""Puts a saved model in its place: the folder is whole or absent."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from tinybert_hf.model.manifest_tinybert import write_manifest
from tinybert_hf.opening.input_limits import with_fitting_settings


def put_in_place(
    model: Any, processing_class: Any, target: str | Path, further: Mapping[str, Mapping[str, Tensor]] | None = None
) -> None:
    """Write model and tokenizer beside `target`, note their SHA-256, and rename.

    Args:
        model: with `save_pretrained`.
        processing_class: the tokenizer, or None; it is saved with settings that fit the model.
        target: a folder that does not exist yet, or is empty.
        further: safetensors files that belong to the model, by name.
    """
    target = Path(target)
    beside = target.parent / f".{target.name}.saving"
    shutil.rmtree(beside, ignore_errors=True)
    model.save_pretrained(beside)
    if processing_class is not None:
        with_fitting_settings(processing_class, model).save_pretrained(beside)
    for name, tensors in (further or {}).items():
        save_file(dict(tensors), beside / name)
    write_manifest(beside)
    os.replace(beside, target)
