"""What messages say in many places: how many, how much was kept, what was meant, where was looked, what helps."""

import difflib
import errno
import math
from collections.abc import Callable, Iterable
from pathlib import Path

# Less than this says nothing of a task: a share of it is noise. BLEU and chrF go from 0 to 100.
_NOTHING = {"bleu": 2.0, "chrf": 2.0}
_NEXT_TO_NOTHING = 0.05
_LOWER_IS_BETTER = ("loss", "mse", "perplexity")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: "1 row", "3,200 rows".

    Args:
        number: of them.
        noun: of one; a verb may stand behind it, where the plural has one too: "row has".
        plural: of several; None: the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def counted_epochs(number: float, learning_rate: float | None = None) -> str:
    """Epochs may be parts: "1 epoch", "0.5 epochs"; with their learning rate: "2 epochs at 0.002"."""
    rate = "" if learning_rate is None else f" at {learning_rate:g}"
    return f"{number:g} epoch{'' if number == 1 else 's'}{rate}"


def counted_layers(encoder: int | str, decoder: int | None = None) -> str:
    """The layers of a model, a translator's in two halves: "1 layer", "4 layers", "6 + 2 layers"."""
    if decoder:
        return f"{encoder} + {decoder} layers"
    return f"{encoder} layer{'' if str(encoder) == '1' else 's'}"


def share_kept(metric: str, student: float, teacher: float) -> float | None:
    """The student's figure as a share of the teacher's; None where such a share says nothing.

    It says something where both figures measure how much was learnt, from 0 on: not of a correlation below 0, not
    of a teacher that knows next to nothing, and not where a lower figure is better.
    """
    if metric.endswith(_LOWER_IS_BETTER) or not (math.isfinite(student) and math.isfinite(teacher)):
        return None
    if student < 0 or teacher < _NOTHING.get(metric, _NEXT_TO_NOTHING):
        return None
    return student / teacher


def nearest_names(name: object, known: Iterable[object], most: int = 1, cutoff: float = 0.6) -> list[str]:
    """The known names that are the most like one that is unknown, the nearest first; case makes no difference.

    Args:
        name: as it was given.
        known: those that there are.
        most: that are given back.
        cutoff: how like they have to be, from 0 (anything) to 1 (the same).
    """
    folded: dict[str, str] = {}
    for one in known:
        folded.setdefault(str(one).lower(), str(one))
    return [folded[one] for one in difflib.get_close_matches(str(name).lower(), folded, n=most, cutoff=cutoff)]


def did_you_mean(
    name: object,
    known: Iterable[object],
    *,
    most: int = 1,
    cutoff: float = 0.6,
    shown: Callable[[str], object] = str,
) -> str:
    """A sentence with the names that were probably meant, a space before it; empty where none is near.

    Args:
        name: see `nearest_names`.
        known: likewise.
        most: likewise.
        cutoff: likewise.
        shown: how one of them is written; `repr` puts it in quotes.
    """
    near = nearest_names(name, known, most, cutoff)
    return f" Did you mean {' or '.join(str(shown(one)) for one in near)}?" if near else ""


def does_not_exist(path: str | Path, *, folders: bool = False) -> str:
    """That nothing stands at a path, with what `nearest_beside` says.

    Args:
        path: as it was given.
        folders: only a folder can be meant.
    """
    return f"{path} does not exist (looked from {Path.cwd()}).{nearest_beside(path, folders=folders)}"


def nearest_beside(path: str | Path, *, folders: bool = False) -> str:
    """What was probably meant by a path at which nothing stands, or that its folder is not there either: a sentence.

    Args:
        path: as it was given.
        folders: only a folder can be meant.
    """
    place = Path(path).expanduser()
    if not place.parent.is_dir():
        return f" Its folder {place.parent} does not exist either."
    inside = (entry for entry in place.parent.iterdir() if not folders or entry.is_dir())
    beside = [entry.name for entry in inside if place.name.startswith(".") or not entry.name.startswith(".")]
    prefix = "./" if str(path).startswith("./") else ""
    return did_you_mean(place.name, sorted(beside), shown=lambda one: f"{prefix}{place.parent / one}")


def to_write(error: BaseException) -> str:
    """What makes a write succeed that has failed: room, as a rule, or the right to write there."""
    is_full = not isinstance(error, OSError) or error.errno in (
        None,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
    )
    return "make room" if is_full else "choose a folder that can be written"


def capital(text: str) -> str:
    """With a capital in front."""
    return text[:1].upper() + text[1:]
