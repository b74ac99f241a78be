"""Sentences about where things are, how they are, and how they compare."""

from random import Random

from tinybert_hf.data.demo_translation import vocabulary as words
from tinybert_hf.data.demo_translation.phrases import (
    Kind,
    activity,
    adjectives,
    amount,
    asked,
    attached,
    be,
    count,
    definite,
    degree,
    maybe,
    nouns,
    number,
    owned,
    people,
    pick,
    timed,
    with_article,
)
from tinybert_hf.data.demo_translation.vocabulary import Adjective, Noun, Phrase


def _thing_and_spot(rng: Random) -> tuple[Noun, Phrase]:
    kinds, spots = pick(
        rng,
        (
            (frozenset({"small"}), words.SMALL_SPOTS),
            (frozenset({"animal", "human", "vehicle"}), words.OPEN_SPOTS),
            (frozenset({"building"}), words.NEAR_SPOTS),
        ),
    )
    noun, spot = pick(rng, nouns(kinds)), pick(rng, spots)
    while noun.singular in spot.english:
        noun = pick(rng, nouns(kinds))
    return noun, spot


def _there_is(rng: Random) -> Phrase:
    noun, spot = _thing_and_spot(rng)
    form = rng.random()
    if form < 0.6:
        thing, several = amount(rng, noun)
        return Phrase(
            f"there {'are' if several else 'is'} {thing.english} {spot.english}", f"{spot.chinese}有{thing.chinese}"
        )
    if form < 0.75:
        return Phrase(f"there are no {noun.plural} {spot.english}", f"{spot.chinese}没有{noun.chinese}")
    if form < 0.9:
        return Phrase(f"is there {with_article(noun.singular)} {spot.english}?", f"{spot.chinese}有{noun.chinese}吗？")
    english = f"how many {noun.plural} are there {spot.english}?"
    return Phrase(english, f"{spot.chinese}有几{noun.measure}{noun.chinese}？")


def _thing_is_there(rng: Random) -> Phrase:
    thing, spot = owned(rng, pick(rng, nouns(frozenset({"small"})))), pick(rng, words.SMALL_SPOTS)
    return pick(
        rng,
        (
            Phrase(f"{thing.english} is {spot.english}", f"{thing.chinese}在{spot.chinese}"),
            Phrase(f"{thing.english} is not {spot.english}", f"{thing.chinese}不在{spot.chinese}"),
            Phrase(f"is {thing.english} {spot.english}?", f"{thing.chinese}在{spot.chinese}吗？"),
            Phrase(f"where is {thing.english}?", f"{thing.chinese}在哪儿？"),
        ),
    )


def _person_is_there(rng: Random) -> Phrase:
    person, spot = asked(rng), pick(rng, words.OPEN_SPOTS)
    time = maybe(rng, words.PAST, 0.5)
    is_now, after = be(person, past=time is not None), attached(time)
    if rng.random() < 0.3:
        english = f"{is_now} {person.subject} {spot.english}{after.english}?"
        return Phrase(english, f"{person.chinese}{after.chinese}在{spot.chinese}吗？")
    negated = rng.random() < 0.3
    english = f"{person.subject} {is_now} {'not ' if negated else ''}{spot.english}"
    return timed(rng, english, person, f"{'不' if negated else ''}在{spot.chinese}", time)


# How things and people are.


def _described_thing(rng: Random) -> tuple[Noun, Adjective]:
    adjective = pick(rng, words.ADJECTIVES)
    noun = pick(rng, [noun for noun in nouns(adjective.kinds) if "building" not in noun.kinds])
    return noun, adjective


def _quality(rng: Random) -> Phrase:
    noun, adjective = _described_thing(rng)
    thing, several = definite(rng, noun)
    verb = "are" if several else "is"
    if rng.random() < 0.25:
        return Phrase(f"{verb} {thing.english} {adjective.english}?", f"{thing.chinese}{adjective.chinese}吗？")
    very, chinese = degree(rng, adjective.chinese)
    return Phrase(f"{thing.english} {verb} {very}{adjective.english}", f"{thing.chinese}{chinese}")


def _placed_quality(rng: Random) -> Phrase:
    noun, adjective = _described_thing(rng)
    while "small" not in noun.kinds:
        noun, adjective = _described_thing(rng)
    spot = pick(rng, words.SMALL_SPOTS)
    if noun.singular in spot.english:
        spot = words.SMALL_SPOTS[0]
    very, chinese = degree(rng, adjective.chinese)
    name, verb = pick(rng, ((noun.singular, "is"), (noun.plural, "are")))
    english = f"the {name} {spot.english} {verb} {very}{adjective.english}"
    return Phrase(
        english,
        f"{spot.chinese}的{noun.chinese}{chinese}" if verb == "is" else f"{spot.chinese}的那些{noun.chinese}{chinese}",
    )


def _colour(rng: Random) -> Phrase:
    noun, colour = pick(rng, nouns(frozenset({"coloured"}), without="portion")), pick(rng, words.COLOURS)
    thing = owned(rng, noun)
    return pick(
        rng,
        (
            Phrase(f"{thing.english} is {colour.english}", f"{thing.chinese}是{colour.chinese}"),
            Phrase(f"{thing.english} is not {colour.english}", f"{thing.chinese}不是{colour.chinese}"),
            Phrase(f"is {thing.english} {colour.english}?", f"{thing.chinese}是{colour.chinese}吗？"),
            Phrase(f"what colour is {thing.english}?", f"{thing.chinese}是什么颜色的？"),
        ),
    )


def _state(rng: Random) -> Phrase:
    person, state, form = people(rng), pick(rng, words.STATES), rng.random()
    time = maybe(rng, words.PAST, 0.6)
    is_now, after = be(person, past=time is not None), attached(time)
    if form < 0.25 and person.pronoun not in ("I", "we"):
        english = f"{is_now} {person.subject} {state.english}{after.english}?"
        return Phrase(english, f"{person.chinese}{after.chinese}{state.chinese}吗？")
    very, chinese = ("a little ", f"有点儿{state.chinese}") if form < 0.4 else degree(rng, state.chinese)
    return timed(rng, f"{person.subject} {is_now} {very}{state.english}", person, chinese, time)


def _relative(rng: Random) -> Phrase:
    person, time = people(rng), attached(maybe(rng, words.PAST, 0.7))
    own = pick(
        rng, [one for one in words.HANDLINGS if one.verb.base in ("buy", "sell", "borrow", "read", "find", "see")]
    )
    noun = pick(rng, [one for one in nouns(own.kinds, without="portion") if adjectives(one.kinds)])
    where = pick(rng, own.places) if rng.random() < 0.4 else None
    place = Phrase("", "") if where is None else Phrase(f" {where.english}", f"在{where.chinese}")
    name, several = (noun.plural, True) if rng.random() < 0.4 else (noun.singular, False)
    english = f"the {name} that {person.subject} {own.verb.past}{place.english}{time.english}"
    chinese = (
        f"{person.chinese}{time.chinese}{place.chinese}{own.verb.chinese}的{'那些' if several else ''}{noun.chinese}"
    )
    if rng.random() < 0.25:
        fan = people(rng, person)
        return Phrase(f"{fan.subject} {'likes' if fan.third else 'like'} {english}", f"{fan.chinese}喜欢{chinese}")
    adjective = pick(rng, adjectives(noun.kinds))
    very, said = degree(rng, adjective.chinese)
    return Phrase(f"{english} {'are' if several else 'is'} {very}{adjective.english}", f"{chinese}{said}")


def _who_does(rng: Random) -> Phrase:
    noun = pick(rng, nouns(frozenset({"human"})))
    act = activity(rng, words.SHORT_PEOPLE[1], place=0.8, company=0.0)
    said = f"the {noun.plural} who are {act.english('gerund')} are"
    chinese = f"{act.chinese}的{noun.chinese}"
    if rng.random() < 0.4:
        owner = pick(rng, words.SHORT_PEOPLE)
        return Phrase(f"{said} {owner.possessive} friends", f"{chinese}是{owner.chinese}的朋友")
    state = pick(rng, words.STATES + tuple(Phrase(trait.english, trait.chinese) for trait in words.TRAITS))
    very, state_said = degree(rng, state.chinese)
    return Phrase(f"{said} {very}{state.english}", f"{chinese}{state_said}")


# Comparison.


def _compared(rng: Random, one: Phrase, other: Phrase, adjective: Adjective, verb: str) -> Phrase:
    """One thing or person against another of the same kind."""
    form = rng.random()
    if form < 0.2:
        return Phrase(
            f"{one.english} {verb} not as {adjective.english} as {other.english}",
            f"{one.chinese}没有{other.chinese}{adjective.chinese}",
        )
    if form < 0.35:
        return Phrase(
            f"{one.english} {verb} as {adjective.english} as {other.english}",
            f"{one.chinese}和{other.chinese}一样{adjective.chinese}",
        )
    more, much = pick(rng, (("", ""), ("", ""), ("much ", "得多"), ("a little ", "一点儿")))
    if form < 0.5:
        return Phrase(
            f"{verb} {one.english} {adjective.comparative} than {other.english}?",
            f"{one.chinese}比{other.chinese}{adjective.chinese}吗？",
        )
    return Phrase(
        f"{one.english} {verb} {more}{adjective.comparative} than {other.english}",
        f"{one.chinese}比{other.chinese}{adjective.chinese}{much}",
    )


def _compared_things(rng: Random) -> Phrase:
    noun, adjective = _described_thing(rng)
    if rng.random() < 0.5 or "portion" in noun.kinds:
        one = Phrase(f"this {noun.singular}", f"这{noun.measure}{noun.chinese}")
        other = Phrase("that one", f"那{noun.measure}")
    else:
        one, other = owned(rng, noun), owned(rng, noun)
        while one == other:
            other = owned(rng, noun)
    if adjective.english == "expensive" and rng.random() < 0.4:
        price = number(pick(rng, range(10, 100, 5)))
        return Phrase(
            f"{one.english} is {price.english} yuan more expensive than {other.english}",
            f"{one.chinese}比{other.chinese}贵{price.chinese}块",
        )
    return _compared(rng, one, other, adjective, "is")


def _compared_people(rng: Random) -> Phrase:
    person, trait = people(rng), pick(rng, words.TRAITS)
    other = people(rng, person)
    form = rng.random()
    if form < 0.2:
        years = count(2 + int(rng.random() * 9))
        english = f"{person.subject} {be(person)} {years.english} years older than {other.object}"
        return Phrase(english, f"{person.chinese}比{other.chinese}大{years.chinese}岁")
    if form < 0.35:
        size = number(pick(rng, range(3, 21)))
        english = f"{person.subject} {be(person)} {size.english} centimetres taller than {other.object}"
        return Phrase(english, f"{person.chinese}比{other.chinese}高{size.chinese}厘米")
    one, second = Phrase(person.subject, person.chinese), Phrase(other.object, other.chinese)
    return _compared(rng, one, second, trait, be(person))


KINDS: tuple[Kind, ...] = (
    *(_there_is,) * 4,
    _thing_is_there,
    _person_is_there,
    *(_quality,) * 2,
    _placed_quality,
    _colour,
    _state,
    *(_relative,) * 3,
    _who_does,
    *(_compared_things,) * 2,
    *(_compared_people,) * 2,
)
