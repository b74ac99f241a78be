"""Answers to questions about a text: transformers has no pipeline for that any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.settings import QUESTION_ANSWERING, QUESTION_ANSWERING_LENGTH, DataSettings
from tinybert_hf.data.tasks import TASKS
from tinybert_hf.errors import DataError, TinyBertError
from tinybert_hf.evaluation.answers import FoundAnswer, chosen_texts, find_answers
from tinybert_hf.evaluation.checkpoint import predicted_logits
from tinybert_hf.evaluation.open_checkpoint import check_folder, open_model
from tinybert_hf.opening import HEADS, fit_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class QuestionAnswerer:
    """A model that finds answers in texts of any length.

    Example:
        `QuestionAnswerer("out")("When did the storm begin?", text)["answer"]`

    Attributes:
        model: in eval mode, on its device.
        tokenizer: of the model, with settings that fit it.
    """

    def __init__(
        self,
        model: str | PreTrainedModel,
        tokenizer: Any = None,
        *,
        max_length: int = QUESTION_ANSWERING_LENGTH,
        doc_stride: int | None = None,
        may_refuse: bool = False,
        device: str | None = None,
    ) -> None:
        """Open a model.

        Args:
            model: a folder, an id on the Hub, or a model itself, with its tokenizer.
            tokenizer: of a model that is given itself.
            max_length: tokens of a window, the question included; fewer where the model reads fewer.
            doc_stride: tokens of the text that neighbouring windows share; None: a third of max_length.
            may_refuse: the model was trained with questions that have no answer, so it may say so.
            device: None takes the GPU if there is one.

        Raises:
            TinyBertError: it is no model that answers questions, or the tokenizer has tokens that it does not embed.
        """
        import torch

        if isinstance(model, str):
            check_folder(model)
            head = HEADS[QUESTION_ANSWERING]
            opened, tokenizer = open_model(model, head.auto_class, head.kind)
            opened.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        else:
            opened = model
        if tokenizer is None:
            raise TinyBertError("Give the tokenizer of the model, or the folder that holds both.")
        self.model, self.may_refuse = opened.eval(), may_refuse
        self.tokenizer = fit_tokenizer(tokenizer, opened, type(opened).__name__)
        self._settings = DataSettings(max_length=max_length, doc_stride=doc_stride)

    def __call__(self, question: str, context: str) -> dict[str, Any]:
        """One answer; see `answers`."""
        return self.answers([question], [context])[0]

    def answers(
        self, questions: Sequence[str], contexts: Sequence[str], *, batch_size: int = 32
    ) -> list[dict[str, Any]]:
        """The answer to each question.

        Args:
            questions: as many as contexts.
            contexts: the text of each question, of any length.
            batch_size: windows of one forward.

        Returns:
            `answer`, its first character `start` and the one after its last, `end`, in the context; `score`, the sum
            of its two logits, and `no_answer_score`, the same of the token that says that there is none. The answer
            is empty where `may_refuse` is set and the second is higher, or where the context has no words.

        Raises:
            DataError: another number of questions than of contexts, or something that is no text.
        """
        from datasets import Dataset, disable_progress_bars, enable_progress_bars
        from datasets.utils import are_progress_bars_disabled

        if len(questions) != len(contexts):
            raise DataError(f"There are {len(questions)} questions and {len(contexts)} contexts: give one for each.")
        for text in (*questions, *contexts):
            if not isinstance(text, str):
                raise DataError(f"{text!r:.60} is no text: questions and contexts are strings.")
        readable = [number for number, context in enumerate(contexts) if context.strip()]
        found = [FoundAnswer()] * len(questions)
        if readable:
            texts = [contexts[number] for number in readable]
            rows = {"question": [questions[number] for number in readable], "context": texts}
            rows["answers"] = [{"text": [], "answer_start": []}] * len(readable)  # type: ignore[list-item]
            shown = not are_progress_bars_disabled()
            disable_progress_bars()
            try:
                windows = TASKS[QUESTION_ANSWERING].tokenize(Dataset.from_dict(rows), self.tokenizer, self._settings)
            finally:
                if shown:
                    enable_progress_bars()
            logits = predicted_logits(self.model, windows, self.tokenizer, batch_size)
            for number, one in zip(readable, find_answers(logits, windows, texts), strict=True):
                found[number] = one
        chosen = chosen_texts(found, may_be_none=self.may_refuse)
        return [_answer(text, one) for text, one in zip(chosen, found, strict=True)]


def _answer(text: str, one: FoundAnswer) -> dict[str, Any]:
    place = {"start": one.start, "end": one.end} if text else {"start": 0, "end": 0}
    return {"answer": text, **place, "score": one.score, "no_answer_score": one.no_answer_score}
