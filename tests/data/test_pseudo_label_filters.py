"""The rules of what is fit to learn from."""

import pytest
import tiny_translator

from tinybert_hf.data.pseudo_labels import LengthBand, is_repetitive


@pytest.mark.parametrize(
    ("translation", "most"),
    [
        ("", 0),
        ("der Hund und", 0),  # fewer units than an n-gram has
        ("der Hund und die Katze", 1),
        ("ha ha ha ha ha ha", 3),  # the n-gram "ha ha ha ha" at 0, 1 and 2
        ("ich bin ich bin ich bin ich bin", 3),
        ("Das ist gut, das ist gut, DAS IST GUT,", 3),
        ("他说他说他说他说", 3),  # one unit for each character
        ("ーーーーー", 2),
        ("wort1 wort2 wort3 wort4 wort5", 1),
    ],
)
def test_repetition_is_counted_in_words_or_characters(translation: str, most: int) -> None:
    assert not is_repetitive("", translation, most)
    assert most < 2 or is_repetitive("", translation, most - 1)


def test_a_source_that_repeats_itself_allows_it() -> None:
    chorus = "nein nein nein nein nein nein nein"
    assert is_repetitive("no no no", chorus, 3)
    assert not is_repetitive("no no no no no no no", chorus, 3)
    assert is_repetitive("no no no no no no no", chorus + " nein", 3)


def test_the_band_comes_from_the_median_of_the_references() -> None:
    sources = ["x" * 10, "x" * 20, "x" * 40, "x" * 40, "", "x" * 7]
    references = ["y" * 10, " " + "y" * 10, "y" * 10, "y" * 40, "y" * 9, " "]
    band = LengthBand.from_references(sources, references, factor=2.0)
    assert (band.ratio, band.in_tokens) == (0.75, False)  # of 1, 0.5, 0.25, 1: pairs with a blank side do not count


def test_without_references_tokens_are_compared() -> None:
    for references in (None, ["", " "]):
        band = LengthBand.from_references(["a", "b"], references, factor=2.0)
        assert (band.ratio, band.in_tokens) == (1.0, True)
    tokenizer = tiny_translator.make_tokenizer()
    assert band.lengths(tokenizer, ["the cat", "", "dog"], target=False) == [2, 0, 1]
    assert band.lengths(tokenizer, ["das Katze", ""], target=True) == [2, 0]


@pytest.mark.parametrize(
    ("band", "source_length", "shortest", "longest"),
    [
        # 0.5 x (100 - 10) / 2 and 0.5 x (100 + 10) x 2
        (LengthBand(0.5, 2.0, in_tokens=False), 100, 23, 110),
        # (25 - 5) / 4 and (25 + 5) x 4
        (LengthBand(1.0, 4.0, in_tokens=True), 25, 5, 120),
        (LengthBand(0.3, 2.0, in_tokens=False), 4, 0, 8),
    ],
)
def test_the_edges_of_the_band(band: LengthBand, source_length: int, shortest: int, longest: int) -> None:
    kept = [length for length in range(300) if band.holds(source_length, length)]
    assert kept == list(range(shortest, longest + 1))
