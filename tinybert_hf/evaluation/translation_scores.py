"""BLEU and chrF of translations, counted by sacrebleu.

Plain functions, as in `scores`; `translation_metrics` has the same figures as metrics of the `evaluate` library.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TypedDict

from tinybert_hf.data.scripts import CHINESE, script_of, usual_script
from tinybert_hf.errors import DataError

CHINESE_NAMES = ("zh", "zho", "chi", "cmn", "yue", "lzh", "wuu", "chinese")
_KANA = re.compile("[\u3040-\u30ff]")
_HAN_OR_KANA = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


class TranslationScores(TypedDict):
    """How near translations come to their references.

    Attributes:
        bleu: of the whole corpus, 0 to 100.
        chrf: of the whole corpus, 0 to 100: F2 over character n-grams up to 6, without spaces.
        bleu_signature: how sacrebleu counted, for others to repeat it.
        chrf_signature: the same for chrF.
    """

    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str


def translation_scores(
    hypotheses: Sequence[str], references: Sequence[str], target_language: str | None = None
) -> TranslationScores:
    """Scores translations against one reference each.

    Args:
        hypotheses: detokenized text.
        references: detokenized text, in the same order.
        target_language: as in `bleu_tokenizer`.

    Raises:
        DataError: there is nothing to score, or the two are not of the same length.
    """
    bleu, bleu_signature = corpus_bleu(hypotheses, references, target_language)
    chrf, chrf_signature = corpus_chrf(hypotheses, references)
    return {"bleu": bleu, "chrf": chrf, "bleu_signature": bleu_signature, "chrf_signature": chrf_signature}


def corpus_bleu(
    hypotheses: Sequence[str], references: Sequence[str], target_language: str | None = None
) -> tuple[float, str]:
    """BLEU, 0 to 100, and its signature.

    Raises:
        DataError: there is nothing to score, or the two are not of the same length.
    """
    from sacrebleu.metrics.bleu import BLEU

    check_lengths(hypotheses=hypotheses, references=references)
    metric = BLEU(tokenize=bleu_tokenizer(target_language, references))
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return float(score), str(metric.get_signature())


def why_bleu_is_zero(hypotheses: Sequence[str], references: Sequence[str], target_language: str | None) -> str | None:
    """Why translations that may be right have a BLEU of 0; None where none of them is too short for it.

    BLEU is the geometric mean of the shares of 1 to 4 words in a row that are in the reference too. Where no
    translation has four words, the last share is 0 of 0, and sacrebleu's figure 0.

    Args:
        hypotheses: detokenized text.
        references: detokenized text, in the same order.
        target_language: as in `bleu_tokenizer`.
    """
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(tokenize=bleu_tokenizer(target_language, references))
    totals = metric.corpus_score(list(hypotheses), [list(references)]).totals
    if totals[-1]:
        return None
    return (
        "BLEU is 0 however right they are: it counts up to four words in a row, and no translation has as many. Look "
        "at chrF, which counts letters."
    )


def corpus_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """chrF, 0 to 100, and its signature.

    Raises:
        DataError: there is nothing to score, or the two are not of the same length.
    """
    from sacrebleu.metrics.chrf import CHRF

    check_lengths(hypotheses=hypotheses, references=references)
    metric = CHRF()
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return float(score), str(metric.get_signature())


def sentence_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> list[float]:
    """chrF of each sentence alone, 0 to 100.

    Raises:
        DataError: there is nothing to score, or the two are not of the same length.
    """
    from sacrebleu.metrics.chrf import CHRF

    check_lengths(hypotheses=hypotheses, references=references)
    metric = CHRF()
    pairs = zip(hypotheses, references, strict=True)
    return [float(metric.sentence_score(hypothesis, [reference]).score) for hypothesis, reference in pairs]


def bleu_tokenizer(target_language: str | None, references: Iterable[str]) -> str:
    """Names the tokenizer of sacrebleu that cuts the texts into words.

    Args:
        target_language: a name or code in any of the usual spellings (zh, zh-CN, zho_Hans, >>cmn_Hans<<, Chinese);
            None or an empty one looks at the script of the references.
        references: read only where no language is given.

    Returns:
        "zh" for Chinese, which has no spaces between words, "13a" for every other language. In Japanese, Thai and
        other languages without spaces that tokenizer takes a clause for one word: look at chrF there.
    """
    if target_language and target_language.strip():
        language = re.split("[-_ (]", target_language.strip(" <>").lower())[0]
        return "zh" if language in CHINESE_NAMES else "13a"
    return "zh" if _chinese(references) else "13a"


def check_lengths(**texts: Sequence[str]) -> None:
    """Refuses lists that do not belong together.

    Args:
        **texts: name -> texts; the names are for the message.

    Raises:
        DataError: one is empty, or they are not of the same length.
    """
    counts = {name: len(values) for name, values in texts.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise DataError(f"There are {listed}: every sentence needs one of each.")
    if not all(counts.values()):
        raise DataError(f"There are no {' and no '.join(counts)}: there is nothing to measure.")


def _chinese(texts: Iterable[str]) -> bool:
    texts = list(texts)
    if usual_script(map(script_of, texts)) != CHINESE:
        return False
    kana, all_letters = (sum(len(letters.findall(text)) for text in texts) for letters in (_KANA, _HAN_OR_KANA))
    return 10 * kana < all_letters  # with more of them it is Japanese
