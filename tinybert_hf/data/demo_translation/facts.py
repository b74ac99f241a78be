"""Sentences about times, weather, prices and other facts, and questions with a question word."""

from dataclasses import replace
from random import Random

from tinybert_hf.data.demo_translation import vocabulary as words
from tinybert_hf.data.demo_translation.phrases import (
    Doing,
    Kind,
    activity,
    asked,
    attached,
    be,
    clock,
    definite,
    degree,
    falling,
    journey,
    maybe,
    nouns,
    number,
    owned,
    people,
    pick,
    timed,
    with_article,
)
from tinybert_hf.data.demo_translation.vocabulary import Phrase


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


KINDS: tuple[Kind, ...] = (
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
