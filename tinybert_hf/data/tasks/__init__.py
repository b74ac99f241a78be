"""The tasks by name."""

from tinybert_hf.data.tasks.base import Task, TaskData
from tinybert_hf.data.tasks.text_classification import TextClassificationTask

TASKS: dict[str, Task] = {"text-classification": TextClassificationTask()}

__all__ = ["TASKS", "Task", "TaskData", "TextClassificationTask"]
