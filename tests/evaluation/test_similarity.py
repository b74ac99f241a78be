"""Linear CKA against its definition with Gram matrices."""

import pytest
import torch
from torch import Tensor

from tinybert_hf.evaluation.layer_distances import layer_distances, linear_cka


def by_gram_matrices(first: Tensor, second: Tensor) -> float:
    """The definition: centred N x N Gram matrices, their inner product over their norms."""
    n = len(first)
    centre = torch.eye(n, dtype=torch.float64) - 1 / n
    k, m = (centre @ (x.double() @ x.double().T) @ centre for x in (first, second))
    return float((k * m).sum() / (k.norm() * m.norm()))


def layers(count: int = 40) -> tuple[Tensor, Tensor]:
    """Two layers of unequal width that have something in common, far from the origin."""
    first = torch.randn(count, 7) * torch.arange(1, 8) + 5
    second = torch.cat([first[:, :3] @ torch.randn(3, 6), torch.randn(count, 5)], dim=1) - 3
    return first, second


def test_it_is_that_of_the_gram_matrices() -> None:
    first, second = layers()
    expected = by_gram_matrices(first, second)
    assert 0.1 < expected < 0.95
    assert linear_cka(first, second) == pytest.approx(expected, abs=1e-5)
    assert linear_cka(second, first) == pytest.approx(expected, abs=1e-5)


def test_a_rotation_a_factor_and_a_shift_change_nothing() -> None:
    first, second = layers()
    rotation = torch.linalg.qr(torch.randn(7, 7))[0]
    assert linear_cka(first, 30 * first @ rotation + 2) == pytest.approx(1.0, abs=1e-5)
    assert linear_cka(first @ rotation, second) == pytest.approx(linear_cka(first, second), abs=1e-5)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_very_small_and_very_large_states_are_compared_too(scale: float) -> None:
    first, second = layers()
    assert linear_cka(first * scale, second) == pytest.approx(by_gram_matrices(first, second), abs=1e-4)


def test_a_layer_that_says_the_same_for_every_token_has_nothing_in_common() -> None:
    first, _ = layers()
    same = torch.full((40, 5), 0.1) * torch.arange(1, 6)
    assert linear_cka(first, same) == 0.0
    assert linear_cka(same, same) == 0.0


def test_distances_between_all_layers() -> None:
    first, second = layers()
    found = layer_distances([first, second.half()], [second, first, first * 2])
    assert len(found) == 2
    expected = [[1 - by_gram_matrices(a, b) for b in (second, first, first)] for a in (first, second.half())]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=0, atol=2e-5)
