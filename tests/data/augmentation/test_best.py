"""The best scores, with doubt where rounding may decide."""

import torch

from tinybert_hf.data.augmentation_candidates import DOUBTFUL, best, best_exactly


def test_the_best_of_each_row() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(50, 30, generator=generator)
    indices, doubts = best(scores, 7)
    for row, found in zip(scores, indices, strict=True):
        assert sorted(found.tolist()) == sorted(sorted(range(30), key=lambda at: -float(row[at]))[:7])
    assert not doubts.any()
    assert best(scores, 99)[0].shape == (50, 30)


def test_doubt_is_where_the_last_in_and_the_first_out_are_near() -> None:
    near = 10 * (1 - DOUBTFUL / 2)
    scores = torch.tensor([[10.0, near, 1.0], [1.0, 10.0, near], [10.0, 1.0, 10.0], [10.0, float("-inf"), -1.0]])
    assert best(scores, 1)[1].tolist() == [True, True, True, False]
    assert best(scores, 2)[1].tolist() == [False, False, False, False]
    nothing = torch.full((1, 3), float("-inf"))
    assert best(nothing, 1)[1].tolist() == [False]


def test_equal_scores_stand_in_the_order_of_the_vocabulary() -> None:
    scores = torch.tensor([[1.0, 3.0, 3.0 + 1e-13, 3.0 - 1e-13, float("-inf")]], dtype=torch.float64)
    assert best_exactly(scores, 2).tolist() == [[1, 2]]
    assert best_exactly(scores, 4).tolist() == [[1, 2, 3, 0]]
