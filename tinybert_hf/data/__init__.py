"""Raw rows -> model-ready rows."""

from tinybert_hf.data.demo import demo_sentiment, demo_sentiment_splits
from tinybert_hf.data.demo_translation import demo_translation, demo_translation_splits
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.data.tasks import (
    TASKS,
    Task,
    TaskData,
    TextClassificationTask,
    TranslationTask,
    tokenizing_notes,
)
from tinybert_hf.data.tokenizer import train_wordpiece_tokenizer
from tinybert_hf.data.translation_tokenizer import train_translation_tokenizer

__all__ = [
    "TASKS",
    "DataSettings",
    "Task",
    "TaskData",
    "TextClassificationTask",
    "TranslationTask",
    "demo_sentiment",
    "demo_sentiment_splits",
    "demo_translation",
    "demo_translation_splits",
    "tokenizing_notes",
    "train_translation_tokenizer",
    "train_wordpiece_tokenizer",
]
