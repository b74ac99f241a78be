"""Sentences of praise and blame from a grammar, for a demo that needs no download."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, TypeVar

from tinybert_hf.data.raw_rows import RawRows, check_columns
from tinybert_hf.data.settings import DEMO_SENTIMENT

# The words of the demo sentences: four domains, each with neutral nouns and good and bad words for them.
#
# Every bad word has a good one beside it in number and use, so that a word outside its sentence tells little.


@dataclass(frozen=True)
class Domain:
    """One kind of thing that people review.

    Attributes:
        thing: what the review is about.
        aspects: what a clause can be about: the thing itself and its parts, all singular.
        good: adjectives of praise that fit every aspect.
        bad: adjectives of blame that fit every aspect.
        remarks: neutral sentences that can stand before or after.
    """

    thing: str
    aspects: tuple[str, ...]
    good: tuple[str, ...]
    bad: tuple[str, ...]
    remarks: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


FILM = Domain(
    "film",
    _words("film, plot, script, dialogue, score, ending, opening scene, second half, lead performance, final act"),
    _words("gripping, moving, clever, witty, inventive, touching, convincing, lively, thrilling"),
    _words("dull, clumsy, predictable, shallow, lifeless, muddled, tedious, forced, sluggish"),
    _words("We saw it on a Sunday, It was made in Canada, It runs for two hours, My brother chose it, It is a remake"),
)
BOOK = Domain(
    "book",
    _words("book, story, prose, narrator, first chapter, middle section, main character, subplot, last page"),
    _words("absorbing, vivid, insightful, warm, funny, subtle, memorable, playful, original"),
    _words("dry, wordy, confusing, preachy, repetitive, pompous, tiresome, vague, contrived"),
    _words("I read it on the train, It came out in spring, It has thirty chapters, A friend lent it to me"),
)
MEAL = Domain(
    "meal",
    _words("meal, soup, bread, sauce, dessert, curry, salad, coffee, pasta, roast, starter, main course"),
    _words("delicious, fresh, tasty, fragrant, delicate, flavourful, appetizing, balanced, satisfying"),
    _words("bland, greasy, soggy, salty, stale, tasteless, watery, lukewarm, bitter"),
    _words("We went there for lunch, The place is near the station, There were six of us, It opened last year"),
)
HOTEL = Domain(
    "hotel",
    _words("hotel, room, bed, service, lobby, breakfast room, bathroom, pool, terrace, garden, bar, reception"),
    _words("spotless, cosy, comfortable, bright, spacious, welcoming, peaceful, inviting, tidy"),
    _words("dirty, noisy, cramped, shabby, gloomy, neglected, dingy, depressing, chaotic"),
    _words("We stayed for two nights, It is close to the harbour, We booked it online, It has eighty beds"),
)
DOMAINS = (FILM, BOOK, MEAL, HOTEL)

GOOD = _words("good, great, excellent, superb, wonderful, brilliant, splendid, delightful, charming, impressive")
BAD = _words("bad, poor, terrible, awful, dreadful, mediocre, horrible, disappointing, annoying, weak")

# (present, infinitive)
GOOD_VERBS = (
    ("delights", "delight"),
    ("impresses", "impress"),
    ("works", "work"),
    ("wins me over", "win me over"),
    ("lifts the mood", "lift the mood"),
    ("deserves praise", "deserve praise"),
    ("hits the mark", "hit the mark"),
    ("keeps its promise", "keep its promise"),
)
BAD_VERBS = (
    ("annoys", "annoy"),
    ("disappoints", "disappoint"),
    ("falls short", "fall short"),
    ("lets me down", "let me down"),
    ("spoils the mood", "spoil the mood"),
    ("deserves blame", "deserve blame"),
    ("misses the mark", "miss the mark"),
    ("tries my patience", "try my patience"),
)

DEGREES = _words("very, rather, quite, fairly, a little, somewhat, slightly, remarkably, surprisingly")
STRONG_DEGREES = _words("really, truly, simply, quite, absolutely")
NEGATORS = _words("not, not at all, never, anything but, far from, by no means, hardly, not in the least")
AFFIRMERS = _words("always, never less than, nothing if not, certainly, nothing short of, plainly, never anything but")
TURNING_VERBS = _words("does not, did not, will never, could hardly, fails to, never managed to")
KEEPING_VERBS = _words("does, did, will always, could not but, never fails to, always managed to")
STANDARDS = _words("the last one, I had expected, people say, it used to be, the reviews promise, I had feared")
SPEAKERS = _words("my sister, the critics, a friend of mine, my neighbour, the local paper, everyone online, my boss")
AGREEMENT = _words("and I agree, and rightly so, and I can only confirm it, and I could not agree more, which is true")
DENIAL = _words(
    "and I disagree, and wrongly so, and I see it differently, and I could not agree less, which is untrue"
)
CONTRASTS = _words("but, yet, but in the end, and yet")
CONCESSIONS = _words("although, even though, though")
OPENERS = _words("in short, to be honest, all in all, for what it is worth, as far as I can tell, once again")


# Sentences of praise and blame from a grammar, for a demo that needs no download.
#
# The label follows from the structure without noise, and the structure is what a bag of words does not see: negation
# ("not at all dull"), look-alikes of negation that do not turn ("never less than witty"), contrast (the clause after
# "but", or outside "although", decides), comparison, things that might have been, and other people's opinions with the
# writer's verdict.

LABEL_NAMES = ("negative", "positive")
TRAIN_ROWS = 8000
VALIDATION_ROWS = 1000
SEED = 0

T = TypeVar("T")


def demo_sentiment(rows: int, seed: int = SEED) -> list[dict[str, Any]]:
    """Generates labelled sentences, no sentence twice.

    The same seed gives the same rows in every process, and more rows only add to the end. Every two neighbours hold
    one row of each label.

    Args:
        rows: how many.
        seed: of the generator.

    Returns:
        Rows with `text` and `label` (0 negative, 1 positive).
    """
    rng = Random(seed)
    seen: set[str] = set()
    made: list[dict[str, Any]] = []
    while len(made) < rows:
        first = pick(rng, (0, 1))
        for label in (first, 1 - first):
            text = _sentence(rng, label)
            while text in seen:
                text = _sentence(rng, label)
            seen.add(text)
            made.append({"text": text, "label": label})
    return made[:rows]


def demo_sentiment_splits(
    train_rows: int = TRAIN_ROWS, validation_rows: int = VALIDATION_ROWS, seed: int = SEED
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Generates a train and a validation split that share no sentence.

    The validation rows come first out of the generator, so they stay the same whatever `train_rows` is.

    Returns:
        Train rows and validation rows, as `demo_sentiment` makes them.
    """
    rows = demo_sentiment(train_rows + validation_rows, seed)
    return rows[validation_rows:], rows[:validation_rows]


def demo_sentiment_rows(part: str, columns: Sequence[str], most: tuple[int | None, int | None]) -> RawRows:
    """One split of the dataset "demo-sentiment": see `demo_rows`."""
    sizes = TRAIN_ROWS, VALIDATION_ROWS
    return demo_rows(DEMO_SENTIMENT, demo_sentiment, sizes, part, columns, most, class_names=LABEL_NAMES)


def demo_rows(
    dataset: str,
    generate: Callable[[int], list[dict[str, Any]]],
    sizes: tuple[int, int],
    part: str,
    columns: Sequence[str],
    most: tuple[int | None, int | None],
    **names: Any,
) -> RawRows:
    """One split of a generated dataset.

    Args:
        dataset: its name.
        generate: makes so many rows; more rows only add to the end.
        sizes: train and validation rows.
        part: "train" or "validation".
        columns: the columns to keep.
        most: train and validation rows to make instead of `sizes`.
        names: of its classes.

    Raises:
        DataError: a column that the demo does not have.
    """
    check_columns(dataset, columns, tuple(generate(1)[0]))
    train, validation = (one or usual for one, usual in zip(most, sizes, strict=True))
    # Fewer validation rows leave the others unused: a later run over all of them must not meet train rows.
    reserved = max(sizes[1], validation)
    rows = generate(reserved + train)[reserved:] if part == "train" else generate(validation)
    return RawRows(f"{dataset} [{part}]", {column: [row[column] for row in rows] for column in columns}, **names)


def pick(rng: Random, options: Sequence[T]) -> T:
    """One of the options."""
    # Random.random is the one method whose sequence is promised for every Python version.
    return options[int(rng.random() * len(options))]


def _adjective(rng: Random, domain: Domain, label: int, degree: float = 0.0) -> str:
    """An adjective of the label, with the chance of a degree before it, which changes nothing."""
    if rng.random() < 0.4:
        adjective, degrees = pick(rng, GOOD if label else BAD), STRONG_DEGREES
    else:
        adjective, degrees = pick(rng, domain.good if label else domain.bad), DEGREES
    return f"{pick(rng, degrees)} {adjective}" if rng.random() < degree else adjective


def _article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _subject(rng: Random, domain: Domain) -> str:
    return f"the {pick(rng, domain.aspects)}"


def _halves(rng: Random, domain: Domain) -> tuple[Domain, Domain]:
    """Parts the aspects in two, so that two clauses never speak of the same thing."""
    start = pick(rng, (0, 1))
    first, second = domain.aspects[start::2], domain.aspects[1 - start :: 2]
    return replace(domain, aspects=first), replace(domain, aspects=second)


# Each kind of clause states `label` about something; the ones that turn a word take the word of the other label.


def _plain(rng: Random, domain: Domain, label: int) -> str:
    return f"{_subject(rng, domain)} {pick(rng, ('is', 'was'))} {_adjective(rng, domain, label, degree=0.5)}"


def _negated(rng: Random, domain: Domain, label: int) -> str:
    verb = f"{pick(rng, ('is', 'was'))} {pick(rng, NEGATORS)}"
    return f"{_subject(rng, domain)} {verb} {_adjective(rng, domain, 1 - label)}"


def _affirmed(rng: Random, domain: Domain, label: int) -> str:
    verb = f"{pick(rng, ('is', 'was'))} {pick(rng, AFFIRMERS)}"
    return f"{_subject(rng, domain)} {verb} {_adjective(rng, domain, label)}"


def _acting(rng: Random, domain: Domain, label: int) -> str:
    if rng.random() < 0.4:
        return f"{_subject(rng, domain)} {pick(rng, GOOD_VERBS if label else BAD_VERBS)[0]}"
    turns = rng.random() < 0.5
    auxiliary = pick(rng, TURNING_VERBS if turns else KEEPING_VERBS)
    verbs = GOOD_VERBS if label != turns else BAD_VERBS
    return f"{_subject(rng, domain)} {auxiliary} {pick(rng, verbs)[1]}"


def _compared(rng: Random, domain: Domain, label: int) -> str:
    less = rng.random() < 0.5
    adjective = pick(rng, domain.good if label != less else domain.bad)
    measure = f"{'less' if less else 'more'} {adjective} than {pick(rng, STANDARDS)}"
    return f"{_subject(rng, domain)} {pick(rng, ('is', 'was'))} {measure}"


def _possible(rng: Random, domain: Domain, label: int) -> str:
    adjective = _adjective(rng, domain, 1 - label)
    if rng.random() < 0.3:
        return f"{_subject(rng, domain)} would be {adjective} on a {'worse' if label else 'better'} day"
    could = pick(rng, ("could have been", "might easily have been", "could so easily have been"))
    return f"{_subject(rng, domain)} {could} {adjective}"


def _reported(rng: Random, domain: Domain, label: int) -> str:
    denied = rng.random() < 0.5
    verdict = pick(rng, DENIAL if denied else AGREEMENT)
    adjective = _adjective(rng, domain, label if not denied else 1 - label, degree=0.3)
    return f"{pick(rng, SPEAKERS)} called {_subject(rng, domain)} {adjective}, {verdict}"


Clause = Callable[[Random, Domain, int], str]
_CLAUSES: tuple[Clause, ...] = (
    *(_plain,) * 16,
    *(_negated,) * 4,
    *(_affirmed,) * 2,
    *(_acting,) * 3,
    *(_compared,) * 2,
    _possible,
)


_SHORT_CLAUSES: tuple[Clause, ...] = (*(_plain,) * 5, *(_negated,) * 2, _affirmed, _acting)


def _clause(rng: Random, domain: Domain, label: int) -> str:
    return pick(rng, _CLAUSES)(rng, domain, label)


def _short_clause(rng: Random, domain: Domain, label: int) -> str:
    """One of two clauses in a sentence: nobody would follow a contrast of two comparisons."""
    return pick(rng, _SHORT_CLAUSES)(rng, domain, label)


def _contrast(rng: Random, domain: Domain, label: int) -> str:
    """Two opposite clauses; the grammar says which one counts."""
    one, other = _halves(rng, domain)
    counts, yields = _short_clause(rng, one, label), _short_clause(rng, other, 1 - label)
    form = rng.random()
    if form < 0.4:
        return f"{yields}, {pick(rng, CONTRASTS)} {counts}"
    if form < 0.6:
        return f"{pick(rng, CONCESSIONS)} {yields}, {counts}"
    if form < 0.8:
        return f"{counts}, {pick(rng, CONCESSIONS)} {yields}"
    given = f"{pick(rng, ('despite', 'for all', 'in spite of'))} its {_adjective(rng, domain, 1 - label)} "
    given += pick(rng, [aspect for aspect in other.aspects if aspect != domain.thing])
    return f"{given}, {counts}" if form < 0.9 else f"{counts}, {given}"


def _agreement(rng: Random, domain: Domain, label: int) -> str:
    one, other = _halves(rng, domain)
    return f"{_short_clause(rng, one, label)}, and {_short_clause(rng, other, label)}"


def _expectation(rng: Random, domain: Domain, label: int) -> str:
    met = rng.random() < 0.5
    expected = _article(f"{_adjective(rng, domain, label if met else 1 - label)} {domain.thing}")
    got = ("and that is what I got", "and I was right") if met else ("and I got the opposite", "and I was wrong")
    return f"I expected {expected}, {pick(rng, got)}"


_FORMS: tuple[Clause, ...] = (
    *(_clause,) * 11,
    *(_contrast,) * 4,
    *(_agreement,) * 3,
    _reported,
    _expectation,
)


def _sentence(rng: Random, label: int) -> str:
    domain = pick(rng, DOMAINS)
    text = pick(rng, _FORMS)(rng, domain, label)
    if rng.random() < 0.15:
        text = f"{pick(rng, OPENERS)}, {text}"
    text = f"{text[0].upper()}{text[1:]}."
    if rng.random() < 0.2:
        remark = f"{pick(rng, domain.remarks)}."
        text = f"{remark} {text}" if rng.random() < 0.5 else f"{text} {remark}"
    return text
