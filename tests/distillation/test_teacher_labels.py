"""A better order of a teacher's labels is found where there is one, and not where chance made it."""

import itertools

import numpy as np
import pytest

from tinybert_hf.distillation.teachers import better_label_order


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_order_is_that_of_trying_all(order: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 400)
    noisy = np.where(rng.random(400) < 0.85, labels, rng.integers(0, 4, 400))
    predictions = np.array(order)[noisy]
    shares = {one: float(np.mean(np.array(one)[labels] == predictions)) for one in itertools.permutations(range(4))}
    found = better_label_order(predictions.tolist(), labels.tolist(), 4)
    if order == (0, 1, 2, 3):
        assert found is None
    else:
        assert found == (list(max(shares, key=lambda one: shares[one])), pytest.approx(max(shares.values())))


@pytest.mark.parametrize(("rows", "classes"), [(10, 2), (40, 3), (2000, 6)])
def test_guessing_is_not_improved(rows: int, classes: int) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        labels, predictions = rng.integers(0, classes, (2, rows)).tolist()
        assert better_label_order(predictions, labels, classes) is None


def test_one_answer_for_everything_is_not_improved() -> None:
    assert better_label_order([1] * 50, [0] * 40 + [1] * 10, 2) is None
