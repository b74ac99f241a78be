"""The demo translations: the same everywhere, one translation for a sentence, correct where a rule can tell."""

import re
import sys
from collections import Counter
from random import Random

import pytest

from tinybert_hf.data import demo_translation_splits
from tinybert_hf.data import demo_translation_words as words
from tinybert_hf.data.demo_translation import (
    ACTIONS,
    DESCRIPTIONS,
    FACTS,
    _pair,
    demo_translation,
    demo_translation_rows,
)
from tinybert_hf.data.demo_translation_words import amount, count, number, with_article

ROWS = demo_translation(7070)
# Read and found right by a person.
READ = {
    "My younger sister often goes to the station by underground.": "我妹妹常常坐地铁去车站。",
    "The children who are resting at home are very hungry.": "在家里休息的孩子很饿。",
    "How long did you cook in the restaurant with him yesterday?": "你昨天和他一起在饭馆做了多长时间饭？",
    "How much does that umbrella cost?": "那把雨伞多少钱？",
    "You like the magazine that your mother read.": "你喜欢你妈妈看的杂志。",
    "Is my younger sister stronger than them?": "我妹妹比他们强壮吗？",
    "He will go to Guangzhou by bus if it is cool tomorrow evening.": "如果明天晚上很凉快，他就会坐公共汽车去广州。",
    "They had breakfast at eight o'clock yesterday morning.": "他们昨天早上是八点吃早饭的。",
    "There are three birds behind the school.": "学校后面有三只鸟。",
    "Is this house smaller than that one?": "这栋房子比那栋小吗？",
    "This postcard is sixty-five yuan more expensive than that one.": "这张明信片比那张贵六十五块。",
    "There are no dictionaries next to the computer.": "电脑旁边没有词典。",
}


def test_a_seed_names_its_rows():
    assert demo_translation(300, 3) == demo_translation(300, 3) != demo_translation(300, 4)
    assert demo_translation(300, 3)[:101] == demo_translation(101, 3)


def test_no_sentence_stands_twice():
    train, validation = demo_translation_splits(3000, 500, seed=2)
    rows = [*train, *validation]
    assert len(rows) == 3500
    for side in ("source", "target"):
        assert len({row[side] for row in rows}) == 3500


def test_neither_side_may_stand_twice(monkeypatch):
    pairs = iter([("A.", "甲。"), ("B.", "甲。"), ("A.", "乙。"), ("C.", "丙。")])
    monkeypatch.setattr(sys.modules[_pair.__module__], "_pair", lambda rng: next(pairs))
    assert demo_translation(2) == [{"source": "A.", "target": "甲。"}, {"source": "C.", "target": "丙。"}]


def test_validation_rows_do_not_depend_on_the_train_rows():
    assert demo_translation_splits(10, 50)[1] == demo_translation_splits(60, 50)[1]


def test_no_validation_sentence_is_ever_trained_on():
    for rows in (20, None, 600):
        train = demo_translation_rows("train", ("source", "target"), 800, rows)
        assert len(train) == 800
        for fewer in {20, rows}:
            validation = demo_translation_rows("validation", ("source", "target"), 800, fewer)
            assert len(validation) == (fewer or 500)
            for side in ("source", "target"):
                assert not set(train.columns[side]) & set(validation.columns[side])


def test_there_are_tens_of_thousands_of_them_and_each_has_one_translation():
    rng, translations, draws = Random(11), {}, 30_000
    for _ in range(draws):
        source, target = _pair(rng)
        assert translations.setdefault(source, target) == target, source
    assert len(translations) > 0.85 * draws


def test_they_look_like_sentences():
    for row in ROWS:
        source, target = row["source"], row["target"]
        assert re.fullmatch(r"[A-Z][A-Za-z' ,-]*[a-z][.?]", source), source
        assert re.fullmatch(r"[\u4e00-\u9fff，]+[。？]", target), target
        assert source.endswith("?") == target.endswith("？")
        assert "  " not in source
        assert not re.search(r"(.)\1\1|，，|的的|了了|在在|吗吗", target), target
        assert not re.search(r"\b(\w+) \1\b", source.lower()), source
        assert not re.search(r"\ba [aeiou]|\ban (?!hour)[^aeiou]", source), source
    assert 400 <= len({word for row in ROWS for word in re.findall(r"[a-z]+", row["source"].lower())}) <= 800
    assert 300 <= len({sign for row in ROWS for sign in row["target"]}) <= 600


def test_what_a_person_has_read():
    made = {row["source"]: row["target"] for row in ROWS}
    for source, target in READ.items():
        assert made[source] == target


def test_negation_is_never_lost():
    for row in ROWS:
        no = re.search(r"\b(not|never|cannot|no)\b", row["source"]) is not None
        assert no == (re.search("不|没", row["target"]) is not None), row


def test_yes_no_questions_end_in_their_particle():
    for row in ROWS:
        if row["source"].endswith("?"):
            first = row["source"].split()[0]
            asks_for = first in ("Where", "Who", "What", "Whose", "When", "How")
            assert row["target"].endswith("吗？") != asks_for, row


def test_time_place_and_company_stand_before_the_verb():
    times = "|".join(time.english for time in words.PAST)
    chinese = {time.english: time.chinese for time in words.PAST}
    moved = 0
    for row in ROWS:
        if re.search(r"\b(that|and|although|not)\b", row["source"].lower()):
            continue
        match = re.fullmatch(rf".*? (?:bought|read|drank|wrote|ate) .* (?:in|at) .*? ({times})\.", row["source"])
        if match:
            target = row["target"]
            verb = re.search("买了|看了|喝了|写了|吃了", target).start()
            assert 0 <= target.index(chinese[match[1]]) < target.index("在") < verb, row
            moved += 1
    assert moved > 40


def test_counted_things_have_their_measure_word():
    """`amount` against the table of nouns, and no bare number before a noun anywhere."""
    measures = {noun.measure for noun in words.NOUNS}
    for seed, noun in enumerate(words.NOUNS * 5):
        phrase, several = amount(Random(seed), noun)
        assert several == (noun.plural in phrase.english)
        found = re.match("(很多|一些|几|[一两三四五六七八九十]+)(.*)", phrase.chinese)
        if found[1] not in ("很多", "一些"):
            assert found[2].startswith(noun.measure), phrase
        assert phrase.chinese.endswith(noun.chinese)
    units = measures | set("年月周天岁点个块厘次小星十分")
    for row in ROWS:
        for after in re.findall("两(.)", row["target"]):
            assert after in units, row
        assert not re.search(f"(?<!十)二({'|'.join(measures)})", row["target"]), row


def test_numbers_in_words():
    assert [number(value).chinese for value in (1, 2, 10, 11, 12, 20, 35, 99)] == [
        *("一", "二", "十", "十一", "十二", "二十", "三十五", "九十九")
    ]
    assert [number(value).english for value in (1, 12, 20, 35, 90)] == [
        "one",
        "twelve",
        "twenty",
        "thirty-five",
        "ninety",
    ]
    assert len({number(value) for value in range(1, 100)}) == 99
    assert (count(2).chinese, count(12).chinese, count(3)) == ("两", "十二", number(3))
    assert (with_article("apple"), with_article("pen")) == ("an apple", "a pen")


def test_every_kind_of_sentence_comes_up():
    for group in (ACTIONS, DESCRIPTIONS, FACTS):
        for kind in dict.fromkeys(group):
            made = {kind(Random(seed)) for seed in range(60)}
            assert len(made) > 15, kind
    # No kind is more than a fifth of all.
    kinds = Counter((*ACTIONS, *DESCRIPTIONS, *FACTS))
    assert max(kinds.values()) < 0.2 * kinds.total()


def test_tables_are_consistent():
    kinds = set().union(*(noun.kinds for noun in words.NOUNS))
    for one in (*words.HANDLINGS, *words.ADJECTIVES):
        assert one.kinds <= kinds, one
    for noun in words.NOUNS:
        assert len(noun.measure) == 1
    assert len({noun.singular for noun in words.NOUNS}) == len(words.NOUNS)
    assert len({person.chinese for person in words.PEOPLE}) == len(words.PEOPLE)


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_as_many_rows_as_asked_for(rows):
    assert len(demo_translation(rows)) == rows
