"""Opens the model that knows which words fit."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.augmentation.glove import GloveVectors
from tinybert_hf.data.augmentation.masking import Masking
from tinybert_hf.data.augmentation.neighbours import EmbeddingNeighbours
from tinybert_hf.data.augmentation.predictions import Predictions
from tinybert_hf.data.augmentation.vocabulary import Vocabulary
from tinybert_hf.data.augmentation.word_source import WordSource
from tinybert_hf.data.model_fingerprint import model_fingerprint
from tinybert_hf.data.shard_folder import file_digest
from tinybert_hf.errors import TeacherError
from tinybert_hf.opening import limits_of, open_config, open_model, open_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_OTHERWISE = (
    "Give one that was trained to fill in words, such as bert-base-uncased, or take the nearest words of the model's "
    "own embeddings in place of its predictions: --neighbours-only (in a run: --set "
    "augmentation.neighbours_only=true)."
)


def open_masked_lm(model: str, *, neighbours_only: bool = False) -> tuple["PreTrainedModel", Any]:
    """Opens a model with a masked-LM head and its tokenizer.

    Args:
        model: folder or Hub id.
        neighbours_only: no head is needed.

    Raises:
        TeacherError: it cannot be opened, has no trained masked-LM head, no mask token, or a tokenizer that does not
            say where its pieces stand in the text.
    """
    from transformers import AutoModel, AutoModelForMaskedLM

    what = f"the model {str(model)!r} cannot be opened to find words"
    kind = AutoModel if neighbours_only else AutoModelForMaskedLM
    headless = (
        f"the model {str(model)!r} has no masked-LM head ({{missing}} are not in the checkpoint), so it predicts no "
        f"words. {_OTHERWISE}"
    )
    opened = open_model(model, kind, TeacherError, what, headless=headless, dtype="float32")
    tokenizer = open_tokenizer(model, TeacherError, what, opened)
    check_tokenizer(str(model), tokenizer, neighbours_only=neighbours_only)
    return opened.eval(), tokenizer


def predicts_words(config: Any) -> bool:
    """Whether a model's configuration says that its checkpoint has a masked-LM head, or says nothing about it.

    Args:
        config: of any encoder.
    """
    names = getattr(config, "architectures", None) or ("ForMaskedLM",)
    return any(name.endswith(("ForMaskedLM", "ForPreTraining", "LMHeadModel")) for name in names)


def check_predicts_words(model: str) -> None:
    """Refuses a model without a masked-LM head by its configuration alone.

    Raises:
        TeacherError: it has none, or cannot be opened.
    """
    config = open_config(model, TeacherError, f"the model {model!r} cannot be opened to find words")
    if not predicts_words(config):
        raise TeacherError(
            f"the model {model!r} has no masked-LM head (it is a {', '.join(config.architectures)}), so it predicts "
            f"no words. {_OTHERWISE}"
        )


def check_tokenizer(model: str, tokenizer: Any, *, neighbours_only: bool) -> None:
    """Refuses a tokenizer that cannot say which piece is which word, or has nothing to mask one with.

    Raises:
        TeacherError: naming the model.
    """
    if not tokenizer.is_fast:
        raise TeacherError(
            f"the tokenizer of {model!r} does not say where its pieces stand in a text. Save it as tokenizer.json (a "
            "fast tokenizer), or give another model."
        )
    if tokenizer.mask_token_id is None and not neighbours_only:
        raise TeacherError(f"the tokenizer of {model!r} has no mask token, so no word can be masked. {_OTHERWISE}")


def words_from(
    model: "PreTrainedModel",
    tokenizer: Any,
    *,
    neighbours_only: bool = False,
    glove: GloveVectors | None = None,
    batch_size: int | None = None,
) -> WordSource:
    """What finds words: a model's predictions for a word that is one piece, neighbours for the others.

    Args:
        model: with a masked-LM head unless `neighbours_only`, on its device.
        tokenizer: of the model.
        neighbours_only: never ask for predictions.
        glove: take neighbours from these vectors; None: from the model's input embeddings.
        batch_size: masked texts at once; None: 32 on a CPU, whose caches hold no more, and 512 elsewhere.
    """
    vocabulary = Vocabulary(tokenizer)
    if not vocabulary.words:
        raise TeacherError("the vocabulary of the model holds no whole word, so nothing can be put in a word's place.")
    masking = Masking(tokenizer, limits_of(model).positions)
    neighbours = glove or EmbeddingNeighbours(model.get_input_embeddings().weight, vocabulary)
    size = batch_size or (32 if model.device.type == "cpu" else 512)
    predictions = None if neighbours_only else Predictions(model, tokenizer, vocabulary, size)
    return WordSource(masking, vocabulary, predictions, neighbours)


@dataclass(frozen=True)
class OpenedSource:
    """All that words are taken from.

    Attributes:
        words: the source.
        identity: what it is, for `write_augmented`.
        notes: what a user should know of it, a sentence each.
    """

    words: WordSource
    identity: dict[str, Any]
    notes: list[str]


def open_source(
    model: str,
    *,
    glove_file: str | None = None,
    neighbours_only: bool = False,
    batch_size: int | None = None,
    device: str = "cpu",
) -> OpenedSource:
    """Opens a model by its name.

    Args:
        model: folder or Hub id.
        glove_file: word vectors for the neighbours.
        neighbours_only: never ask for predictions.
        batch_size: as in `words_from`.
        device: of the model.

    Raises:
        TinyBertError: the model or the file cannot be used.
    """
    opened, tokenizer = open_masked_lm(model, neighbours_only=neighbours_only)
    opened.to(device)  # type: ignore[arg-type]
    return source_of(opened, tokenizer, glove_file=glove_file, neighbours_only=neighbours_only, batch_size=batch_size)


def source_of(
    model: "PreTrainedModel",
    tokenizer: Any,
    *,
    glove_file: str | None = None,
    neighbours_only: bool = False,
    batch_size: int | None = None,
) -> OpenedSource:
    """The same of a model that is open already.

    Raises:
        TinyBertError: the tokenizer or the file cannot be used.
    """
    check_tokenizer(str(model.config.name_or_path), tokenizer, neighbours_only=neighbours_only)
    glove = None if glove_file is None else GloveVectors(glove_file)
    words = words_from(model, tokenizer, neighbours_only=neighbours_only, glove=glove, batch_size=batch_size)
    identity = {
        "model": model_fingerprint(model, tokenizer),
        "neighbours_only": neighbours_only,
        "content of the word vectors": None if glove_file is None else file_digest(Path(glove_file))[:16],
    }
    return OpenedSource(words, identity, [] if glove is None else list(glove.notes))
