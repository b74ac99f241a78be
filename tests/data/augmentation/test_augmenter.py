"""Copies of rows: how many words, of which side, out of which candidates, and the same whatever else is done."""

import statistics
from collections import Counter
from typing import Any

import pytest
import tiny_masked_lm

from tinybert_hf.data.augmentation import NOTHING_TO_REPLACE, WORDS_BEYOND, WORDS_UNKNOWN, Augmenter
from tinybert_hf.data.augmentation_candidates import words_from
from tinybert_hf.data.augmentation_words import ReplacementSettings, replaceable_words
from tinybert_hf.errors import DataError


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    return tiny_masked_lm.make()


def augmenter(pair: tuple[Any, Any], batch_size: int = 32, only: bool = False, **settings: Any) -> Augmenter:
    options = {"copies": 4, "candidates": 5, **settings}
    return Augmenter(words_from(*pair, neighbours_only=only, batch_size=batch_size), ReplacementSettings(**options))


def replaced(text: str, copy: str) -> list[tuple[str, str]]:
    """Words that differ; all else must be as it was."""
    there, now = text.split(), copy.split()
    assert len(there) == len(now)
    return [(one.strip(",!"), other.strip(",!")) for one, other in zip(there, now, strict=True) if one != other]


def test_the_share_of_replaced_words_and_nothing_outside_the_candidates(pair: tuple[Any, Any]) -> None:
    texts = [" ".join(tiny_masked_lm.sentences(10)[start:]) for start in range(4)]
    source = words_from(*pair)
    settings = ReplacementSettings(candidates=5)
    made, _ = augmenter(pair, copies=30).augment([[text] for text in texts])
    shares, seen = [], Counter[str]()
    for text, copies in zip(texts, made, strict=True):
        words = replaceable_words(text)
        (read,) = source.read([text], settings)
        allowed = source.candidates({text: read}, [(text, index) for index in range(len(words))], settings)
        own = {word.text: set() for word in words}
        for index, word in enumerate(words):
            own[word.text] |= {one.lower() for one in allowed[text, index]}
        for copy in copies:
            changed = replaced(text, str(copy.text))
            assert all(new.lower() in own[old] and new.lower() != old.lower() for old, new in changed)
            shares.append(len(changed) / len(words))
            seen.update(new for _, new in changed)
    assert statistics.mean(shares) == pytest.approx(0.4, abs=0.02)
    assert statistics.stdev(shares) < 0.15
    assert "Theatre" in seen or any(word[0].isupper() for word in seen)  # Sequels begins with a capital
    assert max(seen.values()) < 0.3 * sum(seen.values())


def test_every_copy_differs_from_its_row(pair: tuple[Any, Any]) -> None:
    made, _ = augmenter(pair, probability=1e-9).augment([["the film"], ["the film was good"]])
    for text, copies in zip(["the film", "the film was good"], made, strict=True):
        assert [len(replaced(text, str(copy.text))) for copy in copies] == [1] * 4
    (all_words,) = augmenter(pair, probability=1.0).augment([["the film was good"]])[0]
    assert {len(replaced("the film was good", str(copy.text))) for copy in all_words} == {2}


@pytest.mark.parametrize("only", [False, True])
def test_the_same_copies_in_any_batch_and_any_company(pair: tuple[Any, Any], only: bool) -> None:
    rows = [[text] for text in [*tiny_masked_lm.sentences(20), "电影很好看", ""]]
    whole, _ = augmenter(pair, 64, only).augment(rows)
    for batch_size in (1, 7):
        assert augmenter(pair, batch_size, only).augment(rows)[0] == whole
    alone = [augmenter(pair, 64, only).augment([row], index)[0][0] for index, row in enumerate(rows)]
    assert alone == whole
    halves = [augmenter(pair, 9, only).augment(rows[a:b], a)[0] for a, b in ((0, 11), (11, 22))]
    assert [*halves[0], *halves[1]] == whole
    assert augmenter(pair, 64, only, seed=1).augment(rows)[0] != whole
    # More copies begin with the same ones, and a row of the same text elsewhere has others.
    assert [copies[:4] for copies in augmenter(pair, 64, only, copies=6).augment(rows)[0]] == whole
    assert augmenter(pair, 64, only).augment([rows[7]], 3)[0][0] != whole[7]


def test_a_copy_changes_one_side_of_a_pair(pair: tuple[Any, Any]) -> None:
    rows = [[text, f"was the play {text.lower()}"] for text in tiny_masked_lm.sentences(12)]
    rows += [["the film", "and the"], [None, "good song"], ["the", "of"]]
    made, notes = augmenter(pair, copies=5).augment(rows)
    for row, copies in zip(rows[:12], made, strict=False):
        sides = [copy.side for copy in copies]
        assert sides in ([0, 1, 0, 1, 0], [1, 0, 1, 0, 1])
        for copy in copies:
            assert replaced(str(row[copy.side]), str(copy.text))
    assert {copies[0].side for copies in made[:12]} == {0, 1}
    assert [{copy.side for copy in copies} for copies in made[12:]] == [{0}, {1}, set()]
    assert notes[NOTHING_TO_REPLACE] == 1


def test_lists_of_words_keep_their_length(pair: tuple[Any, Any]) -> None:
    tokens = ["The", "film", "of", "U.S.", "actors", "was", "good", "!"]
    copies = augmenter(pair, copies=9).augment([[tokens], [[]]])[0]
    assert copies[1] == []
    for copy in copies[0]:
        assert [one for place, one in enumerate(copy.text) if place not in (1, 4, 6)] == [
            "The",
            "of",
            "U.S.",
            "was",
            "!",
        ]
        assert len(copy.text) == 8
    assert len({copy.text[4] for copy in copies[0]}) > 2


def test_what_is_left_is_counted_before_any_model_is_asked(
    pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [["the film was good"], [""], [None], ["of the"], ["good film " * 40]]
    made, notes = augmenter(pair, copies=3, max_length=20).augment(rows)
    assert [len(copies) for copies in made] == [3, 0, 0, 0, 3]
    assert (notes[NOTHING_TO_REPLACE], notes[WORDS_BEYOND], notes[WORDS_UNKNOWN]) == (3, 60, 0)
    assert all(str(copy.text).split()[20:] == ["good", "film"] * 30 for copy in made[4])
    monkeypatch.setattr(pair[0], "forward", None)
    assert augmenter(pair, copies=3, max_length=20).count(rows) == (6, notes)


@pytest.mark.slow
def test_a_text_of_a_million_characters(pair: tuple[Any, Any]) -> None:
    made, notes = augmenter(pair, copies=2, context=16, max_length=30).augment(
        [["good film " * 100_000], ["x" * 10**6]]
    )
    assert notes[WORDS_BEYOND] == 199_970
    assert [len(str(copy.text).split()) for copy in made[0]] == [200_000] * 2
    assert len(made[1]) == 2  # one unknown word


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"copies": 0}, "copies is 0"),
        ({"probability": 0.0}, "probability is 0"),
        ({"probability": 1.5}, "probability is 1.5"),
        ({"probability": float("nan")}, "probability is nan"),
        ({"candidates": 0}, "candidates is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"max_length": 0}, "max_length is 0"),
        ({"context": 3}, "context is 3"),
    ],
)
def test_settings_that_make_no_copies(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        ReplacementSettings(**settings)
