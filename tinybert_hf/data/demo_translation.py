"""English sentences with their Chinese translations from a grammar, for a demo that needs no download.

The two languages share no word and hardly an order: place, company and time move to the front of the verb, what
describes a noun stands before it, counted things need a measure word, and questions keep the order of statements.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from tinybert_hf.data import demo_translation_words as words
from tinybert_hf.data.demo_translation_words import (
    Adjective,
    Doing,
    Kind,
    Noun,
    Phrase,
    activity,
    adjectives,
    amount,
    asked,
    attached,
    be,
    clock,
    count,
    definite,
    degree,
    do,
    doing,
    falling,
    handling,
    has,
    journey,
    maybe,
    nouns,
    number,
    owned,
    people,
    pick,
    pointed,
    timed,
    with_article,
)
from tinybert_hf.data.raw_rows import RawRows, check_columns
from tinybert_hf.data.settings import DEMO_TRANSLATION

# Sentences about what people did, do and will do.


def _past(rng: Random) -> Phrase:
    person = people(rng)
    act = doing(rng, person, planned=False, duration=0.5)
    return timed(rng, f"{person.subject} {act.english('past')}", person, act.done, maybe(rng, words.PAST, 0.9))


def _not_past(rng: Random) -> Phrase:
    person = people(rng)
    act = doing(rng, person, sure=True)
    time = maybe(rng, words.PAST)
    return timed(rng, f"{person.subject} did not {act.english('base')}", person, f"没{act.chinese}", time)


def _did(rng: Random) -> Phrase:
    person, time = asked(rng), attached(maybe(rng, words.PAST))
    act = doing(rng, person, sure=True)
    return Phrase(
        f"did {person.subject} {act.english('base')}{time.english}?", f"{person.chinese}{time.chinese}{act.done}吗？"
    )


def _modal(rng: Random) -> Phrase:
    person, positive = people(rng), rng.random() < 0.7
    act = doing(rng, person, sure=not positive, duration=0.3)
    no, does_not = ("", "") if positive else ("不", f"{do(person)} not ")
    to = "s to" if person.third and positive else " to"
    english, chinese = pick(
        rng,
        (
            ("will" if positive else "will not", f"{no}会"),
            ("will" if positive else "will not", f"{no}会"),
            (f"{does_not}want{to}", f"{no}想"),
            (f"{does_not}plan{to}", f"{no}打算"),
            ("can" if positive else "cannot", "可以" if positive else "不能"),
        ),
    )
    rest = f"{chinese}{act.chinese}"
    return timed(rng, f"{person.subject} {english} {act.english('base')}", person, rest, maybe(rng, words.FUTURE))


def _modal_question(rng: Random) -> Phrase:
    person, time = asked(rng), attached(maybe(rng, words.FUTURE))
    act = doing(rng, person)
    before, after, chinese = pick(
        rng,
        (("will", "", "会"), ("can", "", "可以"), (do(person), " want to", "想"), (do(person), " plan to", "打算")),
    )
    return Phrase(
        f"{before} {person.subject}{after} {act.english('base')}{time.english}?",
        f"{person.chinese}{time.chinese}{chinese}{act.chinese}吗？",
    )


def _habit(rng: Random) -> Phrase:
    person = people(rng)
    act = activity(rng, person) if rng.random() < 0.6 else journey(rng, person, far=0.2)
    if rng.random() < 0.5:
        time = pick(rng, words.HABIT)
        return timed(rng, f"{person.subject} {act.present(person)}", person, act.chinese, time)
    how_often = pick(rng, words.FREQUENCIES)
    english = f"{person.subject} {how_often.english} {act.present(person)}"
    return Phrase(english, f"{person.chinese}{how_often.chinese}{act.chinese}")


def _habit_question(rng: Random) -> Phrase:
    person = asked(rng)
    act = activity(rng, person) if rng.random() < 0.6 else journey(rng, person, far=0.2)
    if rng.random() < 0.5:
        time = pick(rng, words.HABIT)
        english = f"{do(person)} {person.subject} {act.english('base')} {time.english}?"
        return Phrase(english, f"{person.chinese}{time.chinese}{act.chinese}吗？")
    english = f"{do(person)} {person.subject} often {act.english('base')}?"
    return Phrase(english, f"{person.chinese}常常{act.chinese}吗？")


def _now(rng: Random) -> Phrase:
    person = people(rng)
    if rng.random() < 0.6:
        act = activity(rng, person)
    else:
        act = handling(rng, person, planned=True, sure=True)
    # 在 that says where says that it goes on as well.
    going_on = "正" if act.before.startswith("在") else "正在"
    if rng.random() < 0.25 and person.pronoun not in ("I", "we"):
        return Phrase(
            f"{be(person)} {person.subject} {act.english('gerund')}?", f"{person.chinese}{going_on}{act.chinese}吗？"
        )
    return Phrase(f"{person.subject} {be(person)} {act.english('gerund')}", f"{person.chinese}{going_on}{act.chinese}")


def _stay(rng: Random) -> Phrase:
    person, city, time = people(rng), pick(rng, words.CITIES), pick(rng, words.STAYS)
    verb = pick(rng, (words.LIVE, words.WORK))
    rest = f"{person.chinese}在{city.chinese}{verb.chinese}了{time.chinese}"
    if rng.random() < 0.5:
        return Phrase(f"{person.subject} {verb.past} in {city.english} {time.english}", rest)
    return Phrase(f"{person.subject} {has(person)} {verb.participle} in {city.english} {time.english}", f"{rest}了")


def _experience(rng: Random) -> Phrase:
    if rng.random() < 0.5:
        city = pick(rng, words.CITIES)
        english, verb, thing = f"been to {city.english}", "去", city.chinese
    else:
        noun = pick(rng, nouns(frozenset({"read"})))
        book, _ = pointed(rng, noun)
        english, verb, thing = f"read {book.english}", "看", book.chinese
    person, form = people(rng), rng.random()
    if form < 0.3:
        return Phrase(f"{person.subject} {has(person)} never {english}", f"{person.chinese}从来没{verb}过{thing}")
    if form < 0.6:
        times = number(3 + int(rng.random() * 8))
        said = f"{person.subject} {has(person)} {english} {times.english} times"
        return Phrase(said, f"{person.chinese}{verb}过{times.chinese}次{thing}")
    person = asked(rng)
    return Phrase(f"{has(person)} {person.subject} ever {english}?", f"{person.chinese}{verb}过{thing}吗？")


def _both(rng: Random) -> Phrase:
    person, time = people(rng), maybe(rng, words.PAST)
    first = handling(rng, person, planned=True, sure=False, place=0.3)
    second = handling(rng, person, planned=True, sure=False, place=0.2)
    while second.verb is first.verb:
        second = handling(rng, person, planned=True, sure=False, place=0.2)
    english = f"{person.subject} {first.english('past')} and {second.english('past')}"
    return timed(rng, english, person, f"{first.done}，还{second.done}", time)


def _request(rng: Random) -> Phrase:
    act = doing(rng, words.SHORT_PEOPLE[1])
    if rng.random() < 0.3:
        act = activity(rng, words.SHORT_PEOPLE[1])
        return Phrase(f"please do not {act.english('base')}", f"请不要{act.chinese}")
    time = attached(maybe(rng, words.FUTURE, 0.5))
    return Phrase(f"please {act.english('base')}{time.english}", f"请{time.chinese}{act.chinese}")


# Clauses together.


def _if(rng: Random) -> Phrase:
    person, time = people(rng), pick(rng, words.FUTURE)
    act, no = doing(rng, person), pick(rng, (True, False))
    if rng.random() < 0.5:
        verb = falling(rng)
        condition = Phrase(f"it {verb.third}", f"{time.chinese}{verb.chinese}")
    else:
        weather = pick(rng, words.WEATHER)
        condition = Phrase(f"it is {weather.english}", f"{time.chinese}很{weather.chinese}")
    will, chinese = ("will not", "就不会") if no else ("will", "就会")
    if no:
        act = doing(rng, person, sure=True)
    main = f"{person.subject} {will} {act.english('base')}"
    english = f"if {condition.english} {time.english}, {main}"
    if rng.random() < 0.4:
        english = f"{main} if {condition.english} {time.english}"
    return Phrase(english, f"如果{condition.chinese}，{person.chinese}{chinese}{act.chinese}")


def _because(rng: Random) -> Phrase:
    person, time = people(rng), pick(rng, words.PAST)
    act = activity(rng, person) if rng.random() < 0.5 else journey(rng, person)
    if rng.random() < 0.5:
        verb = falling(rng)
        english = f"{person.subject} did not {act.english('base')} {time.english} because it {verb.past}"
        return Phrase(english, f"因为{verb.chinese}，{person.chinese}{time.chinese}没{act.chinese}")
    state = pick(rng, words.BAD_STATES)
    reason = f"{person.pronoun} {be(person, past=True)} very {state.english}"
    english = f"{person.subject} did not {act.english('base')} {time.english} because {reason}"
    return Phrase(english, f"因为很{state.chinese}，{person.chinese}{time.chinese}没{act.chinese}")


def _although(rng: Random) -> Phrase:
    person, state = people(rng), pick(rng, words.BAD_STATES)
    act = doing(rng, person, duration=0.5)
    english = f"although {person.subject} {be(person, past=True)} very {state.english}, {person.pronoun} "
    chinese = f"虽然{person.chinese}很{state.chinese}，但是{person.chinese_pronoun}还是"
    return Phrase(f"{english}{act.english('past')}", f"{chinese}{act.done}")


ACTIONS: tuple[Kind, ...] = (
    *(_past,) * 8,
    *(_not_past,) * 3,
    *(_did,) * 3,
    *(_modal,) * 6,
    *(_modal_question,) * 2,
    *(_habit,) * 4,
    _habit_question,
    *(_now,) * 3,
    _stay,
    _experience,
    *(_both,) * 2,
    _request,
    *(_if,) * 2,
    *(_because,) * 2,
    _although,
)


# Sentences about where things are, how they are, and how they compare.


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


DESCRIPTIONS: tuple[Kind, ...] = (
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


# Sentences about times, weather, prices and other facts, and questions with a question word.


def _event(rng: Random) -> Phrase:
    (what, verb), form = pick(rng, words.EVENTS), rng.random()
    name = Phrase(f"the {what.english}", what.chinese)
    if what.english in ("train", "bus", "ship") and rng.random() < 0.5:
        goal = pick(rng, words.CITIES)
        name = Phrase(f"the {what.english} to {goal.english}", f"去{goal.chinese}的{what.chinese}")
    day = attached(maybe(rng, words.DAYS, 0.4))
    if form < 0.15:
        english = f"when does {name.english} {verb.base}{day.english}?"
        return Phrase(english, f"{name.chinese}{day.chinese}什么时候{verb.chinese}？")
    if form < 0.25:
        english = f"what time does {name.english} {verb.base}{day.english}?"
        return Phrase(english, f"{name.chinese}{day.chinese}几点{verb.chinese}？")
    time = clock(rng, None)
    chinese = f"{name.chinese}{day.chinese}{time.chinese}{verb.chinese}"
    if form < 0.4:
        return Phrase(f"does {name.english} {verb.base} {time.english}{day.english}?", f"{chinese}吗？")
    return Phrase(f"{name.english} {verb.third} {time.english}{day.english}", chinese)


def _routine(rng: Random) -> Phrase:
    verb, rest, part = pick(rng, words.ROUTINES)
    person, time = people(rng), clock(rng, part)
    chinese = words.DAY_PARTS[part][0]
    act = Doing(verb, f"{rest} {time.english}", time.chinese, "", bare=True)
    form = rng.random()
    if form < 0.5:
        when = Phrase(f"every {part}", f"每天{chinese}")
        return timed(rng, f"{person.subject} {act.present(person)}", person, act.chinese, when)
    if form < 0.75:
        when = Phrase(f"tomorrow {part}", f"明天{chinese}")
        return timed(rng, f"{person.subject} will {act.english('base')}", person, f"会{act.chinese}", when)
    when = Phrase(f"yesterday {part}", f"昨天{chinese}")
    return timed(rng, f"{person.subject} {act.english('past')}", person, f"是{act.chinese}的", when)


def _weather(rng: Random) -> Phrase:
    city, weather, form = pick(rng, words.CITIES), pick(rng, words.WEATHER), rng.random()
    if form < 0.25:
        other = pick(rng, [one for one in words.CITIES if one is not city])
        comparative = f"{weather.english}ter" if weather.english == "hot" else f"{weather.english}er"
        english = f"it is {comparative} in {city.english} than in {other.english}"
        return Phrase(english, f"{city.chinese}比{other.chinese}{weather.chinese}")
    if form < 0.4:
        return Phrase(f"is it {weather.english} in {city.english} today?", f"{city.chinese}今天{weather.chinese}吗？")
    time = pick(rng, words.PAST)
    very, chinese = degree(rng, weather.chinese)
    return Phrase(
        f"it was {very}{weather.english} in {city.english} {time.english}", f"{city.chinese}{time.chinese}{chinese}"
    )


def _rain(rng: Random) -> Phrase:
    city, verb, form = pick(rng, words.CITIES), falling(rng), rng.random()
    if form < 0.5:
        time = pick(rng, words.PAST)
        english, chinese = pick(rng, ((verb.past, f"{verb.chinese}了"), (f"did not {verb.base}", f"没{verb.chinese}")))
        return Phrase(f"it {english} in {city.english} {time.english}", f"{city.chinese}{time.chinese}{chinese}")
    time = pick(rng, words.FUTURE)
    rest, chinese = f"{verb.base} in {city.english} {time.english}", f"{city.chinese}{time.chinese}"
    return pick(
        rng,
        (
            Phrase(f"it will {rest}", f"{chinese}会{verb.chinese}"),
            Phrase(f"it will not {rest}", f"{chinese}不会{verb.chinese}"),
            Phrase(f"will it {rest}?", f"{chinese}会{verb.chinese}吗？"),
        ),
    )


def _price(rng: Random) -> Phrase:
    noun = pick(rng, nouns(frozenset({"ware", "food", "drink"})))
    this, chinese = pick(rng, (("this", "这"), ("that", "那")))
    thing = Phrase(f"{this} {noun.singular}", f"{chinese}{noun.measure}{noun.chinese}")
    if rng.random() < 0.25:
        return Phrase(f"how much does {thing.english} cost?", f"{thing.chinese}多少钱？")
    price = number(3 + int(rng.random() * 97))
    return Phrase(f"{thing.english} costs {price.english} yuan", f"{thing.chinese}{price.chinese}块钱")


def _age(rng: Random) -> Phrase:
    person = asked(rng)
    while person.pronoun == "they":
        person = asked(rng)
    if rng.random() < 0.2:
        return Phrase(f"how old {be(person)} {person.subject}?", f"{person.chinese}多大？")
    years = number(3 + int(rng.random() * 87))
    return Phrase(f"{person.subject} {be(person)} {years.english} years old", f"{person.chinese}{years.chinese}岁")


def _job(rng: Random) -> Phrase:
    person, job = people(rng), pick(rng, words.JOBS)
    while job.english in person.subject:
        job = pick(rng, words.JOBS)
    plural = person.pronoun in ("we", "they")
    name = f"{job.english}s" if plural else with_article(job.english)
    form = rng.random()
    if form < 0.25 and person.pronoun not in ("I", "we"):
        return Phrase(f"{be(person)} {person.subject} {name}?", f"{person.chinese}是{job.chinese}吗？")
    if form < 0.5:
        return Phrase(f"{person.subject} {be(person)} not {name}", f"{person.chinese}不是{job.chinese}")
    return Phrase(f"{person.subject} {be(person)} {name}", f"{person.chinese}是{job.chinese}")


def _whose(rng: Random) -> Phrase:
    noun = pick(rng, nouns(frozenset({"ware", "animal"}), without="portion"))
    here, chinese = pick(rng, (("this", "这"), ("that", "那")))
    thing = owned(rng, noun)
    return pick(
        rng,
        (
            Phrase(f"whose {noun.singular} is {here}?", f"{chinese}是谁的{noun.chinese}？"),
            Phrase(f"{here} is {thing.english}", f"{chinese}是{thing.chinese}"),
            Phrase(f"{here} is not {thing.english}", f"{chinese}不是{thing.chinese}"),
            Phrase(f"is {here} {thing.english}?", f"{chinese}是{thing.chinese}吗？"),
        ),
    )


# Questions with a question word.


def _which_way(rng: Random) -> Phrase:
    person = asked(rng)
    act = journey(rng, person, company=0.0)
    act = replace(act, before="", rest=act.rest.split(" by ")[0].split(" on foot")[0])
    if rng.random() < 0.5:
        time = pick(rng, words.FUTURE)
        english = f"how will {person.subject} {act.english('base')} {time.english}?"
        return Phrase(english, f"{person.chinese}{time.chinese}怎么{act.chinese}？")
    return Phrase(f"when will {person.subject} {act.english('base')}?", f"{person.chinese}什么时候{act.chinese}？")


def _which_thing(rng: Random) -> Phrase:
    person, time = asked(rng), attached(maybe(rng, words.PAST, 0.7))
    own = pick(rng, [one for one in words.HANDLINGS if one.planned and one.verb.base != "take"])
    noun, where, form = pick(rng, nouns(own.kinds)), pick(rng, own.places), rng.random()
    did = f"{person.subject} {own.verb.base}"
    if form < 0.35:
        english = f"how many {noun.plural} did {did} {where.english}{time.english}?"
        verb = f"{person.chinese}{time.chinese}在{where.chinese}{own.verb.chinese}"
        return Phrase(english, f"{verb}了几{noun.measure}{noun.chinese}？")
    if form < 0.65:
        english = f"what did {did} {where.english}{time.english}?"
        return Phrase(english, f"{person.chinese}{time.chinese}在{where.chinese}{own.verb.chinese}了什么？")
    thing, _ = definite(rng, noun, person)
    if form < 0.85:
        return Phrase(
            f"where did {did} {thing.english}?", f"{person.chinese}是在哪儿{own.verb.chinese}的{thing.chinese}？"
        )
    return Phrase(
        f"who {own.verb.past} {thing.english}{time.english}?",
        f"{thing.chinese}是谁{time.chinese}{own.verb.chinese}的？",
    )


def _how_long(rng: Random) -> Phrase:
    person, time = asked(rng), pick(rng, words.PAST)
    act = activity(rng, person)
    english = f"how long did {person.subject} {act.english('base')} {time.english}?"
    chinese = f"{person.chinese}{time.chinese}{act.before}{act.verb.chinese}了多长时间{act.after}？"
    return Phrase(english, chinese)


FACTS: tuple[Kind, ...] = (
    *(_event,) * 2,
    *(_routine,) * 2,
    _weather,
    _rain,
    _price,
    _age,
    _job,
    _whose,
    _which_way,
    *(_which_thing,) * 2,
    _how_long,
)


TRAIN_ROWS = 16000
VALIDATION_ROWS = 500
SEED = 0

_KINDS = (*ACTIONS, *DESCRIPTIONS, *FACTS)


def demo_translation(rows: int, seed: int = SEED) -> list[dict[str, Any]]:
    """Generates pairs of sentences, none of which stands twice on its side.

    The same seed gives the same rows in every process, and more rows only add to the end.

    Args:
        rows: how many.
        seed: of the generator.

    Returns:
        Rows with `source` (English) and `target` (Chinese).
    """
    rng = Random(seed)
    seen: set[str] = set()
    made: list[dict[str, Any]] = []
    while len(made) < rows:
        source, target = _pair(rng)
        if source not in seen and target not in seen:
            seen.update((source, target))
            made.append({"source": source, "target": target})
    return made


def demo_translation_splits(
    train_rows: int = TRAIN_ROWS, validation_rows: int = VALIDATION_ROWS, seed: int = SEED
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Generates a train and a validation split that share no sentence, on neither side.

    The validation rows come first out of the generator, so they stay the same whatever `train_rows` is.

    Returns:
        Train rows and validation rows, as `demo_translation` makes them.
    """
    rows = demo_translation(train_rows + validation_rows, seed)
    return rows[validation_rows:], rows[:validation_rows]


def demo_translation_rows(
    part: str, columns: Sequence[str], max_train_rows: int | None, max_validation_rows: int | None
) -> RawRows:
    """Makes one split of the dataset "demo-translation".

    Args:
        part: "train" or "validation".
        columns: the columns to keep.
        max_train_rows: train rows to make instead of 16,000.
        max_validation_rows: validation rows to make instead of 500.

    Raises:
        DataError: a column that the demo does not have.
    """
    check_columns(DEMO_TRANSLATION, columns, ("source", "target"))
    # Fewer validation rows leave the others unused: a later run over all of them must not meet train rows.
    reserved = max(VALIDATION_ROWS, max_validation_rows or 0)
    if part == "train":
        rows, _ = demo_translation_splits(max_train_rows or TRAIN_ROWS, reserved)
    else:
        rows = demo_translation(max_validation_rows or VALIDATION_ROWS)
    return RawRows(f"{DEMO_TRANSLATION} [{part}]", {column: [row[column] for row in rows] for column in columns})


def _pair(rng: Random) -> tuple[str, str]:
    made = pick(rng, _KINDS)(rng)
    source, target = f"{made.english[0].upper()}{made.english[1:]}", made.chinese
    return (source, target) if source.endswith("?") else (f"{source}.", f"{target}。")
