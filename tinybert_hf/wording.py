"""How many of something, in words, how much of it was kept, and what helps where a file could not be written."""

import errno
import math

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
