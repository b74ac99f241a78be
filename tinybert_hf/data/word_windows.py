"""Long rows of words as windows: each word is answered in one of them, with words around it to read."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

_OVERLAP = 0.25  # of a window, on the side of the next one


@dataclass(frozen=True)
class Window:
    """Words that are read together.

    Attributes:
        start: the first word.
        end: behind the last word.
        first: the first word that is answered here; those before it are in the window before.
        last: behind the last word that is answered here.
    """

    start: int
    end: int
    first: int
    last: int


def windows_of(pieces: Sequence[int], room: int) -> list[Window]:
    """Cuts a row between words so that every word is answered once.

    Two windows share about a quarter of what they hold; of the shared words each answers the half that is farther from
    its end, where more is known on both sides.

    Args:
        pieces: of each word, how many pieces it has; 0 where the tokenizer makes none.
        room: pieces that a window can hold; a word with more stands alone, cut.

    Returns:
        The windows in order: one for a row that fits.
    """
    spans = [(0, _fill(pieces, 0, room))]
    while spans[-1][1] < len(pieces):
        spans.append(_next(pieces, *spans[-1], room))
    borders = [0, *((after[0] + before[1] + 1) // 2 for before, after in itertools.pairwise(spans))]
    owned = zip(borders, [*borders[1:], len(pieces)], strict=True)
    return [Window(*span, *part) for span, part in zip(spans, owned, strict=True)]


def _fill(pieces: Sequence[int], start: int, room: int) -> int:
    """Behind the last word that fits into a window; at least one word does."""
    held, end = 0, start
    while end < len(pieces) and (held + pieces[end] <= room or end == start):
        held += pieces[end]
        end += 1
    return end


def _next(pieces: Sequence[int], start: int, end: int, room: int) -> tuple[int, int]:
    """The window after one: it begins within it where that leaves room for a new word."""
    begin, shared = end, 0
    while begin > start + 1 and shared + pieces[begin - 1] <= room * _OVERLAP:
        begin -= 1
        shared += pieces[begin]
    new_end = _fill(pieces, begin, room)
    while new_end <= end and begin < end:  # the next word is too long to stand beside shared ones
        begin += 1
        new_end = _fill(pieces, begin, room)
    return begin, new_end
