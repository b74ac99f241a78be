"""Reads a JSON file of a saved model before a library does, and refuses what would mislead or exhaust it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinybert_hf.errors import TinyBertError

MAX_BYTES = 512 << 20


def read_object(path: Path, kind: type[TinyBertError] = TinyBertError) -> dict[str, Any]:
    """Reads a JSON object.

    Args:
        path: the file.
        kind: the error.

    Raises:
        TinyBertError: of that kind: the file cannot be read, is no JSON object in UTF-8, holds a name twice (of
            which most readers would silently take the last), or is too large or too deeply nested.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise kind(f"{path} has {path.stat().st_size:,} bytes, which is too large for such a file.")
        content = json.loads(path.read_bytes().decode("utf-8"), object_pairs_hook=_without_doubles)
    except OSError as error:
        raise kind(f"{path} cannot be read: {error.strerror or error}.") from error
    except RecursionError as error:
        raise kind(f"{path} is nested too deeply.") from error
    except UnicodeDecodeError as error:
        raise kind(f"{path} is not UTF-8 (byte {error.start}). Save or download it again.") from error
    except ValueError as error:
        if isinstance(error, TinyBertError):
            raise
        raise kind(f"{path} is not valid JSON ({error!s:.200}). Save or download it again.") from error
    if not isinstance(content, dict):
        raise kind(f"{path} holds no JSON object, but {type(content).__name__}.")
    return content


def numbers_in(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number in a value that was read from JSON, with the name of the field that it stands in."""
    waiting: list[tuple[str, Any]] = [(name, value)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend((str(key), item) for key, item in value.items())
        elif isinstance(value, list):
            waiting.extend((name, item) for item in value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield name, value


def in_short(number: float) -> str:
    """A number in a few characters, also an integer that no float can hold."""
    try:
        return f"{number:.6g}"
    except OverflowError:
        return f"a number of {len(str(abs(number)))} digits"


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {double[:60]!r} stands there twice")
    return found
