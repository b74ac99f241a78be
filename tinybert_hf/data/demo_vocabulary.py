"""The words of the demo sentences: four domains, each with neutral nouns and good and bad words for them.

Every bad word has a good one beside it in number and use, so that a word outside its sentence tells little.
"""

from dataclasses import dataclass


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
