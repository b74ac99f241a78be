"""Percentiles and intervals against numpy and the binomial distribution."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from scipy.stats import binom

from tinybert_hf.benchmark.report import Ratio, median_interval, percentile


@pytest.mark.parametrize("count", [1, 2, 3, 10, 21])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 1.0])
def test_percentiles_are_numpys(count: int, share: float) -> None:
    values = [random.Random(count).uniform(1, 9) for _ in range(count)]
    assert percentile(values, share) == pytest.approx(np.percentile(values, 100 * share))


@pytest.mark.parametrize("count", [1, 2, 5, 6, 9, 20, 51])
def test_the_interval_is_the_narrowest_that_is_sure_enough(count: int) -> None:
    values = list(range(count))
    low, high, confidence = median_interval(values)
    assert low + high == count - 1  # as far from both ends
    assert confidence == pytest.approx(max(1 - 2 * binom.cdf(low, count, 0.5), 0))
    narrower = 1 - 2 * binom.cdf(low + 1, count, 0.5)
    assert narrower < 0.95
    assert confidence >= 0.95 or (low, high) == (0, count - 1)


def test_the_interval_holds_the_median_as_often_as_it_says() -> None:
    """All orders of heads and tails of 8 rounds: how often is 0 between the ends?"""
    _, _, confidence = median_interval([0.0] * 8)
    held = 0
    for signs in itertools.product((-1, 1), repeat=8):
        low, high, _ = median_interval([sign * (1 + place) for place, sign in enumerate(signs)])
        held += low < 0 < high
    assert held / 2**8 == pytest.approx(confidence)


def test_a_ratio_of_made_up_rounds() -> None:
    ratio = Ratio.of([4.0, 2.0, 3.0])
    assert (ratio.median, ratio.low, ratio.high, ratio.rounds) == (3.0, 2.0, 4.0, 3)
    assert ratio.confidence == pytest.approx(0.75)
