"""Model cards that write themselves: of a finished run's folder, and of a trainer."""

from tinybert_hf.cards.figures import eval_results_of, metrics_of
from tinybert_hf.cards.parts import CARD_FILE, MARK
from tinybert_hf.cards.run_card import card_of
from tinybert_hf.cards.trainer_card import trainer_card

__all__ = ["CARD_FILE", "MARK", "card_of", "eval_results_of", "metrics_of", "trainer_card"]
