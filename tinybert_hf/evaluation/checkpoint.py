"""Measures a model in memory, or a checkpoint on disk, on labelled rows."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.label_names import are_generic
from tinybert_hf.data.settings import PROBLEM_TYPES, REGRESSION, SINGLE_LABEL, DataSettings
from tinybert_hf.data.tasks import TASKS, TaskData
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.distillation.capture import logits_of
from tinybert_hf.errors import DataError, TinyBertError
from tinybert_hf.evaluation.open_checkpoint import check_folder, open_config, open_model
from tinybert_hf.evaluation.task_metrics import metrics_of, task_metrics
from tinybert_hf.opening import (
    HEADS,
    QUESTION_ANSWERING,
    TEXT_CLASSIFICATION,
    check_batch,
    limits_of,
    task_of,
    with_fitting_settings,
)
from tinybert_hf.opening.input_limits import without_unread_segments

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel


def evaluate_model(
    model: "PreTrainedModel", dataset: "Dataset", processing_class: Any, problem_type: str, batch_size: int = 64
) -> dict[str, float]:
    """Measures a model on tokenized rows.

    Args:
        model: with a sequence classification head; it is left in the mode it was in, on its device.
        dataset: from a task's `tokenize`.
        processing_class: the tokenizer that pads.
        problem_type: as transformers calls it.
        batch_size: rows of one forward.

    Returns:
        The figures of `metrics_for`.
    """
    logits = predicted_logits(model, dataset, processing_class, batch_size)
    return metrics_of(logits, dataset, problem_type)


def predicted_logits(model: "PreTrainedModel", dataset: "Dataset", processing_class: Any, batch_size: int = 64) -> Any:
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
                said = _answers(model, output).float().cpu().numpy()
                logits.extend(
                    [one[real] for one, real in zip(said, _real(batch), strict=True)] if said.ndim == 3 else said
                )
                order.extend(rows)
    finally:
        model.train(was_training)
    if logits[0].ndim == 1:
        return np.stack(logits)[np.argsort(order)]
    return [logits[place] for place in np.argsort(order)]


def evaluate_checkpoint(
    path: str,
    settings: DataSettings,
    task: str | None = None,
    batch_size: int = 64,
    device: str | None = None,
) -> dict[str, float]:
    """Opens a checkpoint and measures it on the validation rows.

    Args:
        path: a folder, or an id on the Hub.
        settings: where the validation rows are.
        task: a name in `HEADS`; None: what the checkpoint was made for.
        batch_size: rows of one forward.
        device: where to run; None takes the GPU if there is one.

    Returns:
        The figures of `task_metrics`.

    Raises:
        DataError: the rows cannot be used, or their labels are not the model's.
        TinyBertError: the folder is no checkpoint of a trained model for such a task, or the task is unknown.
    """
    check_folder(path)
    if (task or task_of(open_config(path, "a model with a head"))) == TOKEN_CLASSIFICATION:
        from tinybert_hf.evaluation.token_checkpoint import evaluate_token_classifier

        found = evaluate_token_classifier(path, settings, batch_size=batch_size, device=device)
        return {name: value for name, value in found.items() if name not in ("notes", "warnings")}
    logits, rows, data = answered_rows(path, settings, task, batch_size, device)
    return task_metrics(logits, rows, data.validation, data.problem_type, data.label_names)


def answered_rows(
    path: str,
    settings: DataSettings,
    task: str | None = None,
    batch_size: int = 64,
    device: str | None = None,
) -> "tuple[Any, Dataset, TaskData]":
    """Opens a checkpoint and runs it over the validation rows; arguments and errors as for `evaluate_checkpoint`.

    Returns:
        The logits, the tokenized rows, and the rows that these were made from.
    """
    import torch

    if task is not None and task not in HEADS:
        raise TinyBertError(f"The task {task!r} is unknown; known are {', '.join(HEADS)}.")
    check_folder(path)
    task = task or task_of(open_config(path, HEADS[TEXT_CLASSIFICATION].kind))
    model, tokenizer = open_model(path, HEADS[task].auto_class, HEADS[task].kind)
    names, problem = None, None
    if task != QUESTION_ANSWERING:
        names = tuple(model.config.id2label[i] for i in range(model.config.num_labels))
        problem = _problem_type(model.config, settings)
    settings = replace(settings, problem_type=problem)
    try:
        data = TASKS[task].load(settings, need_train=False, label_names=names)
    except DataError as error:
        if problem == SINGLE_LABEL and are_generic(names or ()):
            raise DataError(f"{error} The model's labels have no names: see id2label in {path}/config.json.") from None
        raise
    assert data.validation is not None  # asked for above
    rows = TASKS[task].tokenize(data.validation, tokenizer, settings)
    model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return predicted_logits(model, rows, tokenizer, batch_size), rows, data


def _answers(model: Any, output: Any) -> Any:
    said = logits_of(output)
    if said is None:
        raise TinyBertError(f"{type(model).__name__} has no head, so it answers nothing that could be measured.")
    return said


def _real(batch: Any) -> Any:
    """Which tokens are no padding, (B, L)."""
    return batch["attention_mask"].bool().numpy()


def _batches(dataset: "Dataset", processing_class: Any, batch_size: int) -> Iterator[tuple[list[int], Any]]:
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
