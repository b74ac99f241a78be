"""BLEU and chrF against the formulas, and the tokenizer that BLEU takes."""

import math
from collections import Counter

import pytest

from tinybert_hf.errors import DataError
from tinybert_hf.evaluation import load_metric, main_metric, metrics_for, sentence_chrf, translation_scores
from tinybert_hf.evaluation.translation import bleu_tokenizer

GERMAN = ["das ist ein sehr kleiner Hund im Garten", "die Katze sieht den Baum am Haus nicht"]
GERMAN_GUESS = ["das ist ein kleiner Hund im großen Garten", "die Katze sieht den Baum am Morgen"]
CHINESE = ["我今天去北京看我的朋友", "他不喜欢喝很热的绿茶"]
CHINESE_GUESS = ["我明天去北京看你的朋友", "他不喜欢喝热的绿茶"]


def _ngrams(units, order):
    return Counter(tuple(units[i : i + order]) for i in range(len(units) - order + 1))


def _bleu(guesses, references):
    """The published formula; the examples have matches of every order, so that nothing is smoothed."""
    logs = 0.0
    for order in range(1, 5):
        pairs = [(_ngrams(g, order), _ngrams(r, order)) for g, r in zip(guesses, references, strict=True)]
        matches = sum((guess & reference).total() for guess, reference in pairs)
        assert matches > 0
        logs += math.log(matches / sum(guess.total() for guess, _ in pairs)) / 4
    written, wanted = sum(map(len, guesses)), sum(map(len, references))
    return 100 * math.exp(min(0.0, 1 - wanted / written) + logs)


def _chrf(guess, reference, beta=2):
    """Means of precision and recall over the orders that both texts have, then F2."""
    precisions, recalls = [], []
    for order in range(1, 7):
        ours, theirs = _ngrams(guess.replace(" ", ""), order), _ngrams(reference.replace(" ", ""), order)
        if ours and theirs:
            precisions.append((ours & theirs).total() / ours.total())
            recalls.append((ours & theirs).total() / theirs.total())
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    return 100 * (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def test_words_are_what_spaces_part():
    scores = translation_scores(GERMAN_GUESS, GERMAN)
    assert scores["bleu"] == pytest.approx(_bleu([g.split() for g in GERMAN_GUESS], [r.split() for r in GERMAN]))
    assert "tok:13a" in scores["bleu_signature"]


def test_chinese_is_cut_into_characters():
    scores = translation_scores(CHINESE_GUESS, CHINESE)
    assert scores["bleu"] == pytest.approx(_bleu([list(g) for g in CHINESE_GUESS], [list(r) for r in CHINESE]))
    assert "tok:zh" in scores["bleu_signature"]
    # Without that every sentence would be one word.
    assert translation_scores(CHINESE_GUESS, CHINESE, "de")["bleu"] == 0


def test_signatures_say_how_to_repeat_the_figures():
    scores = translation_scores(GERMAN_GUESS, GERMAN)
    assert scores["bleu_signature"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.")
    assert scores["chrf_signature"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.")


def test_chrf():
    expected = [_chrf(guess, reference) for guess, reference in zip(GERMAN_GUESS, GERMAN, strict=True)]
    assert expected[0] != pytest.approx(expected[1])
    assert sentence_chrf(GERMAN_GUESS, GERMAN) == pytest.approx(expected)
    assert translation_scores(GERMAN_GUESS[:1], GERMAN[:1])["chrf"] == pytest.approx(expected[0])
    assert sentence_chrf(["", "Hund"], ["Hund", "Hund"]) == [0, 100]


@pytest.mark.parametrize("language", ["zh", "ZH", "zh-CN", "zh_Hant", "zho_Hans", ">>cmn_Hans<<", "Chinese", " zh "])
def test_names_of_chinese(language):
    assert bleu_tokenizer(language, GERMAN) == "zh"


@pytest.mark.parametrize("language", ["de", "deu_Latn", "German", "ja", "zha", "en-zh"])
def test_names_of_other_languages(language):
    assert bleu_tokenizer(language, CHINESE) == "13a"


@pytest.mark.parametrize(
    ("references", "tokenizer"),
    [
        (CHINESE, "zh"),
        ([*CHINESE, "OK"], "zh"),
        (["我用Python写程序，很喜欢。", "2024年5月1日"], "zh"),
        (GERMAN, "13a"),
        (["Das Zeichen 我 heißt ich.", "Guten Tag"], "13a"),
        (["東京大学で日本語を勉強しています。", "今日は天気がいいですね。"], "13a"),
        (["123", "..."], "13a"),
        ([], "13a"),
    ],
    ids=["chinese", "one foreign", "mixed", "german", "a sign", "japanese", "no letters", "nothing"],
)
def test_script_of_the_references(references, tokenizer):
    assert bleu_tokenizer(None, references) == bleu_tokenizer("", iter(references)) == tokenizer


def test_lists_that_do_not_belong_together():
    with pytest.raises(DataError, match="2 hypotheses, 1 references"):
        translation_scores(GERMAN_GUESS, GERMAN[:1])
    with pytest.raises(DataError, match="nothing to measure"):
        translation_scores([], [])
    with pytest.raises(DataError, match="1 hypotheses, 2 references"):
        sentence_chrf(GERMAN[:1], GERMAN)


def test_translation_among_the_problem_types():
    assert main_metric("translation") == "bleu"
    with pytest.raises(ValueError, match="'translation'; known are single_label"):
        metrics_for("translation", 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("guesses", "references", "language", "cut"),
    [(GERMAN_GUESS, GERMAN, None, "13a"), (CHINESE_GUESS, CHINESE, None, "zh"), (GERMAN_GUESS, GERMAN, "zh", "zh")],
)
def test_evaluate_metrics_add_batches_to_the_same_figures(guesses, references, language, cut):
    metric = load_metric("translation", target_language=language)
    for guess, reference in zip(guesses, references, strict=True):
        metric.add_batch(predictions=[guess], references=[reference])
    metrics = metric.compute()
    assert metrics == translation_scores(guesses, references, language)
    assert f"tok:{cut}" in metrics["bleu_signature"]
