"""Measures a model in memory or whatever a folder holds, on labelled rows; and answers questions about a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints import (
    Checkpoint,
    check_batch,
    fit_tokenizer,
    limits_of,
    usual_device,
    with_fitting_settings,
)
from tinybert_hf.checkpoints.input_limits import without_unread_segments
from tinybert_hf.data import TaskData, tokenizing_notes
from tinybert_hf.data.label_values import are_generic
from tinybert_hf.data.settings import PROBLEM_TYPES, REGRESSION, SINGLE_LABEL, DataSettings
from tinybert_hf.distillation.capturing import logits_of
from tinybert_hf.errors import DataError, TinyBertError
from tinybert_hf.evaluation.metrics import check_can_count, doubts_about, metrics_of, task_metrics
from tinybert_hf.evaluation.question_answering import (
    FoundAnswer,
    check_answer_file,
    chosen_texts,
    find_answers,
    write_answers,
)
from tinybert_hf.evaluation.translation import evaluate_translation_checkpoint
from tinybert_hf.tasks import HEADS, QUESTION_ANSWERING, TASKS, TEXT_CLASSIFICATION, TRANSLATION, task_of

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel


# Measures a model in memory, or a checkpoint on disk, on labelled rows.


def evaluate_model(
    model: PreTrainedModel, dataset: Dataset, processing_class: Any, problem_type: str, batch_size: int = 64
) -> dict[str, float]:
    """Measures a model on tokenized rows.

    Args:
        model: with a sequence classification head; it is left in the mode it was in, on its device.
        dataset: from a task's `tokenize`.
        processing_class: the tokenizer that pads.
        problem_type: as transformers calls it.
        batch_size: rows of one forward.

    Returns:
        The metrics of `metrics_for`.
    """
    logits = predicted_logits(model, dataset, processing_class, batch_size)
    return metrics_of(logits, dataset, problem_type)


def predicted_logits(model: PreTrainedModel, dataset: Dataset, processing_class: Any, batch_size: int = 64) -> Any:
    """Runs a model over tokenized rows.

    Rows are sorted by length and padded to the longest of their batch, so little is spent on padding. They are padded
    on the side that the model does not look at, so that the batch size changes no answer.

    Args:
        model: with a head; it is left in the mode it was in, on its device.
        dataset: from a task's `tokenize`.
        processing_class: the tokenizer that pads.
        batch_size: rows of one forward.

    Returns:
        An array (rows, labels), in the order of the rows. Of a model that answers at each token a list of arrays
        (tokens of the row, labels), without the padding; of one that answers questions the two labels are start and
        end.

    Raises:
        DataError: rows with tokens, positions or segments that the model does not have.
    """
    import numpy as np
    import torch

    order: list[int] = []
    logits: list[Any] = []  # one a row
    was_training = model.training
    model.eval()
    limits = limits_of(model)
    padding = with_fitting_settings(processing_class, limits)
    try:
        with torch.inference_mode():
            for rows, batch in _batches(dataset, padding, batch_size):
                check_batch(limits, batch, f"The {type(model).__name__}", DataError)
                taken = without_unread_segments(model, batch)
                output = model(**{name: tensor.to(model.device) for name, tensor in taken.items()})
                answers = _answers(model, output).float().cpu().numpy()
                logits.extend(
                    [one[real] for one, real in zip(answers, _real(batch), strict=True)]
                    if answers.ndim == 3
                    else answers
                )
                order.extend(rows)
    finally:
        model.train(was_training)
    if logits[0].ndim == 1:
        return np.stack(logits)[np.argsort(order)]
    return [logits[place] for place in np.argsort(order)]


def evaluate_checkpoint(
    path: str | Checkpoint,
    settings: DataSettings,
    task: str | None = None,
    batch_size: int = 64,
    device: str | None = None,
) -> dict[str, float]:
    """Opens a checkpoint and measures it on the validation rows.

    Args:
        path: a folder, an id on the Hub, or a checkpoint that was opened.
        settings: where the validation rows are.
        task: a name in `HEADS`; None: what the checkpoint was made for.
        batch_size: rows of one forward.
        device: where to run; None takes the GPU if there is one.

    Returns:
        The metrics of `task_metrics`.

    Raises:
        DataError: the rows cannot be used, or their labels are not the model's.
        TinyBertError: the folder is no checkpoint of a trained model for such a task, or the task is unknown.
    """
    logits, rows, data = answered_rows(path, settings, task, batch_size, device)
    return task_metrics(logits, rows, data.part("validation"), data)


def answered_rows(
    path: str | Checkpoint,
    settings: DataSettings,
    task: str | None = None,
    batch_size: int = 64,
    device: str | None = None,
) -> tuple[Any, Dataset, TaskData]:
    """Opens a checkpoint and runs it over the validation rows; arguments and errors as for `evaluate_checkpoint`.

    Returns:
        The logits, the tokenized rows, and the rows that these were made from.
    """

    if task is not None and task not in HEADS:
        raise TinyBertError(f"The task {task!r} is unknown; known are {', '.join(HEADS)}.")
    checkpoint = Checkpoint.of(path, HEADS[task or TEXT_CLASSIFICATION].kind)
    spec = HEADS[task or task_of(checkpoint.config)]
    model, tokenizer = checkpoint.open_head(spec.name)
    names, problem = None, None
    if spec.named_labels:
        names = tuple(str(model.config.id2label[i]) for i in range(model.config.num_labels))
    if "problem_type" in spec.columns:
        problem = _problem_type(model.config, settings)
    settings = replace(settings, problem_type=problem)
    try:
        data = spec.task.load(settings, need_train=False, label_names=names)
    except DataError as error:
        if problem == SINGLE_LABEL and are_generic(names or ()):
            raise DataError(
                f"{error} The model's labels have no names: see id2label in {checkpoint.path}/config.json."
            ) from None
        raise
    check_can_count(data.problem_type, names or ())
    rows = spec.task.tokenize(data.part("validation"), tokenizer, settings)
    model.to(device or usual_device())
    return predicted_logits(model, rows, tokenizer, batch_size), rows, data


def _answers(model: Any, output: Any) -> Any:
    logits = logits_of(output)
    if logits is None:
        raise TinyBertError(f"{type(model).__name__} has no head, so it answers nothing that could be measured.")
    return logits


def _real(batch: Any) -> Any:
    """Which tokens are no padding, (B, L)."""
    return batch["attention_mask"].bool().numpy()


def _batches(dataset: Dataset, processing_class: Any, batch_size: int) -> Iterator[tuple[list[int], Any]]:
    inputs = [name for name in processing_class.model_input_names if name in dataset.column_names]
    columns = {name: list(dataset[name]) for name in inputs}
    lengths = [len(ids) for ids in columns[inputs[0]]]
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = {name: [values[row] for row in rows] for name, values in columns.items()}
        yield rows, processing_class.pad(batch, padding=True, return_tensors="pt")


def _problem_type(config: Any, settings: DataSettings) -> str:
    """The model's own problem; the settings may only speak where the model is silent."""
    own: str | None = config.problem_type or (REGRESSION if config.num_labels == 1 else None)
    if own and own not in PROBLEM_TYPES:
        raise TinyBertError(
            f"config.json of the model: problem_type is {own!r:.60}; known are {', '.join(PROBLEM_TYPES)}."
        )
    if own and settings.problem_type and own != settings.problem_type:
        raise TinyBertError(f"The model was trained for {own}, but problem_type is {settings.problem_type}.")
    return own or settings.problem_type or SINGLE_LABEL


# Measures whatever a folder holds: a classifier of texts or words, a model that answers, or a translator.

_ANY = "a text classifier or a translator"


def holds_translator(path: str | Checkpoint) -> bool:
    """Whether a checkpoint is an encoder-decoder that writes text; its weights are not read.

    Args:
        path: a folder, an id on the Hub, or a checkpoint that was opened.

    Raises:
        TinyBertError: there is no checkpoint, or its config.json cannot be read.
    """
    return Checkpoint.of(path, _ANY).is_translator


def task_of_checkpoint(path: str | Checkpoint) -> str:
    """What an encoder was trained for, a name in `HEADS`; arguments and errors as for `holds_translator`."""
    return task_of(Checkpoint.of(path, _ANY).config)


def evaluate_any_checkpoint(
    path: str | Checkpoint,
    settings: DataSettings,
    *,
    batch_size: int = 64,
    num_beams: int = 1,
    target_language: str | None = None,
    device: str | None = None,
    predictions: str | Path | None = None,
) -> dict[str, Any]:
    """Opens a checkpoint and measures it on the validation rows.

    Args:
        path: a folder, an id on the Hub, or a checkpoint that was opened.
        settings: where the validation rows are. A classifier reads text, label and, if named, the second text; a
            token classifier words and tags; a translator source and target.
        batch_size: rows of one batch.
        num_beams: width of a translator's search.
        target_language: of a translator; it chooses how BLEU cuts words. None looks at the references' script.
        device: where to run; None takes the GPU if there is one.
        predictions: of a model that answers questions: a file for its answers, see `write_answers`.

    Returns:
        For a classifier or a model that answers questions the metrics of `task_metrics`, with `notes` on the rows
        where there are any; for a translator those of `evaluate_translation` without the
        translations: numbers, the two signatures, and `notes`. `warnings` beside them where the metrics say that the
        model knows nothing.

    Raises:
        DataError: the rows cannot be used, or their labels are not the model's.
        TinyBertError: it is no checkpoint of a trained classifier or translator.
    """
    checkpoint = Checkpoint.of(path, _ANY)
    file = None if predictions is None else Path(predictions)
    if file is not None:
        if checkpoint.task != QUESTION_ANSWERING:
            raise TinyBertError(
                f"{checkpoint.path} answers no questions, and only their answers are written (--predictions)."
            )
        check_answer_file(file)
    if checkpoint.is_translator:
        result = evaluate_translation_checkpoint(
            checkpoint,
            settings,
            target_language=target_language,
            num_beams=num_beams,
            batch_size=batch_size,
            device=device,
        )
        metrics: dict[str, Any] = {name: value for name, value in result.items() if name != "hypotheses"}
        return metrics | doubts_about(metrics, TaskData(None, None, (), TRANSLATION))
    logits, rows, data = answered_rows(checkpoint, settings, None, batch_size, device)
    raw = data.part("validation")
    if file is not None:
        write_answers(file, find_answers(logits, rows, raw["context"]), raw)
    metrics = task_metrics(logits, rows, raw, data)
    notes = [*data.notes, *tokenizing_notes(rows)]
    return {**metrics, **({"notes": notes} if notes else {}), **doubts_about(metrics, data)}


# Answers to questions about a text: transformers has no pipeline for that any more.


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
        max_length: int = TASKS[QUESTION_ANSWERING].max_length or 0,
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

        if isinstance(model, str):
            opened, tokenizer = Checkpoint.read(model, HEADS[QUESTION_ANSWERING].kind).open_head(QUESTION_ANSWERING)
            opened.to(device or usual_device())
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
                windows = TASKS[QUESTION_ANSWERING].task.tokenize(
                    Dataset.from_dict(rows), self.tokenizer, self._settings
                )
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
