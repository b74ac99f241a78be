"""Measures a model in memory, or a checkpoint on disk, on labelled rows."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.settings import REGRESSION, SINGLE_LABEL, DataSettings
from tinybert_hf.data.tasks import TASKS
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation.metrics import metrics_for

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel


def evaluate_model(
    model: "PreTrainedModel", dataset: "Dataset", processing_class: Any, problem_type: str, batch_size: int = 64
) -> dict[str, float]:
    """Runs a model over tokenized rows.

    Rows are sorted by length and padded to the longest of their batch, so little is spent on padding.

    Args:
        model: with a sequence classification head; it is left in the mode it was in, on its device.
        dataset: from a task's `tokenize`.
        processing_class: the tokenizer that pads.
        problem_type: as transformers calls it.
        batch_size: rows of one forward.

    Returns:
        The figures of `metrics_for`.
    """
    import numpy as np
    import torch
    from transformers import EvalPrediction

    order: list[int] = []
    logits: list[Any] = []
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for rows, batch in _batches(dataset, processing_class, batch_size):
                output = model(**{name: tensor.to(model.device) for name, tensor in batch.items()})
                logits.append(output.logits.float().cpu().numpy())
                order.extend(rows)
    finally:
        model.train(was_training)
    labels = np.asarray(list(dataset["labels"]))[order]
    outcome = EvalPrediction(predictions=np.concatenate(logits), label_ids=labels)
    return metrics_for(problem_type, model.config.num_labels)(outcome)


def evaluate_checkpoint(
    path: str,
    settings: DataSettings,
    task: str = "text-classification",
    batch_size: int = 64,
    device: str | None = None,
) -> dict[str, float]:
    """Opens a checkpoint and measures it on the validation rows.

    Args:
        path: a folder, or an id on the Hub.
        settings: where the validation rows are.
        task: a name in `TASKS`.
        batch_size: rows of one forward.
        device: where to run; None takes the GPU if there is one.

    Returns:
        The figures of `metrics_for`.

    Raises:
        DataError: the rows cannot be used, or their labels are not the model's.
        TinyBertError: the folder is no checkpoint of a trained classifier, or the task is unknown.
    """
    import torch

    if task not in TASKS:
        raise TinyBertError(f"The task {task!r} is unknown; known are {', '.join(TASKS)}.")
    _check_folder(path)
    model, tokenizer = _open(path)
    problem = _problem_type(model.config, settings)
    names = tuple(model.config.id2label[i] for i in range(model.config.num_labels))
    positions = getattr(model.config, "max_position_embeddings", settings.max_length)
    settings = replace(settings, problem_type=problem, max_length=min(settings.max_length, positions))
    data = TASKS[task].load(settings, need_train=False, label_names=names)
    assert data.validation is not None  # asked for above
    rows = TASKS[task].tokenize(data.validation, tokenizer, settings)
    model.to(torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")))
    return evaluate_model(model, rows, tokenizer, problem, batch_size)


def _batches(dataset: "Dataset", processing_class: Any, batch_size: int) -> Iterator[tuple[list[int], Any]]:
    inputs = [name for name in processing_class.model_input_names if name in dataset.column_names]
    columns = {name: list(dataset[name]) for name in inputs}
    lengths = [len(ids) for ids in columns[inputs[0]]]
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = {name: [values[row] for row in rows] for name, values in columns.items()}
        yield rows, processing_class.pad(batch, padding=True, return_tensors="pt")


def _check_folder(path: str) -> None:
    folder = Path(path)
    if not folder.exists():
        if path.startswith((".", "/", "~")) or path.count("/") > 1 or "/" not in path:
            raise TinyBertError(f"{path} does not exist (looked from {Path.cwd()}). Give the folder of a saved model.")
        return  # it may be an id on the Hub
    if folder.is_file():
        raise TinyBertError(f"{path} is a file. Give the folder that holds config.json and the weights.")
    if not (folder / "config.json").is_file():
        inside = sorted(item.name for item in folder.iterdir())[:8]
        checkpoints = [name for name in inside if (folder / name / "config.json").is_file()]
        hint = f" Did you mean {folder / checkpoints[-1]}?" if checkpoints else ""
        raise TinyBertError(
            f"{path} is not a checkpoint: it has no config.json. It holds: {', '.join(inside) or 'nothing'}.{hint}"
        )


def _open(path: str) -> tuple[Any, Any]:
    """Opens model and tokenizer, and refuses a model whose head would be random."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    import tinybert_hf  # noqa: F401  # registers the family with the Auto classes

    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(path, output_loading_info=True)
        tokenizer = AutoTokenizer.from_pretrained(path)
    except Exception as error:  # transformers, safetensors and the Hub raise many kinds for a folder that does not fit
        reason = " ".join(str(error).split())
        raise TinyBertError(
            f"{path} cannot be opened as a text classifier: {type(error).__name__}: {reason:.400}"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise TinyBertError(
            f"{path} was not trained as a text classifier: its weights lack {', '.join(missing[:5])}"
            f"{' and more' if len(missing) > 5 else ''}, which would be random. Fine-tune or distil it first."
        )
    return model, tokenizer


def _problem_type(config: Any, settings: DataSettings) -> str:
    """The model's own problem; the settings may only speak where the model is silent."""
    own: str | None = config.problem_type or (REGRESSION if config.num_labels == 1 else None)
    if own and settings.problem_type and own != settings.problem_type:
        raise TinyBertError(f"The model was trained for {own}, but problem_type is {settings.problem_type}.")
    return own or settings.problem_type or SINGLE_LABEL
