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
    "My mother has never been to London with your younger sister.": "我妈妈从来没和你妹妹一起去过伦敦。",
    "My father cooked in the kitchen for half an hour last month.": "我爸爸上个月在厨房里做了半个小时饭。",
    "What did her husband see in the village last Sunday?": "她丈夫上个星期天在村子里看见了什么？",
    "There are many students behind the school.": "学校后面有很多学生。",
    "Your younger sister is not as young as you.": "你妹妹没有你年轻。",
    "He went to the hospital on foot with my parents yesterday.": "他昨天和我父母一起走路去了医院。",
    "If it rains next month, Anna will study English in the library.": "如果下个月下雨，安娜就会在图书馆学英语。",
    "Is this chair heavier than my chair?": "这把椅子比我的椅子重吗？",
    "The train to Berlin leaves at eight o'clock in the morning on Monday.": "去柏林的火车星期一早上八点出发。",
    "How many cups of coffee did Tom drink in the restaurant yesterday afternoon?": "汤姆昨天下午在饭馆喝了几杯咖啡？",
    "Where did your older brother read that book?": "你哥哥是在哪儿看的那本书？",
    "Next month the students will not borrow my mother's book.": "下个月学生们不会借我妈妈的书。",
    "She does not want to sell my father's magazine in the village.": "她不想在村子里卖我爸爸的杂志。",
    "The tourists who studied Chinese at school were very hungry.": "在学校学中文的游客很饿。",
    "The bag that we saw last month is very beautiful.": "我们上个月看见的包很漂亮。",
    "Tom bought a cheap ticket for the students last week.": "汤姆上个星期给学生们买了一张便宜的票。",
    "Our teacher gave your older brother three red bags last week.": "我们老师上个星期给了你哥哥三个红色的包。",
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
