"""Measures a translator in memory, or a checkpoint on disk, against reference translations."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.generation import Translations, decoder_start_token, translate_texts
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.data.tasks import TASKS
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation.open_checkpoint import check_folder, open_config, open_model
from tinybert_hf.evaluation.translation_scores import (
    TranslationScores,
    check_lengths,
    translation_scores,
    why_bleu_is_zero,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_KIND = "a translator"
# Heads that some encoder-decoders have besides the one that writes text. Such a checkpoint often opens as a translator
# without a missing weight, because the output layer is tied to the embeddings.
_OTHER_HEADS = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")


class TranslationResult(TranslationScores):
    """How good translations are, and how fast they came.

    Attributes:
        sentences_per_second: tokenizing and decoding included.
        cut_off: translations that the limit of tokens ended, because the model did not.
        truncated: sources that are longer than the model can read.
        notes: what a reader of the scores should know, a sentence each.
        hypotheses: the translations, in the order of the sources.
    """

    sentences_per_second: float
    cut_off: int
    truncated: int
    notes: list[str]
    hypotheses: list[str]


def evaluate_translation(
    model: "PreTrainedModel",
    tokenizer: Any,
    sources: Sequence[str],
    references: Sequence[str],
    *,
    target_language: str | None = None,
    beams: int = 1,
    batch_size: int = 32,
    max_new_tokens: int | None = None,
    prefix: str = "",
    progress: Callable[[int], None] | None = None,
) -> TranslationResult:
    """Translates the sources and scores the translations.

    Args:
        model: any AutoModelForSeq2SeqLM; it is left in the mode it was in, on its device.
        tokenizer: of the model; a multilingual one with its languages set.
        sources: texts to translate.
        references: a translation of each, detokenized.
        target_language: name or code; it chooses how BLEU cuts words. None looks at the references' script.
        beams: width of the search; 1 is greedy.
        batch_size: texts of one batch.
        max_new_tokens: as in `translate_texts`.
        prefix: put before each source, where the model wants that.
        progress: called after each batch with the number of its texts.

    Returns:
        The scores with their signatures, the speed, and the translations.

    Raises:
        DataError: there are no sources, or not as many references.
        TeacherError: the model does not translate, or the tokenizer is another model's.
    """
    check_lengths(sources=sources, references=references)
    translations = translate_texts(
        model,
        tokenizer,
        sources,
        batch_size=batch_size,
        beams=beams,
        max_new_tokens=max_new_tokens,
        prefix=prefix,
        progress=progress,
    )
    too_short = why_bleu_is_zero(translations.best, references, target_language)
    return {
        **translation_scores(translations.best, references, target_language),
        "sentences_per_second": len(sources) / translations.seconds,
        "cut_off": translations.cut_off_count,
        "truncated": translations.truncated_count,
        "notes": [*_notes(translations), *([] if too_short is None else [too_short])],
        "hypotheses": translations.best,
    }


def evaluate_translation_checkpoint(
    path: str,
    settings: DataSettings,
    *,
    target_language: str | None = None,
    beams: int = 1,
    batch_size: int = 32,
    device: str | None = None,
) -> TranslationResult:
    """Opens a translator and measures it on the validation rows.

    Args:
        path: a folder, or an id on the Hub.
        settings: where the validation rows are, and what their columns are called.
        target_language: as in `evaluate_translation`.
        beams: width of the search.
        batch_size: texts of one batch.
        device: where to run; None takes the GPU if there is one.

    Returns:
        As `evaluate_translation`; the notes also say which pairs were left out.

    Raises:
        DataError: the rows cannot be used.
        TinyBertError: the folder is no checkpoint of a trained translator.
    """
    import torch

    model, tokenizer = open_translator(path)
    data = TASKS["translation"].load(settings, need_train=False)
    assert data.validation is not None  # asked for above
    sources, references = list(data.validation["source"]), list(data.validation["target"])
    model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    result = evaluate_translation(
        model,
        tokenizer,
        sources,
        references,
        target_language=target_language,
        beams=beams,
        batch_size=batch_size,
    )
    return {**result, "notes": [*data.notes, *result["notes"]]}


def open_translator(path: str, dtype: str | None = None) -> tuple[Any, Any]:
    """Opens model and tokenizer of a saved translator.

    Args:
        path: a folder, or an id on the Hub.
        dtype: of the weights, as "float32"; None: as saved.

    Raises:
        TinyBertError: it holds no trained encoder-decoder that writes text, or no tokenizer.
    """
    check_folder(path)
    config = open_config(path, _KIND)
    if not translates(config):
        raise TinyBertError(
            f"{path} is no translator: by its config.json it holds a {_class_of(config)}, which "
            f"{'writes no text' if config.is_encoder_decoder else 'has no decoder'}. Give the folder of a "
            "TinyBertForSeq2Seq or of another sequence-to-sequence model."
        )
    model, tokenizer = open_model(path, "AutoModelForSeq2SeqLM", _KIND, dtype)
    decoder_start_token(model)
    return model, tokenizer


def translates(config: Any) -> bool:
    """Whether the configuration is that of an encoder-decoder which writes text."""
    other_head = _class_of(config).endswith(_OTHER_HEADS)
    return bool(config.is_encoder_decoder) and not other_head


def _notes(translations: Translations) -> Iterator[str]:
    total = len(translations)
    if translations.cut_off_count:
        yield (
            f"{translations.cut_off_count:,} of {total:,} translations were cut off at the limit of tokens: the "
            "model did not end them itself."
        )
    if translations.truncated_count:
        yield (
            f"{translations.truncated_count:,} of {total:,} sources are longer than the model can read, so their ends "
            "were not translated."
        )


def _class_of(config: Any) -> str:
    return str((config.architectures or [config.model_type])[0])
