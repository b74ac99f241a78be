"""The libraries that only some users need: imported where they are used, and named where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tinybert_hf.errors import TinyBertError


def require(module: str, extra: str) -> Any:
    """Import a library of an extra.

    Args:
        module: its name.
        extra: of this package, that brings it.

    Raises:
        TinyBertError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise TinyBertError(
            f'{module} is not installed ({error}). It comes with: pip install "tinybert_hf[{extra}]"'
        ) from error
