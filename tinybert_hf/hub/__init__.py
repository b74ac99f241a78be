"""The Hub: a model card that writes itself, and an upload in one commit."""

from tinybert_hf.hub.card import card_of
from tinybert_hf.hub.upload import Pushed, push

__all__ = ["Pushed", "card_of", "push"]
