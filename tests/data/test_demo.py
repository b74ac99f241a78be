"""The demo sentences: the same everywhere, balanced, without noise, and beyond a bag of words."""

from random import Random

import pytest

from tinybert_hf.data import demo, demo_sentiment, demo_sentiment_splits
from tinybert_hf.data import demo as words


def test_a_seed_names_its_rows():
    assert demo_sentiment(300, 4) != demo_sentiment(300, 3)
    assert demo_sentiment(300, 3) == demo_sentiment(300, 3)


def test_more_rows_add_to_the_end():
    assert demo_sentiment(400, 1)[:101] == demo_sentiment(101, 1)


def test_balanced_and_without_repetition():
    train, validation = demo_sentiment_splits(3000, 500, seed=2)
    for rows in (train, validation):
        assert sum(row["label"] for row in rows) * 2 == len(rows)
    texts = [row["text"] for row in train + validation]
    assert len(set(texts)) == len(texts) == 3500


def test_validation_rows_do_not_depend_on_the_train_rows():
    assert demo_sentiment_splits(10, 50)[1] == demo_sentiment_splits(60, 50)[1]


def test_no_validation_sentence_is_ever_trained_on():
    train = demo.demo_sentiment_rows("train", ("text", "label"), (500, 20))
    for rows in (None, 20, 900):
        validation = demo.demo_sentiment_rows("validation", ("text", "label"), (500, rows))
        assert not set(train.columns["text"]) & set(validation.columns["text"])


def test_sentences_look_like_sentences():
    for row in demo_sentiment(2000):
        text = row["text"]
        assert text[0].isupper()
        assert text.endswith(".")
        assert "  " not in text
        assert " ," not in text
        assert 3 <= len(text.split()) <= 45
    vocabulary = {word.strip(".,").lower() for row in demo_sentiment(4000) for word in row["text"].split()}
    assert 250 <= len(vocabulary) <= 600


def test_words_of_both_sides_are_distinct_and_equal_in_number():
    for domain in words.DOMAINS:
        assert len(domain.good) == len(domain.bad)
        assert not set(domain.good) & set(domain.bad)
    assert len(words.GOOD) == len(words.BAD)
    good = set(words.GOOD).union(*(domain.good for domain in words.DOMAINS))
    bad = set(words.BAD).union(*(domain.bad for domain in words.DOMAINS))
    assert not good & bad


@pytest.mark.parametrize("label", [0, 1])
def test_negation_takes_the_word_of_the_other_side(label):
    domain = words.FILM
    opposite = set(domain.good + words.GOOD) if label == 0 else set(domain.bad + words.BAD)
    for seed in range(50):
        assert demo._negated(Random(seed), domain, label).rsplit(" ", 1)[-1] in opposite
        assert demo._affirmed(Random(seed), domain, label).rsplit(" ", 1)[-1] not in opposite


def test_a_bag_of_words_is_not_enough():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    train, validation = demo_sentiment_splits(4000, 1000)
    counter = CountVectorizer()
    inputs = counter.fit_transform([row["text"] for row in train])
    model = LogisticRegression(max_iter=1000).fit(inputs, [row["label"] for row in train])
    accuracy = model.score(
        counter.transform([row["text"] for row in validation]), [row["label"] for row in validation]
    )
    assert 0.5 < accuracy <= 0.8
