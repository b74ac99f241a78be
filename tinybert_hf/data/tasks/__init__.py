"""The tasks by name."""

from tinybert_hf.data.tasks.base import Task, TaskData, tokenizing_notes
from tinybert_hf.data.tasks.question_answering import QuestionAnsweringTask
from tinybert_hf.data.tasks.text_classification import TextClassificationTask
from tinybert_hf.data.tasks.token_classification import TokenClassificationTask
from tinybert_hf.data.tasks.translation import TranslationTask

TASKS: dict[str, Task] = {
    "text-classification": TextClassificationTask(),
    "token-classification": TokenClassificationTask(),
    "question-answering": QuestionAnsweringTask(),
    "translation": TranslationTask(),
}

__all__ = [
    "TASKS",
    "QuestionAnsweringTask",
    "Task",
    "TaskData",
    "TextClassificationTask",
    "TokenClassificationTask",
    "TranslationTask",
    "tokenizing_notes",
]
