"""The Hub: an upload in one commit."""

from tinybert_hf.hub.upload import Pushed, push

__all__ = ["Pushed", "push"]
