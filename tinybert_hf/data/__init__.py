"""Raw rows -> model-ready rows; the tasks by name."""

from tinybert_hf.data.demo import demo_sentiment, demo_sentiment_splits
from tinybert_hf.data.demo_translation import demo_translation, demo_translation_splits
from tinybert_hf.data.question_answering import QuestionAnsweringTask
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.data.tasks import Task, TaskData, tokenizing_notes
from tinybert_hf.data.text_classification import TextClassificationTask
from tinybert_hf.data.token_classification import TokenClassificationTask
from tinybert_hf.data.tokenizers import train_translation_tokenizer, train_wordpiece_tokenizer
from tinybert_hf.data.translation import TranslationTask

TASKS: dict[str, Task] = {
    "text-classification": TextClassificationTask(),
    "token-classification": TokenClassificationTask(),
    "question-answering": QuestionAnsweringTask(),
    "translation": TranslationTask(),
}

__all__ = [
    "TASKS",
    "DataSettings",
    "QuestionAnsweringTask",
    "Task",
    "TaskData",
    "TextClassificationTask",
    "TokenClassificationTask",
    "TranslationTask",
    "demo_sentiment",
    "demo_sentiment_splits",
    "demo_translation",
    "demo_translation_splits",
    "tokenizing_notes",
    "train_translation_tokenizer",
    "train_wordpiece_tokenizer",
]
