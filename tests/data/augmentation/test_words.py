"""Which parts of a text are words, which of them are replaced, and how the text is put together again."""

import pytest

from tinybert_hf.data.augmentation_words import replaceable_words, with_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The film was good, and didn't bore.", ["film", "good", "bore"]),
        ("a well-made 3d film of 1999, for $5", ["well", "made", "film"]),
        ("it does n't work ; that 's o'clock", ["work", "o'clock"]),
        ("don’t O’Brien", ["O’Brien"]),
        ("电影很好看 of 中国", ["电", "影", "好", "看", "中", "国"]),
        ("iPhone手机", ["iPhone", "手", "机"]),
        ("हिन्दी में फ़िल्म", ["हिन्दी", "में", "फ़िल्म"]),
        ("Ame\u0301lie naïve", ["Ame\u0301lie", "naïve"]),
        ("snake_case x2 __ ... \t\n", ["snake", "case"]),
        ("", []),
        (None, []),
        (["The", "U.S.", "team", "won", "4", "games", "New York"], ["team", "won", "games"]),
        ([], []),
    ],
)
def test_words_that_may_be_replaced(text: object, words: list[str]) -> None:
    found = replaceable_words(text)  # type: ignore[arg-type]
    assert [word.text for word in found] == words
    if isinstance(text, str):
        assert [text[word.start : word.end] for word in found] == words


def test_all_else_stays_as_it_was() -> None:
    text = "  The film,\twas  good!\n"
    film, good = replaceable_words(text)
    assert with_words(text, [(film, "movie"), (good, "a")]) == "  The movie,\twas  a!\n"
    assert with_words(text, []) == text
    tokens = ["The", "film", "won"]
    film, won = replaceable_words(tokens)
    assert with_words(tokens, [(won, "lost")]) == ["The", "film", "lost"]
    assert tokens == ["The", "film", "won"]


def test_a_long_text_takes_no_longer_than_its_length() -> None:
    assert len(replaceable_words("word " * 200_000)) == 200_000
    assert len(replaceable_words("x" * 1_000_000)) == 1
    assert len(replaceable_words("'" * 1_000_000)) == 0
