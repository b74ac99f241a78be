"""Words that stay as they are: without them a sentence falls apart, and they are no help to a student."""

_ENGLISH = """
a an the this that these those
i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers herself
it its itself they them their theirs themselves one ones oneself who whom whose which what whoever whatever whichever
someone somebody something anyone anybody anything everyone everybody everything nobody nothing none
am is are was were be been being do does did doing done have has had having
can could may might must shall should will would ought cannot
and or but nor so yet if unless because since although though while whereas whether than as either neither both
of in on at by for with about against between among into through during before after above below to from up down out
off over under within without upon across along around behind beside besides beyond near toward towards until till via
per despite except like unlike
not no n't never ever there here where when why how then now again once also too very just only even still already
more most less least much many few little some any all each every such same other others another own
s t d m o y ll re ve ain isn aren wasn weren don doesn didn haven hasn hadn wouldn couldn shouldn mustn needn
i'm i've i'd i'll you're you've you'd you'll he's he'd he'll she's she'd she'll it's it'd it'll we're we've we'd we'll
they're they've they'd they'll that's there's here's what's who's where's how's let's
ain't isn't aren't wasn't weren't don't doesn't didn't haven't hasn't hadn't won't wouldn't can't couldn't shouldn't
mustn't needn't shan't mightn't
"""
# One character each: particles, pronouns, the copula, negation.
_CHINESE = (
    "的地得了着过是在和与及或而但也都就还又很太最不没有无我你您他她它们这那哪谁吗呢吧啊呀嘛之其以于从向把被对为所将让"
)

STOP_WORDS = frozenset(_ENGLISH.split()) | frozenset(_CHINESE)
"""Lower-cased, with a straight apostrophe."""
