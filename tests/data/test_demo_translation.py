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
    demo_translation,
    demo_translation_rows,
)

ROWS = demo_translation(20_500)
# Read and found right by a person.
READ = {
    "Your older brother's shirt costs ninety-three yuan.": "你哥哥的衬衫九十三块钱。",
    "The train to Beijing leaves at eight o'clock in the morning tomorrow.": "去北京的火车明天早上八点出发。",
    "Their newspaper is under the chair.": "他们的报纸在椅子下面。",
    "You want to borrow ten expensive books at school next Sunday.": "你下个星期天想在学校借十本很贵的书。",
    "The apple that my father saw this morning is really small.": "我爸爸今天早上看见的苹果真小。",
    "I gave our teacher nine postcards last Sunday.": "我上个星期天给了我们老师九张明信片。",
    "I sometimes sing in the park with his wife.": "我有时候和他妻子一起在公园里唱歌。",
    "The students' dictionary is cheaper than my father's dictionary.": "学生们的词典比我爸爸的词典便宜。",
    "Can Tom eat four cheap oranges at home the day after tomorrow?": "汤姆后天可以在家里吃四个便宜的橙子吗？",
    "The students do not want to eat this bowl of rice.": "学生们不想吃这碗米饭。",
    "Our neighbour has never been to London with his wife.": "我们邻居从来没和他妻子一起去过伦敦。",
    "Our neighbour did not write this letter in the library two days ago.": "我们邻居两天前没在图书馆写这封信。",
    "The doctors who studied Chinese at home were really nervous.": "在家里学中文的医生真紧张。",
    "Mary is ten years older than them.": "玛丽比他们大十岁。",
    "How long did his wife play football this morning?": "他妻子今天早上踢了多长时间足球？",
    "Does the meeting end at half past nine in the morning?": "会议早上九点半结束吗？",
    "Where did Tom read this novel?": "汤姆是在哪儿看的这本小说？",
    "His wife will not repair your older brother's computer.": "他妻子不会修你哥哥的电脑。",
    "This table is fifty-one yuan cheaper than that one.": "这张桌子比那张便宜五十一块钱。",
    "You did not listen to music two days ago because it snowed.": "因为下雪，你两天前没听音乐。",
    "We went to school by bus with the students.": "我们和学生们一起坐公共汽车去了学校。",
    "My father will go to Guangzhou by plane.": "我爸爸会坐飞机去广州。",
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
    assert len(translations) > 0.8 * draws


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
    assert moved > 100


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


def test_prices_are_numbers_in_words():
    english = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    tens = ["ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    seen = set()
    for row in ROWS:
        match = re.search(r"(\w+)-(\w+) yuan", row["source"])
        if match:
            one, ten = (
                "一二三四五六七八九"[words.index(word)] for words, word in ((english, match[2]), (tens, match[1]))
            )
            assert f"{ten}十{one}块钱" in row["target"]
            seen.add(match[0])
    assert len(seen) == len(WORDS["tens"]) * len(WORDS["ones"])


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
