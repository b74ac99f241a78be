"""The parts of a demo translation in both languages: amounts of things, doings with their place and company, times.

English puts place, company and time behind the verb; Chinese puts them before it, the time first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import TypeVar

from tinybert_hf.data.demo_translation import vocabulary as words
from tinybert_hf.data.demo_translation.vocabulary import Adjective, Noun, Person, Phrase, Verb

_SMALL_NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_DIGITS = "零一二三四五六七八九"

T = TypeVar("T")
Kind = Callable[[Random], Phrase]
"""Makes one kind of sentence: without a capital, and without a full stop unless it is a question."""


def pick(rng: Random, options: Sequence[T]) -> T:
    """One of the options."""
    # Random.random is the one method whose sequence is promised for every Python version.
    return options[int(rng.random() * len(options))]


def number(value: int) -> Phrase:
    """A number from 1 to 99 in words: twenty-five, 二十五."""
    tens, ones = divmod(value, 10)
    if value < len(_SMALL_NUMBERS):
        english = _SMALL_NUMBERS[value]
    else:
        english = f"{_TENS[tens]}-{_SMALL_NUMBERS[ones]}" if ones else _TENS[tens]
    chinese = ("" if tens == 0 else "十" if tens == 1 else f"{_DIGITS[tens]}十") + (_DIGITS[ones] if ones else "")
    return Phrase(english, chinese)


def count(value: int) -> Phrase:
    """A number before a measure word, where two is another word."""
    return Phrase("two", "两") if value == 2 else number(value)


def with_article(phrase: str) -> str:
    """The phrase after "a" or "an"."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def people(rng: Random, *others: Person) -> Person:
    """Somebody other than those who are named already."""
    person = pick(rng, words.PEOPLE)
    while any(person is other or {person.subject, other.subject} == {"I", "we"} for other in others):
        person = pick(rng, words.PEOPLE)
    return person


@cache
def nouns(kinds: frozenset[str], without: str = "") -> tuple[Noun, ...]:
    """The nouns of any of the kinds."""
    return tuple(noun for noun in words.NOUNS if noun.kinds & kinds and without not in noun.kinds)


@cache
def adjectives(kinds: frozenset[str]) -> tuple[Adjective, ...]:
    """The adjectives that go with nouns of any of the kinds."""
    return tuple(adjective for adjective in words.ADJECTIVES if adjective.kinds & kinds)


def described(rng: Random, noun: Noun, chance: float = 0.3) -> Noun:
    """The noun, sometimes with an adjective or a colour before it."""
    options = [Phrase(adjective.english, adjective.attribute) for adjective in adjectives(noun.kinds)]
    if "coloured" in noun.kinds:
        options += words.COLOURS
    if not options or "portion" in noun.kinds or rng.random() >= chance:
        return noun
    added = pick(rng, options)
    return replace(
        noun,
        singular=f"{added.english} {noun.singular}",
        plural=f"{added.english} {noun.plural}",
        chinese=f"{added.chinese}{noun.chinese}",
    )


def amount(rng: Random, noun: Noun, one: float = 0.35) -> tuple[Phrase, bool]:
    """An amount of a thing, "three books", and whether it is more than one."""
    noun = described(rng, noun)
    if rng.random() < one:
        return Phrase(with_article(noun.singular), f"一{noun.measure}{noun.chinese}"), False
    how_many = rng.random()
    if how_many < 0.7 or "portion" in noun.kinds:
        many = count(2 + int(rng.random() * (3 if "portion" in noun.kinds else 9)))
        return Phrase(f"{many.english} {noun.plural}", f"{many.chinese}{noun.measure}{noun.chinese}"), True
    if how_many < 0.8:
        return Phrase(f"a few {noun.plural}", f"几{noun.measure}{noun.chinese}"), True
    english, chinese = ("many", "很多") if how_many < 0.9 else ("some", "一些")
    return Phrase(f"{english} {noun.plural}", f"{chinese}{noun.chinese}"), True


def pointed(rng: Random, noun: Noun) -> tuple[Phrase, bool]:
    """A thing that is pointed at, "this book", and whether it is more than one."""
    if "portion" in noun.kinds or rng.random() < 0.6:
        english, chinese = pick(rng, (("this", "这"), ("that", "那")))
        return Phrase(f"{english} {noun.singular}", f"{chinese}{noun.measure}{noun.chinese}"), False
    english, chinese = pick(rng, (("these", "这些"), ("those", "那些")))
    return Phrase(f"{english} {noun.plural}", f"{chinese}{noun.chinese}"), True


def definite(rng: Random, noun: Noun, person: Person | None = None) -> tuple[Phrase, bool]:
    """A thing that is pointed at or belongs to somebody, and whether it is more than one.

    Args:
        rng: the source of chance.
        noun: the thing.
        person: who is named already, and would not be named again as its owner.
    """
    if noun.kinds & {"portion", "human", "building"} or "的" in noun.chinese or rng.random() < 0.65:
        return pointed(rng, noun)
    return owned(rng, noun, person), False


def owned(rng: Random, noun: Noun, person: Person | None = None) -> Phrase:
    """Somebody's thing: as for `definite`."""
    owner = pick(rng, words.PEOPLE)
    while owner is person and owner in words.LONG_PEOPLE:
        owner = pick(rng, words.PEOPLE)
    return Phrase(f"{owner.possessive} {noun.singular}", f"{owner.chinese}的{noun.chinese}")


@dataclass(frozen=True)
class Doing:
    """What somebody does, without saying who and when.

    Attributes:
        verb: English forms and the Chinese verb.
        rest: what follows the English verb: object, place, company.
        before: what precedes the Chinese verb: company, place, means.
        after: the Chinese object.
        bare: the object is bare (看电视), so that 了 stands behind it; it stands before a counted one (看了两本书).
    """

    verb: Verb
    rest: str
    before: str
    after: str
    bare: bool = False

    @property
    def chinese(self) -> str:
        """As it is said of the present, the future, and where it is negated."""
        return f"{self.before}{self.verb.chinese}{self.after}"

    @property
    def done(self) -> str:
        """As it is said of the past."""
        if self.bare:
            return f"{self.chinese}了"
        return f"{self.before}{self.verb.chinese}了{self.after}"

    def english(self, form: str) -> str:
        """With a form of the verb, "base" or "past" for example."""
        return f"{getattr(self.verb, form)} {self.rest}".rstrip()

    def present(self, person: Person) -> str:
        """In English, of a person."""
        return self.english("third" if person.third else "base")


def handling(rng: Random, person: Person, *, planned: bool, sure: bool, place: float = 0.5) -> Doing:
    """Somebody does something with a thing.

    Args:
        rng: the source of chance.
        person: who does it.
        planned: only what one can plan to do: not to find or to lose.
        sure: with a thing that is pointed at ("this book") rather than an amount ("three books").
        place: chance of a place.
    """
    own = pick(rng, [one for one in words.HANDLINGS if one.planned or not planned])
    noun = pick(rng, nouns(own.kinds))
    thing, _ = definite(rng, described(rng, noun, 0.1), person) if sure else amount(rng, noun)
    where = pick(rng, own.places) if rng.random() < place else Phrase("", "")
    before = f"在{where.chinese}" if where.chinese else ""
    return Doing(own.verb, f"{thing.english} {where.english}".rstrip(), before, thing.chinese)


def activity(
    rng: Random, person: Person, *, place: float = 0.6, company: float = 0.25, duration: float = 0.0
) -> Doing:
    """Somebody does something for a while, somewhere, with somebody; each with its chance."""
    own = pick(rng, words.ACTIVITIES)
    rest, before = own.rest.english, ""
    if rng.random() < place:
        where = pick(rng, own.places)
        rest, before = f"{rest} {where.english}", f"在{where.chinese}"
    if rng.random() < company:
        friend = people(rng, person)
        rest, before = f"{rest} with {friend.object}", f"和{friend.chinese}一起{before}"
    if rng.random() < duration:
        time = pick(rng, words.DURATIONS)
        return Doing(own.verb, f"{rest} {time.english}".strip(), before, f"{time.chinese}{own.rest.chinese}")
    return Doing(own.verb, rest.strip(), before, own.rest.chinese, bare=True)


def journey(rng: Random, person: Person, *, far: float = 0.5, company: float = 0.3) -> Doing:
    """Somebody goes somewhere."""
    goals, rides = (words.CITIES, words.FAR_RIDES) if rng.random() < far else (words.SPOTS, words.NEAR_RIDES)
    goal = pick(rng, goals)
    rest, before = f"to {goal.english}", ""
    if rng.random() < 0.6:
        ride = pick(rng, rides)
        rest, before = f"{rest} {ride.english}", ride.chinese
    if rng.random() < company:
        friend = people(rng, person)
        rest, before = f"{rest} with {friend.object}", f"和{friend.chinese}一起{before}"
    return Doing(words.GO, rest, before, goal.chinese)


def favour(rng: Random, person: Person, *, sure: bool = False) -> Doing:
    """Somebody does something for somebody else: the other one stands before the Chinese verb, or right behind 给."""
    friend = people(rng, person)
    form = rng.random()
    if form < 0.15:
        return Doing(words.CALL, friend.object, f"给{friend.chinese}", "电话")
    written = form < 0.45
    noun = pick(rng, nouns(frozenset({"written" if written else "gift"})))
    thing, _ = pointed(rng, noun) if sure else amount(rng, noun)
    if form < 0.75:
        verb = next(one.verb for one in words.HANDLINGS if one.verb.base == ("write" if written else "buy"))
        preposition = "to" if written else "for"
        rest = f"{thing.english} {preposition} {friend.object}"
        return Doing(verb, rest, f"给{friend.chinese}", thing.chinese)
    return Doing(words.GIVE, f"{friend.object} {thing.english}", "", f"{friend.chinese}{thing.chinese}")


def doing(rng: Random, person: Person, *, planned: bool = True, sure: bool = False, duration: float = 0.0) -> Doing:
    """Any doing of a person."""
    kind = rng.random()
    if kind < 0.4:
        return handling(rng, person, planned=planned, sure=sure)
    if kind < 0.65:
        return activity(rng, person, duration=duration)
    if kind < 0.85:
        return journey(rng, person)
    return favour(rng, person, sure=sure)


def timed(rng: Random, sentence: str, person: Person, rest: str, time: Phrase | None, front: float = 0.3) -> Phrase:
    """A statement at a time.

    The time stands in front in both languages, or last in English and after the person in Chinese.

    Args:
        rng: the source of chance.
        sentence: the English statement.
        person: whose it is.
        rest: the Chinese statement without the person.
        time: None where none is said.
        front: chance of the time in front.
    """
    if time is None:
        return Phrase(sentence, f"{person.chinese}{rest}")
    if rng.random() < front:
        return Phrase(f"{time.english} {sentence}", f"{time.chinese}{person.chinese}{rest}")
    return Phrase(f"{sentence} {time.english}", f"{person.chinese}{time.chinese}{rest}")


def clock(rng: Random, part: str | None) -> Phrase:
    """A time of the clock, at a part of the day that the caller says; None: one that is said here too."""
    if part is None and rng.random() < 0.15:
        return pick(rng, (Phrase("at noon", "中午"), Phrase("at midnight", "半夜")))
    named = part or pick(rng, tuple(words.DAY_PARTS))
    chinese, (first, last) = words.DAY_PARTS[named]
    hour = count(first + int(rng.random() * (last - first + 1)))
    english, minutes = pick(rng, ((f"{hour.english} o'clock", ""), (f"half past {hour.english}", "半")))
    said = "" if part else f" in the {named}"
    return Phrase(f"at {english}{said}", f"{'' if part else chinese}{hour.chinese}点{minutes}")


def do(person: Person) -> str:
    """The form of "do"."""
    return "does" if person.third else "do"


def be(person: Person, past: bool = False) -> str:
    """The form of "be"."""
    if past:
        return "was" if person.third or person.pronoun == "I" else "were"
    return "am" if person.pronoun == "I" else "is" if person.third else "are"


def has(person: Person) -> str:
    """The form of "have"."""
    return "has" if person.third else "have"


def asked(rng: Random) -> Person:
    """Somebody of whom one asks: not oneself."""
    person = people(rng)
    while person.pronoun in ("I", "we"):
        person = people(rng)
    return person


def maybe(rng: Random, times: Sequence[Phrase], chance: float = 0.8) -> Phrase | None:
    """One of the times, or none."""
    return pick(rng, times) if rng.random() < chance else None


def attached(time: Phrase | None) -> Phrase:
    """The time as it goes behind an English sentence, and before the rest of a Chinese one."""
    return Phrase("", "") if time is None else Phrase(f" {time.english}", time.chinese)


def falling(rng: Random) -> Verb:
    """It rains or snows."""
    return pick(rng, (words.RAIN, words.SNOW))


def degree(rng: Random, chinese: str) -> tuple[str, str]:
    """What stands before an English adjective, and a Chinese adjective with what stands around it."""
    said, no = ("very ", f"很{chinese}"), "没" if chinese.startswith("有") else "不"
    return pick(rng, (said, said, ("not ", f"{no}{chinese}"), ("too ", f"太{chinese}了"), ("really ", f"真{chinese}")))
