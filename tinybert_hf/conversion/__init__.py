"""Checkpoints of other makers become TinyBERTs: the published ones, and any that is built like BERT."""

from typing import TYPE_CHECKING

from tinybert_hf.lazy_names import lazy_names

if TYPE_CHECKING:
    from tinybert_hf.conversion.published import HEADS, Conversion, convert_checkpoint, read_checkpoint

__all__ = ["HEADS", "Conversion", "convert_checkpoint", "read_checkpoint"]

# Late, so that the command line can look at the formats of an export before torch is loaded.
__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "tinybert_hf.conversion.published"))
