"""Sentences about what people did, do and will do."""

from random import Random

from tinybert_hf.data.demo_translation import vocabulary as words
from tinybert_hf.data.demo_translation.phrases import (
    Kind,
    activity,
    asked,
    attached,
    be,
    do,
    doing,
    falling,
    handling,
    has,
    journey,
    maybe,
    nouns,
    number,
    people,
    pick,
    pointed,
    timed,
)
from tinybert_hf.data.demo_translation.vocabulary import Phrase


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


KINDS: tuple[Kind, ...] = (
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
