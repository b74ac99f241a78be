"""The demo translations: the same everywhere, one translation for a sentence, correct where a rule can tell."""

import re
import sys
from random import Random

import pytest

from tinybert_hf.data import demo_translation_splits
from tinybert_hf.data.demo_translation import (
    NOUNS,
    PATTERNS,
    WORDS,
    _pair,
    _slots,
    amount,
    count,
    demo_translation,
    demo_translation_rows,
    number,
)

ROWS = demo_translation(20_500)
# Read and found right by a person.
READ = {
    "If it rains tomorrow, my father will play football in the village.": "如果明天下雨，我爸爸就会在村子里踢足球。",
    "I gave your older brother nine pens last night.": "我昨天晚上给了你哥哥九支笔。",
    "His wife did not read this novel at home last night.": "他妻子昨天晚上没在家里看这本小说。",
    "Your younger sister never rests in the garden with my father.": "你妹妹从来不和我爸爸一起在花园里休息。",
    "His wife does not want to eat that apple in the restaurant.": "他妻子不想在饭馆吃那个苹果。",
    "Is this hat more expensive than our teacher's hat?": "这顶帽子比我们老师的帽子贵吗？",
    "Where did Anna see this dog?": "安娜是在哪儿看见的这只狗？",
    "The tourists who sang at school were very tired.": "在学校唱歌的游客很累。",
    "The train to Shanghai leaves at one o'clock in the afternoon tomorrow.": "去上海的火车明天下午一点出发。",
    "There are no students behind the school.": "学校后面没有学生。",
    "This bicycle is seventy-three yuan cheaper than that one.": "这辆自行车比那辆便宜七十三块钱。",
    "They have never been to Shanghai with our teacher.": "他们从来没和我们老师一起去过上海。",
    "She is ten years older than your younger sister.": "她比你妹妹大十岁。",
    "How long did you sing yesterday morning?": "你昨天早上唱了多长时间歌？",
    "The umbrella that your older brother saw last month is really new.": "你哥哥上个月看见的雨伞真新。",
    "The students did not study Chinese this morning because it snowed.": "因为下雪，学生们今天早上没学中文。",
}


def test_a_seed_names_its_rows():
    assert demo_translation(300, 3) == demo_translation(300, 3) != demo_translation(300, 4)
    assert demo_translation(300, 3)[:101] == demo_translation(101, 3)


def test_no_sentence_stands_twice():
    train, validation = demo_translation_splits(20_000, 500)
    assert [*validation, *train] == ROWS
    for side in ("source", "target"):
        assert len({row[side] for row in ROWS}) == 20_500


def test_neither_side_may_stand_twice(monkeypatch):
    pairs = iter([("A.", "甲。"), ("B.", "甲。"), ("A.", "乙。"), ("C.", "丙。")])
    monkeypatch.setattr(sys.modules[_pair.__module__], "_pair", lambda rng: next(pairs))
    assert demo_translation(2) == [{"source": "A.", "target": "甲。"}, {"source": "C.", "target": "丙。"}]


def test_validation_rows_do_not_depend_on_the_train_rows():
    assert demo_translation_splits(10, 50)[1] == demo_translation_splits(60, 50)[1]


def test_no_validation_sentence_is_ever_trained_on():
    for rows in (20, None, 600):
        train = demo_translation_rows("train", ("source", "target"), (800, rows))
        assert len(train) == 800
        for fewer in {20, rows, None}:
            validation = demo_translation_rows("validation", ("source", "target"), (800, fewer))
            assert len(validation) == (fewer or 500)
            for side in ("source", "target"):
                assert not set(train.columns[side]) & set(validation.columns[side])


def test_each_sentence_has_one_translation_and_most_are_new():
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
    assert 300 <= len({word for row in ROWS for word in re.findall(r"[a-z]+", row["source"].lower())}) <= 800
    assert 250 <= len({sign for row in ROWS for sign in row["target"]}) <= 600


def test_what_a_person_has_read():
    made = {row["source"]: row["target"] for row in ROWS}
    assert {source: made.get(source) for source in READ} == READ


def test_negation_is_never_lost():
    for row in ROWS:
        no = re.search(r"\b(not|never|no)\b", row["source"]) is not None
        assert no == (re.search("不|没", row["target"]) is not None), row


def test_yes_no_questions_end_in_their_particle():
    for row in ROWS:
        if row["source"].endswith("?"):
            asks_for = row["source"].split()[0] in ("Where", "What", "How")
            assert row["target"].endswith("吗？") != asks_for, row


def test_time_and_place_stand_before_the_verb():
    chinese = {time.en: time.zh for time in WORDS["past"]}
    times, moved = "|".join(chinese), 0
    for row in ROWS:
        match = re.fullmatch(rf".*? (?:bought|read|drank|wrote|ate) .* (?:in|at) .*? ({times})\.", row["source"])
        if match and " not " not in row["source"]:
            target = row["target"]
            verb = re.search("买了|看了|喝了|写了|吃了", target).start()
            assert 0 <= target.index(chinese[match[1]]) < target.index("在") < verb, row
            moved += 1
    assert moved > 200


def test_counted_things_have_their_measure_word():
    """`amount` against the table of nouns, and no bare number before a noun anywhere."""
    measures = {noun.measure for noun in NOUNS}
    assert {len(measure) for measure in measures} == {1}
    for seed, noun in enumerate(NOUNS * 5):
        phrase = amount(Random(seed), noun)
        assert (phrase.be == "are") == (noun.plural in phrase.en)
        found = re.match("(很多|[一两三四五六七八九十]+)(.*)", phrase.zh)
        assert found[1] == "很多" or found[2].startswith(noun.measure), phrase
        assert phrase.zh.endswith(noun.zh)
    units = measures | set("年月天岁点个块小十")
    for row in ROWS:
        for after in re.findall("两(.)", row["target"]):
            assert after in units, row
        assert not re.search(f"(?<!十)二({'|'.join(measures - {'块'})})", row["target"]), row


def test_numbers_in_words():
    assert [number(value).zh for value in (1, 2, 10, 11, 12, 20, 35, 99)] == [
        *("一", "二", "十", "十一", "十二", "二十", "三十五", "九十九")
    ]
    assert [number(value).en for value in (1, 12, 20, 35, 90)] == [
        *("one", "twelve", "twenty", "thirty-five", "ninety")
    ]
    assert len({number(value).en for value in range(1, 100)}) == 99
    assert (count(2).zh, count(12).zh, count(3)) == ("两", "十二", number(3))


def test_every_kind_of_sentence_comes_up():
    """Each with many sentences, and every word of a pattern stands on both sides."""
    for pattern in PATTERNS:
        made = {pattern.en.format_map(_slots(Random(seed))) for seed in range(60)}
        assert len(made) > 15, pattern
        english, chinese = (re.findall(r"{(\w+)", side) for side in (pattern.en.replace("{now", "{act"), pattern.zh))
        assert set(english) == set(chinese), pattern


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_as_many_rows_as_asked_for(rows):
    assert len(demo_translation(rows)) == rows
