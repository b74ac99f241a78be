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


def _not_only_weights(text: str) -> str:
    """For what torch says of a pickle: it advises to switch the check off, which would let the file run code."""
    found = re.search(r"(?:GLOBAL|global) `?([\w.]+)`?", text)
    held = f" (but also {found[1]})" if found and "." in found[1] else ""
    return (
        f"the pickled file does not hold tensors alone{held}, as weights do: it is damaged, in another format, or "
        "could run code when it is opened. Take the model's safetensors file; or have its maker save it once more "
        "with save_pretrained"
    )


def reason_of(error: BaseException) -> str:
    """The reason of another library's error, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any("weights_only" in line for line in lines):
        return _not_only_weights(str(error))
    if lines and "alidation" in lines[0]:  # errors of @strict configurations tell it in the last line
        return re.sub(r"^\w+Error: ", "", lines[-1])[:400]
    return f"{type(error).__name__}: {' '.join(lines):.400}"
