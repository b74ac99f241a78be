"""Raw rows -> model-ready rows."""

from tinybert_hf.data.demo import demo_sentiment, demo_sentiment_splits
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.data.tasks import TASKS, Task, TaskData, TextClassificationTask
from tinybert_hf.data.tokenizer import train_wordpiece_tokenizer

__all__ = [
    "TASKS",
    "DataSettings",
    "Task",
    "TaskData",
    "TextClassificationTask",
    "demo_sentiment",
    "demo_sentiment_splits",
    "train_wordpiece_tokenizer",
]
