"""The heads that an encoder can have: what opens them, and the TinyBERT that has the same."""

from dataclasses import dataclass
from typing import Any

from tinybert_hf.model import (
    TinyBertForQuestionAnswering,
    TinyBertForSequenceClassification,
    TinyBertForTokenClassification,
)

TEXT_CLASSIFICATION = "text-classification"
QUESTION_ANSWERING = "question-answering"


@dataclass(frozen=True)
class Head:
    """One kind of head.

    Attributes:
        auto_class: the class of transformers that opens any model with it.
        student_class: the TinyBERT with it.
        kind: such a model in a message, with its article.
    """

    auto_class: str
    student_class: Any
    kind: str

    @property
    def opener(self) -> Any:
        """The class of transformers that `auto_class` names."""
        import transformers

        return getattr(transformers, self.auto_class)


# By task; the names are those of transformers' pipelines.
HEADS = {
    TEXT_CLASSIFICATION: Head(
        "AutoModelForSequenceClassification", TinyBertForSequenceClassification, "a text classifier"
    ),
    "token-classification": Head(
        "AutoModelForTokenClassification", TinyBertForTokenClassification, "a token classifier"
    ),
    QUESTION_ANSWERING: Head(
        "AutoModelForQuestionAnswering", TinyBertForQuestionAnswering, "a model that answers questions"
    ),
}


def task_of(config: Any) -> str:
    """The task of a saved model, by the class that its configuration names; without one, text classification.

    Args:
        config: a configuration of transformers.
    """
    names = config.architectures or ()
    for task, head in HEADS.items():
        if any(name.endswith(head.auto_class.removeprefix("AutoModel")) for name in names):
            return task
    return TEXT_CLASSIFICATION
