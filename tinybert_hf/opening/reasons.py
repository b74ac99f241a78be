"""What a library raises over a file becomes one error of this package."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tinybert_hf.errors import TinyBertError


@contextmanager
def refusing(what: str, kind: type[TinyBertError] = TinyBertError) -> Iterator[None]:
    """Around the calls of a library that reads files: whatever it raises becomes an error of this package.

    Args:
        what: the beginning of the message; names the files.
        kind: the error.

    Raises:
        TinyBertError: of that kind. A full memory, an interrupt and errors of this package pass as they are.
    """
    try:
        yield
    except (TinyBertError, MemoryError):
        raise
    except BaseException as error:
        # A panic of the Rust libraries (tokenizers, safetensors) is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if type(error).__name__ == "OutOfMemoryError":
            raise
        raise kind(f"{what}: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """The reason of another library's error, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "alidation" in lines[0]:  # errors of @strict configurations tell it in the last line
        return re.sub(r"^\w+Error: ", "", lines[-1])[:400]
    return f"{type(error).__name__}: {' '.join(lines):.400}"
