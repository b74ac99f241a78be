"""TinyBERT's data augmentation: copies of a text with some of its words replaced.

Source:
    Jiao et al. 2020, TinyBERT, Algorithm 1.
"""

from tinybert_hf.data.augmentation.augmented_file import AugmentationReport, FileToAugment, dry_run, write_augmented
from tinybert_hf.data.augmentation.augmenter import Augmenter
from tinybert_hf.data.augmentation.models import (
    OpenedSource,
    check_predicts_words,
    open_masked_lm,
    open_source,
    predicts_words,
    source_of,
    words_from,
)
from tinybert_hf.data.augmentation.settings import ReplacementSettings

__all__ = [
    "AugmentationReport",
    "Augmenter",
    "FileToAugment",
    "OpenedSource",
    "ReplacementSettings",
    "check_predicts_words",
    "dry_run",
    "open_masked_lm",
    "open_source",
    "predicts_words",
    "source_of",
    "words_from",
    "write_augmented",
]
