"""How often a training that names no epochs goes over its rows: the fewer there are, the more often."""

from __future__ import annotations

import math
from typing import Any, NamedTuple


class Readings(NamedTuple):
    """What a training is to read.

    Attributes:
        rows: together, over all its epochs.
        least: epochs, however many rows there are.
        most: epochs, however few there are.
    """

    rows: int
    least: int
    most: int

    def epochs(self, rows: int | None) -> float:
        """Over so many rows; None: they cannot be counted, as in a stream, or do not matter."""
        if not rows:
            return float(self.least)
        return float(min(self.most, max(self.least, math.ceil(self.rows / rows))))


def count_rows(dataset: Any) -> int | None:
    """Of a data set; None of a stream."""
    return len(dataset) if hasattr(dataset, "__len__") else None
