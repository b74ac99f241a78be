"""Counts in words."""

import pytest

from tinybert_hf.wording import counted, counted_epochs


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (counted(0, "row"), "0 rows"),
        (counted(1, "row"), "1 row"),
        (counted(3200, "row"), "3,200 rows"),
        (counted(1, "copy", "copies"), "1 copy"),
        (counted(2, "copy", "copies"), "2 copies"),
        (counted(1, "shard is", "shards are"), "1 shard is"),
        (counted_epochs(1.0), "1 epoch"),
        (counted_epochs(0.5), "0.5 epochs"),
        (counted_epochs(20.0), "20 epochs"),
    ],
)
def test_one_and_several(said: str, words: str) -> None:
    assert said == words
