"""The tasks by name."""

from tinybert_hf.data.tasks.base import Task, TaskData, tokenizing_notes
from tinybert_hf.data.tasks.text_classification import TextClassificationTask
from tinybert_hf.data.tasks.translation import TranslationTask

TASKS: dict[str, Task] = {"text-classification": TextClassificationTask(), "translation": TranslationTask()}

__all__ = ["TASKS", "Task", "TaskData", "TextClassificationTask", "TranslationTask", "tokenizing_notes"]
