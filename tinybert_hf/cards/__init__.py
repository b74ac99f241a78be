"""Model cards that write themselves: of a finished run's folder, and of a trainer."""

from tinybert_hf.cards.figures import eval_results_of, metrics_of
from tinybert_hf.cards.metadata import UNDETERMINED, UNKNOWN_LICENSE, CardSettings, fetch_card, values_of_card
from tinybert_hf.cards.parts import CARD_FILE, MARK, latency_in_words
from tinybert_hf.cards.run_card import card_of, write_card
from tinybert_hf.cards.trainer_card import trainer_card

__all__ = [
    "CARD_FILE",
    "MARK",
    "UNDETERMINED",
    "UNKNOWN_LICENSE",
    "CardSettings",
    "card_of",
    "eval_results_of",
    "fetch_card",
    "latency_in_words",
    "metrics_of",
    "trainer_card",
    "values_of_card",
    "write_card",
]
