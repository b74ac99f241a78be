"""How near an answer is to those that count as right: exact match and F1 over words, as SQuAD defines them."""

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalized(answer: str) -> str:
    """Lower case, without punctuation (of ASCII) and English articles, single spaces between the words.

    Source:
        Rajpurkar et al. 2016, SQuAD, section 6.1.
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(answer: str, right: Sequence[str]) -> float:
    """1 where the answer is one of the right ones after normalising.

    Args:
        answer: of a model; empty: it says that there is none.
        right: each of these counts; none: there is no answer.
    """
    return float(normalized(answer) in {normalized(one) for one in _that_count(right)})


def f1_score(answer: str, right: Sequence[str]) -> float:
    """The harmonic mean of the shares of common words, towards the right answer for which it is the highest.

    Args:
        answer: of a model; empty: it says that there is none.
        right: each of these counts; none: there is no answer.
    """
    return max(_f1(normalized(answer).split(), normalized(one).split()) for one in _that_count(right))


def _that_count(right: Sequence[str]) -> Sequence[str]:
    """Those of which a word is left; of a question without an answer, the empty one."""
    return [one for one in right if normalized(one)] or [""]


def _f1(answer: list[str], right: list[str]) -> float:
    if not answer or not right:
        return float(answer == right)
    common = sum((Counter(answer) & Counter(right)).values())
    return 2 * common / (len(answer) + len(right))
