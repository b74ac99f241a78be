"""Raw rows -> model-ready rows; the tasks by name."""

from typing import TYPE_CHECKING, Any

from tinybert_hf.lazy_names import names_of_modules

if TYPE_CHECKING:
    from tinybert_hf.data.demo import demo_sentiment, demo_sentiment_splits
    from tinybert_hf.data.demo_translation import demo_translation_splits
    from tinybert_hf.data.question_answering import QuestionAnsweringTask
    from tinybert_hf.data.settings import DataSettings
    from tinybert_hf.data.tasks import Task, TaskData, tokenizing_notes
    from tinybert_hf.data.text_classification import TextClassificationTask
    from tinybert_hf.data.token_classification import TokenClassificationTask
    from tinybert_hf.data.tokenizers import train_translation_tokenizer, train_wordpiece_tokenizer
    from tinybert_hf.data.translation import TranslationTask

    TASKS: dict[str, Task]

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
    "demo_translation_splits",
    "tokenizing_notes",
    "train_translation_tokenizer",
    "train_wordpiece_tokenizer",
]

# Late, so that the command line can look at settings without reading the rest.
_get, __dir__ = names_of_modules(
    __name__,
    {
        "demo": ("demo_sentiment", "demo_sentiment_splits"),
        "demo_translation": ("demo_translation_splits",),
        "question_answering": ("QuestionAnsweringTask",),
        "settings": ("DataSettings",),
        "tasks": ("Task", "TaskData", "tokenizing_notes"),
        "text_classification": ("TextClassificationTask",),
        "token_classification": ("TokenClassificationTask",),
        "tokenizers": ("train_translation_tokenizer", "train_wordpiece_tokenizer"),
        "translation": ("TranslationTask",),
    },
)


def __getattr__(name: str) -> Any:
    if name == "TASKS":
        from tinybert_hf import tasks

        globals()[name] = {task: spec.task for task, spec in tasks.TASKS.items() if spec.rows}
        return globals()[name]
    return _get(name)
