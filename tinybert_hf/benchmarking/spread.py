"""Percentiles, and the median of ratios with its interval; no distribution is assumed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """A ratio that was measured in every round.

    Attributes:
        median: of the rounds.
        low: lower end of the interval.
        high: upper end of the interval.
        confidence: that the interval holds the true median, where the rounds are independent; below 0.95 where there
            are fewer than 6, which then span the interval.
        rounds: how many there were.
    """

    median: float
    low: float
    high: float
    confidence: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Ratio:
        """The median of the values, and the interval between two of them that holds the true one."""
        low, high, confidence = median_interval(values)
        return cls(statistics.median(values), low, high, confidence, len(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share lies, interpolated between neighbours as numpy does it.

    Args:
        values: one at least.
        share: 0 to 1.
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def median_interval(values: Sequence[float], confidence: float = _CONFIDENCE) -> tuple[float, float, float]:
    """The narrowest pair of values, as far from both ends, that holds the true median with this confidence.

    Each value lies below the true median with probability 1/2, so how many do is binomial.

    Args:
        values: one at least.
        confidence: that is asked for; too few values give less.

    Returns:
        Lower end, upper end, and the confidence that the two have.

    Source:
        Conover 1999, Practical Nonparametric Statistics, section 3.2.
    """
    ordered, count = sorted(values), len(values)

    def covered(cut: int) -> float:
        """That neither more than count - cut - 1 nor fewer than cut + 1 values lie below the median."""
        return 1 - 2 * sum(math.comb(count, below) for below in range(cut + 1)) / 2**count

    cut = max((one for one in range((count + 1) // 2) if covered(one) >= confidence), default=0)
    return ordered[cut], ordered[count - 1 - cut], max(covered(cut), 0.0)
