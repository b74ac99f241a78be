"""The folder of a model that does not exist: said as such, with the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from tinybert_hf.errors import OutputFolderError, TinyBertError


@contextmanager
def opens_models(*names: str | None) -> Iterator[None]:
    """Around what opens models: refuse a folder that is not there, before the Hub is asked for it.

    What may be an id on the Hub passes; when it fails, the message ends with the folder of a like name.

    Args:
        *names: folders or Hub ids as they were given; None where none was given.

    Raises:
        TinyBertError: a name that can only be a folder, and none is there; or what the block raises.
    """
    absent = [name for name in names if name is not None and not Path(name).exists()]
    for name in absent:
        if not _may_be_on_the_hub(name):
            raise TinyBertError(
                f"{name} does not exist (looked from {Path.cwd()}).{_nearest(name)} Give the folder of a saved model, "
                "or its id on the Hub."
            )
    try:
        yield
    except OutputFolderError:
        raise  # it may name a model, but the model is not what is wrong
    except TinyBertError as error:
        hints = {_nearest(name) for name in absent if name in str(error)}
        if not any(hints):
            raise
        raise type(error)(f"{error}{''.join(sorted(hints))}") from error


def _may_be_on_the_hub(name: str) -> bool:
    return not name.startswith((".", "/", "~")) and name.count("/") < 2 and not name.endswith("/") and "\\" not in name


def _nearest(name: str) -> str:
    """The folder beside it whose name is the most like it, as a sentence; empty where none is."""
    path = Path(name)
    if not path.parent.is_dir():
        return "" if _may_be_on_the_hub(name) else f" Its folder {path.parent} does not exist either."
    beside = [entry.name for entry in path.parent.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    near = get_close_matches(path.name, beside, n=1)
    if not near:
        return ""
    prefix = "./" if name.startswith("./") else ""
    return f" Did you mean {prefix}{path.parent / near[0]}?"
