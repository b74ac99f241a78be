"""Scripts of texts, of columns and of languages."""

import pytest

from tinybert_hf.data.tokenizers import (
    CHINESE,
    LATIN,
    RANGES,
    language_of,
    script_of,
    script_of_language,
    usual_script,
)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("The train leaves at noon.", LATIN),
        ("Größe zählt", LATIN),
        ("火车中午出发。", CHINESE),
        ("これはペンです", CHINESE),
        ("他买了一部iPhone手机。", CHINESE),
        ("Поезд уходит в полдень", "Cyrillic letters"),
        ("기차는 정오에 떠난다", "Korean letters"),
        ("12.5 %", None),
        ("１２。", None),
        ("", None),
    ],
)
def test_script_of_a_text(text, script):
    assert script_of(text) == script


def test_no_majority_is_no_script():
    assert script_of("好ab好") is None
    assert script_of("好a好") == CHINESE


def test_only_the_start_of_a_long_text_counts():
    assert script_of("好" * 80 + "a" * 1000) == CHINESE


def test_each_letter_has_one_script():
    import re

    letters = [chr(code) for code in range(0x20, 0x2FFFF) if chr(code).isalpha()]
    for letter in letters[::7]:
        assert sum(bool(re.match(f"[{ranges}]", letter)) for ranges in RANGES.values()) <= 1, letter


def test_usual_script():
    assert usual_script([LATIN, LATIN, CHINESE, None, None, None]) == LATIN
    assert usual_script([LATIN, CHINESE]) is None
    assert usual_script([None]) is None


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("en", LATIN),
        ("ZH", CHINESE),
        ("zh-CN", CHINESE),
        ("translation.de", LATIN),
        ("text_ru", "Cyrillic letters"),
        ("source", None),
        ("sentence", None),
        ("entry", None),
        ("text", None),
    ],
)
def test_script_that_a_columns_name_stands_for(name, script):
    assert script_of_language(name) == script


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (["The film was good and it is the best of the year, but not for me.", "It was not that bad."], "en"),
        (["Der Film war nicht gut, und die Handlung ist mit einem Wort langweilig.", "Das ist ein Spiel."] * 2, "de"),
        (["Le film est une réussite et les acteurs sont dans leur rôle.", "Ce n'est pas pour moi."] * 2, "fr"),
        (["La película es una maravilla y los actores no son los de siempre por suerte."] * 2, "es"),
        (["这部电影很好看。", "他买了一部iPhone手机。", "12"], "zh"),
        (["これはペンです。", "電車は正午に出発します。"], "ja"),
        (["기차는 정오에 떠난다."], "ko"),
        (["Поезд уходит в полдень, и я не знаю, что это за поезд и как он идёт на север."] * 2, "ru"),
        # Nothing is said of what is not plain.
        (["w1 w2 w3 w4"] * 50, None),
        (["lorem ipsum dolor sit amet consectetur"] * 50, None),
        (["the film"], None),
        (["the film is good and the cast is fine", "der Film ist gut und die Musik ist schön"] * 9, None),
        (["12.5 %"], None),
        ([], None),
    ],
)
def test_language_of_texts(texts, language):
    assert language_of(iter(texts)) == language
