"""How many of something, in words; and what to do about a file that could not be written."""

import errno


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


def to_write(error: BaseException) -> str:
    """What makes a write succeed that has failed: room, as a rule, or the right to write there."""
    refused = isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    return "choose a folder that can be written" if refused else "make room"


def capital(text: str) -> str:
    """With a capital in front."""
    return text[:1].upper() + text[1:]
