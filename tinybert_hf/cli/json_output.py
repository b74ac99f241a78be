"""`--json`: the result alone on standard output, for scripts; what is said on the way goes to standard error."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON, and everything else to standard error.")
]


@contextlib.contextmanager
def said_aside(wanted: bool) -> Iterator[None]:
    """For the time of the block, where `wanted`, whatever is printed goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield


def print_json(result: Mapping[str, Any]) -> None:
    """One line of JSON; a number that is none, which JSON does not know, is null."""
    print(json.dumps(known_to_json(result), allow_nan=False, ensure_ascii=False, default=str))


def known_to_json(value: Any) -> Any:
    """A value with null for every number that is none."""
    if isinstance(value, Mapping):
        return {str(key): known_to_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [known_to_json(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
