"""The tasks by name."""

from tinybert_hf.data.tasks.base import Task, TaskData, tokenizing_notes
from tinybert_hf.data.tasks.question_answering import QuestionAnsweringTask
from tinybert_hf.data.tasks.text_classification import TextClassificationTask
from tinybert_hf.data.tasks.translation import TranslationTask

TASKS: dict[str, Task] = {
    "text-classification": TextClassificationTask(),
    "translation": TranslationTask(),
    "question-answering": QuestionAnsweringTask(),
}

__all__ = [
    "TASKS",
    "QuestionAnsweringTask",
    "Task",
    "TaskData",
    "TextClassificationTask",
    "TranslationTask",
    "tokenizing_notes",
]
