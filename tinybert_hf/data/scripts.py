"""In which script and language texts are written, and which script a language's name lets expect."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache

LATIN, CHINESE = "Latin letters", "Chinese or Japanese characters"
RANGES = {
    LATIN: "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a",
    CHINESE: "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "Cyrillic letters": "\u0400-\u052f",
    "Arabic letters": "\u0620-\u064a\u066e-\u06d3\u0750-\u077f",
    "Greek letters": "\u0370-\u03ff\u1f00-\u1fff",
    "Hebrew letters": "\u05d0-\u05ea",
    "Korean letters": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "Devanagari letters": "\u0904-\u0939\u0958-\u0961",
    "Thai letters": "\u0e01-\u0e33\u0e40-\u0e46",
}
"""Script -> the ranges of its letters, as they stand between the brackets of a regular expression."""

# Scripts that write words without a space between them, or, as Korean, what belongs to a word without one.
_UNSPACED = re.compile(
    f"[{RANGES[CHINESE]}{RANGES['Korean letters']}\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff]"
)
_LETTERS = {script: re.compile(f"[{letters}]") for script, letters in RANGES.items()}
_LANGUAGES = {
    LATIN: "en eng english de deu ger german fr fra french es spa spanish it ita italian pt por portuguese nl dutch "
    "sv swedish da danish fi finnish pl polish cs czech ro romanian hu hungarian tr turkish vi vietnamese indonesian",
    CHINESE: "zh zho chi chinese cmn ja jpn jp japanese",
    "Cyrillic letters": "ru rus russian uk ukr ukrainian bg bulgarian",
    "Arabic letters": "ar ara arabic fa persian ur urdu",
    "Greek letters": "el ell greek",
    "Hebrew letters": "he heb hebrew",
    "Korean letters": "ko kor korean",
    "Devanagari letters": "hi hin hindi",
    "Thai letters": "th tha thai",
}
_SCRIPT_OF_LANGUAGE = {language: script for script, names in _LANGUAGES.items() for language in names.split()}
_KANA = re.compile("[\u3040-\u30ff]")
# Scripts that one language is usually written in.
_LANGUAGE_OF_SCRIPT = {"Korean letters": "ko", "Greek letters": "el", "Hebrew letters": "he", "Thai letters": "th"}
# Words without which hardly any text of the language goes on for long.
_FREQUENT = {
    "en": "the of and to is that was it with this are for",
    "de": "der die das und ist nicht ein eine mit ich den auf",
    "fr": "le les des est une et dans pas pour du sur avec",
    "es": "el los las es una y por con para del no su",
    "it": "il di che è una per non sono gli del della con",
    "pt": "os não uma em do da para com um ao dos mais",
    "nl": "de het een en niet van ik is dat op voor met",
    "pl": "się nie jest na to w że z do jak był po",
    "tr": "bir ve bu için çok da de daha ile ne ama gibi",
    "ru": "и в не на что это с как но по я он",
    "ar": "في من على أن إلى لا هذا ما عن مع التي كان",
}
_FREQUENT_WORDS = {language: frozenset(words.split()) for language, words in _FREQUENT.items()}
_LEAST_WORDS, _LEAST_SHARE, _LEAST_LEAD = 20, 0.05, 1.5
_LOOKED_AT = 80  # characters: enough to tell, and a text may be a book


def script_of(text: str) -> str | None:
    """The script of most letters at the start of a text; None where there is no letter or none has the majority."""
    start = text[:_LOOKED_AT]
    if start.isascii():
        return LATIN if _LETTERS[LATIN].search(start) else None
    counts = {script: len(letters.findall(start)) for script, letters in _LETTERS.items()}
    most = max(counts, key=lambda script: counts[script])
    return most if 2 * counts[most] > sum(counts.values()) else None


@cache
def is_of_spaced_word(character: str) -> bool:
    """Whether a character is a letter, a digit or a mark of a script that writes spaces between its words."""
    return unicodedata.category(character)[0] in "LNM" and _UNSPACED.match(character) is None


def usual_script(scripts: Iterable[str | None]) -> str | None:
    """The script of more than half of the texts that have one; None where no script has as many."""
    counts = Counter(script for script in scripts if script is not None)
    if not counts:
        return None
    script, count = counts.most_common(1)[0]
    return script if 2 * count > counts.total() else None


def language_of(texts: Iterable[str]) -> str | None:
    """The language that texts are written in, ISO 639-1; None where that is not plain.

    Some scripts tell it; of the others the frequent words of a few languages are counted.
    """
    texts = list(texts)
    script = usual_script(map(script_of, texts))
    if script == CHINESE:
        kana = sum(_KANA.search(text) is not None for text in texts)
        return "ja" if 2 * kana > len(texts) else "zh" if 10 * kana < len(texts) else None
    if script in _LANGUAGE_OF_SCRIPT:
        return _LANGUAGE_OF_SCRIPT[script]
    words = Counter(word for text in texts for word in re.findall(r"\b[^\W\d_]+\b", text.lower()))
    if words.total() < _LEAST_WORDS:
        return None
    counts = {one: sum(words[word] for word in known) for one, known in _FREQUENT_WORDS.items()}
    first, second = sorted(counts, key=lambda one: -counts[one])[:2]
    plain = counts[first] >= max(_LEAST_SHARE * words.total(), _LEAST_LEAD * counts[second], 1)
    return first if plain else None


def script_of_language(name: str) -> str | None:
    """The script that a column's name lets expect: of "zh", "en_text" or "translation.de"; None for other names."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((_SCRIPT_OF_LANGUAGE[word] for word in reversed(words) if word in _SCRIPT_OF_LANGUAGE), None)
