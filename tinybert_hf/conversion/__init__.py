"""Checkpoints of other makers become TinyBERTs: the published ones, and any that is built like BERT."""

from tinybert_hf.conversion.checkpoint import HEADS, Conversion, convert_checkpoint, read_checkpoint

__all__ = ["HEADS", "Conversion", "convert_checkpoint", "read_checkpoint"]
