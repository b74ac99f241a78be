"""The examples under the box: sentences of our own generators, or a few neutral ones. Never a user's rows."""

from __future__ import annotations

import re

from tinybert_hf.data import demo_sentiment, demo_translation
from tinybert_hf.data.settings import DEMO_SENTIMENT, DEMO_TRANSLATION
from tinybert_hf.demonstration.run_file import RunFacts

Example = tuple[str, ...]

_SHOWN = 4
# A seed that no run uses, so that the examples are not rows that the student has learnt.
_SEED = 7_777_777

_TEXTS = (
    "The room was clean and the staff were friendly.",
    "The parcel arrived two days late and the box was damaged.",
    "The library opens at nine and closes at six.",
    "I would not call it a bad meal, but I expected more.",
)
_PAIRS = (
    ("A woman is reading a book in the park.", "A woman is outdoors."),
    ("How do I reset my password?", "What can I do when I have forgotten my password?"),
    ("The shop is closed on Sundays.", "The shop is open every day."),
)
_TO_TRANSLATE = {
    "en": (
        "The train leaves at noon.",
        "A dog is running across the field.",
        "Two children are playing in the garden.",
        "Where is the nearest station?",
    ),
    "de": (
        "Der Zug fährt um zwölf Uhr ab.",
        "Ein Hund läuft über das Feld.",
        "Zwei Kinder spielen im Garten.",
        "Wo ist der nächste Bahnhof?",
    ),
    "zh": ("火车中午出发。", "一只狗跑过田野。", "两个孩子在花园里玩。", "最近的车站在哪里？"),
}
_LANGUAGES = {"deu": "de", "ger": "de", "german": "de", "zho": "zh", "chi": "zh", "cmn": "zh", "chinese": "zh"}


def examples_for(facts: RunFacts, *, translator: bool, pairs: bool) -> list[Example]:
    """A few texts to try, each a tuple with a text for each box.

    Args:
        facts: of the run that made the student.
        translator: the student translates.
        pairs: the student reads two texts.
    """
    if translator:
        if facts.dataset == DEMO_TRANSLATION:
            return [(row["source"],) for row in demo_translation(_SHOWN, _SEED)]
        return [(text,) for text in _TO_TRANSLATE[_language(facts.source)]]
    if pairs:
        return list(_PAIRS)
    if facts.dataset == DEMO_SENTIMENT:
        return [(row["text"],) for row in demo_sentiment(_SHOWN, _SEED)]
    return [(text,) for text in _TEXTS]


def _language(named: str | None) -> str:
    """The language that a code or a column's name means; English where it says nothing."""
    words = re.split(r"[^a-z]+", (named or "").lower())
    codes = [_LANGUAGES.get(word, word) for word in words]
    return next((code for code in codes if code in _TO_TRANSLATE), "en")
