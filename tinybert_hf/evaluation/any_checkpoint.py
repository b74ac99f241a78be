"""Measures whatever a folder holds: a classifier of texts or words, a model that answers, or a translator."""

from pathlib import Path
from typing import Any

from tinybert_hf.data.settings import DataSettings
from tinybert_hf.data.tasks import TaskData, tokenizing_notes
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.data.tasks.translation import TRANSLATION
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation.answer_file import check_answer_file, write_answers
from tinybert_hf.evaluation.answers import answer_metrics, find_answers
from tinybert_hf.evaluation.checkpoint import answered_rows
from tinybert_hf.evaluation.open_checkpoint import check_folder, open_config
from tinybert_hf.evaluation.task_metrics import task_metrics
from tinybert_hf.evaluation.token_checkpoint import evaluate_token_classifier
from tinybert_hf.evaluation.translation import evaluate_translation_checkpoint, translates
from tinybert_hf.evaluation.useless_figures import doubts_about
from tinybert_hf.opening import QUESTION_ANSWERING, task_of


def holds_translator(path: str) -> bool:
    """Whether a checkpoint is an encoder-decoder that writes text; its weights are not read.

    Args:
        path: a folder, or an id on the Hub.

    Raises:
        TinyBertError: there is no checkpoint, or its config.json cannot be read.
    """
    check_folder(path)
    return translates(open_config(path, "a text classifier or a translator"))


def task_of_checkpoint(path: str) -> str:
    """What an encoder was trained for, a name in `HEADS`; arguments and errors as for `holds_translator`."""
    check_folder(path)
    return task_of(open_config(path, "a text classifier or a translator"))


def evaluate_any_checkpoint(
    path: str,
    settings: DataSettings,
    *,
    batch_size: int = 64,
    beams: int = 1,
    target_language: str | None = None,
    device: str | None = None,
    predictions: str | Path | None = None,
) -> dict[str, Any]:
    """Opens a checkpoint and measures it on the validation rows.

    Args:
        path: a folder, or an id on the Hub.
        settings: where the validation rows are. A classifier reads text, label and, if named, the second text; a
            token classifier words and tags; a translator source and target.
        batch_size: rows of one batch.
        beams: width of a translator's search.
        target_language: of a translator; it chooses how BLEU cuts words. None looks at the references' script.
        device: where to run; None takes the GPU if there is one.
        predictions: of a model that answers questions: a file for its answers, see `write_answers`.

    Returns:
        For a classifier or a model that answers questions the figures of `task_metrics`, with `notes` on the rows (of
        a classifier of texts where there are any); for a translator those of `evaluate_translation` without the
        translations: numbers, the two signatures, and `notes`. `warnings` beside them where the figures say that the
        model knows nothing.

    Raises:
        DataError: the rows cannot be used, or their labels are not the model's.
        TinyBertError: it is no checkpoint of a trained classifier or translator.
    """
    if not holds_translator(path) and task_of_checkpoint(path) == QUESTION_ANSWERING:
        return _evaluate_answers(
            path, settings, None if predictions is None else Path(predictions), batch_size, device
        )
    if predictions is not None:
        raise TinyBertError(f"{path} answers no questions, and only their answers are written (--predictions).")
    if not holds_translator(path):
        if task_of_checkpoint(path) == TOKEN_CLASSIFICATION:
            return evaluate_token_classifier(path, settings, batch_size=batch_size, device=device)
        logits, rows, data = answered_rows(path, settings, None, batch_size, device)
        assert data.validation is not None  # they were answered
        figures = task_metrics(logits, rows, data.validation, data.problem_type, data.label_names)
        notes = {"notes": list(data.notes)} if data.notes else {}
        return figures | notes | doubts_about(figures, data)
    result = evaluate_translation_checkpoint(
        path, settings, target_language=target_language, beams=beams, batch_size=batch_size, device=device
    )
    figures = {name: value for name, value in result.items() if name != "hypotheses"}
    return figures | doubts_about(figures, TaskData(None, None, (), TRANSLATION))


def _evaluate_answers(
    path: str, settings: DataSettings, file: Path | None, batch_size: int, device: str | None
) -> dict[str, Any]:
    if file is not None:
        check_answer_file(file)
    logits, rows, data = answered_rows(path, settings, QUESTION_ANSWERING, batch_size, device)
    assert data.validation is not None  # they were answered
    found = find_answers(logits, rows, data.validation["context"])
    if file is not None:
        write_answers(file, found, data.validation)
    figures = answer_metrics(found, data.validation)
    return {**figures, "notes": [*data.notes, *tokenizing_notes(rows)], **doubts_about(figures, data)}
