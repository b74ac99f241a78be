"""Measures a saved token classifier."""

from typing import Any

from tinybert_hf.data.bio import marks_entities
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.data.tasks import TASKS, tokenizing_notes
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.evaluation.checkpoint import predicted_logits
from tinybert_hf.evaluation.open_checkpoint import check_folder, open_model
from tinybert_hf.evaluation.task_metrics import task_metrics
from tinybert_hf.evaluation.token_scores import check_can_count
from tinybert_hf.evaluation.useless_figures import doubts_about
from tinybert_hf.opening import HEADS


def evaluate_token_classifier(
    path: str, settings: DataSettings, *, batch_size: int = 64, device: str | None = None
) -> dict[str, Any]:
    """Opens a token classifier and measures it on every word of the validation rows.

    Args:
        path: a folder, or an id on the Hub.
        settings: where the validation rows are.
        batch_size: windows of one forward.
        device: where to run; None takes the GPU if there is one.

    Returns:
        The figures of `token_scores`, and `notes`: what is odd about the rows, a sentence each. `warnings` where the
        figures say that the model knows nothing.

    Raises:
        DataError: the rows cannot be used, or their tags are not the model's.
        TinyBertError: the folder is no checkpoint of a trained token classifier.
    """
    import torch

    task, head = TASKS[TOKEN_CLASSIFICATION], HEADS[TOKEN_CLASSIFICATION]
    check_folder(path)
    model, tokenizer = open_model(path, head.auto_class, head.kind)
    names = tuple(str(model.config.id2label[index]) for index in range(model.config.num_labels))
    data = task.load(settings, need_train=False, label_names=names)
    assert data.validation is not None  # asked for above
    check_can_count(entities=marks_entities(names))
    rows = task.tokenize(data.validation, tokenizer, settings)
    model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    logits = predicted_logits(model, rows, tokenizer, batch_size)
    figures = task_metrics(logits, rows, data.validation, data.problem_type, data.label_names)
    return {**figures, "notes": [*data.notes, *tokenizing_notes(rows)], **doubts_about(figures, data)}
