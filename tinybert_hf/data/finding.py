"""Which files a name, a pattern or a folder stands for; loads no library, so that a wrong name is said at once."""

import difflib
import glob
from pathlib import Path

from tinybert_hf.data.files import SUFFIXES
from tinybert_hf.errors import DataError

_TEXTS = (".txt", ".text")


def files_of(name: str) -> list[Path]:
    """The files of plain text or with rows of text, sorted.

    Args:
        name: a file of any name, a folder, or a pattern.

    Raises:
        DataError: it stands for no file.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        known = (*_TEXTS, *SUFFIXES)
        inside = sorted(file for file in path.rglob("*") if file.is_file())
        kept = [file for file in inside if file.name.lower().removesuffix(".gz").endswith(known)]
        if not kept:
            raise DataError(f"The folder {name} holds no file that ends in {', '.join(known)}, also with .gz.")
        return kept
    if glob.has_magic(name):
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
        kept = [match for match in matches if match.is_file()]
        if not kept:
            raise DataError(f"No file matches {name} (looked from {Path.cwd()}).")
        return kept
    if not path.parent.is_dir():
        raise DataError(f"{name} does not exist, nor its folder {path.parent} (looked from {Path.cwd()}).")
    near = difflib.get_close_matches(path.name, [item.name for item in path.parent.iterdir()], n=1)
    hint = f" Did you mean {path.parent / near[0]}?" if near else ""
    raise DataError(f"{name} does not exist (looked from {Path.cwd()}).{hint}")
