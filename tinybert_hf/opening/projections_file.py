"""Reads the projections that a general distillation or a conversion has left beside a student."""

from pathlib import Path
from typing import Any

from torch import Tensor

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening.reasons import refusing

PROJECTIONS_FILE = "projections.safetensors"


def read_projections(path: str | Path, kind: type[TinyBertError] = TinyBertError) -> dict[str, Tensor] | None:
    """The projections of a saved student; None where it has none.

    Args:
        path: a folder, or an id on the Hub.
        kind: the error.

    Returns:
        Weights and biases by name, as `Projections.state_dict()` gives them.

    Raises:
        TinyBertError: of that kind: the file is damaged.
    """
    from safetensors.torch import load_file
    from transformers.utils import cached_file

    options: dict[str, Any] = {
        "_raise_exceptions_for_missing_entries": False,
        "_raise_exceptions_for_gated_repo": False,
        "_raise_exceptions_for_connection_errors": False,
    }
    file = cached_file(str(path), PROJECTIONS_FILE, **options)
    if file is None:
        return None
    with refusing(f"{file} cannot be read, it is damaged or no safetensors file", kind):
        return load_file(file)
