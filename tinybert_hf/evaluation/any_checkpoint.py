"""Measures whatever a folder holds: a classifier of texts or words, or a translator."""

from typing import Any

from tinybert_hf.data.settings import DataSettings
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.evaluation.checkpoint import evaluate_checkpoint
from tinybert_hf.evaluation.open_checkpoint import check_folder, open_config
from tinybert_hf.evaluation.token_checkpoint import evaluate_token_classifier
from tinybert_hf.evaluation.translation import evaluate_translation_checkpoint, translates
from tinybert_hf.opening import HEADS


def holds_translator(path: str) -> bool:
    """Whether a checkpoint is an encoder-decoder that writes text; its weights are not read.

    Args:
        path: a folder, or an id on the Hub.

    Raises:
        TinyBertError: there is no checkpoint, or its config.json cannot be read.
    """
    check_folder(path)
    return translates(open_config(path, "a text classifier or a translator"))


def head_of(path: str) -> str | None:
    """The task of a checkpoint's head, as config.json names it; None where it names none that is known.

    Args:
        path: a folder, or an id on the Hub.

    Raises:
        TinyBertError: there is no checkpoint, or its config.json cannot be read.
    """
    check_folder(path)
    config = open_config(path, "a model with a head")
    name = str((getattr(config, "architectures", None) or [""])[0])
    ends = {head.auto_class.removeprefix("AutoModel"): task for task, head in HEADS.items()}
    return next((task for end, task in ends.items() if name.endswith(end)), None)


def evaluate_any_checkpoint(
    path: str,
    settings: DataSettings,
    *,
    batch_size: int = 64,
    beams: int = 1,
    target_language: str | None = None,
    device: str | None = None,
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

    Returns:
        For a classifier the figures of `metrics_for`; for a token classifier those of `token_scores`, and `notes`; for
        a translator those of `evaluate_translation` without the translations: numbers, the two signatures and `notes`.

    Raises:
        DataError: the rows cannot be used, or their labels are not the model's.
        TinyBertError: it is no checkpoint of a trained classifier or translator.
    """
    if not holds_translator(path):
        if head_of(path) == TOKEN_CLASSIFICATION:
            return evaluate_token_classifier(path, settings, batch_size=batch_size, device=device)
        return dict(evaluate_checkpoint(path, settings, batch_size=batch_size, device=device))
    result = evaluate_translation_checkpoint(
        path, settings, target_language=target_language, beams=beams, batch_size=batch_size, device=device
    )
    return {name: value for name, value in result.items() if name != "hypotheses"}
