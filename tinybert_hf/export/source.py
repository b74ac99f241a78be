"""The model that is to be exported: whatever a folder or an id on the Hub holds, opened whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.generation import source_positions
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation import open_translator
from tinybert_hf.evaluation.open_checkpoint import check_folder, open_config
from tinybert_hf.evaluation.open_checkpoint import open_model as open_with_head
from tinybert_hf.evaluation.translation import translates
from tinybert_hf.opening import HEADS, is_exported, open_model, open_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_LENGTH = 512  # of a model that says nothing
ENCODER, TRANSLATION = "encoder", "translation"
"""The tasks of a model without a head, and of an encoder-decoder that writes text."""


@dataclass(frozen=True)
class Source:
    """A model that is to be exported.

    Attributes:
        name: as it was given.
        model: in eval mode.
        tokenizer: its own.
        task: a name in `HEADS`, `ENCODER` or `TRANSLATION`.
        length: tokens that it can read.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    task: str
    length: int


def open_source(name: str) -> Source:
    """Opens a model with its tokenizer.

    Args:
        name: a folder, or an id on the Hub.

    Raises:
        TinyBertError: there is no checkpoint; a part of it would be random; its weights were changed; or it has a
            head that cannot be exported.
    """
    check_folder(name)
    if is_exported(name):
        raise TinyBertError(f"{name} is an export already. Give the folder of the model that it was made from.")
    config = open_config(name, "a model that can be exported")
    if translates(config):
        task = TRANSLATION
        model, tokenizer = open_translator(name)
    else:
        task = _task(config, name)
        model, tokenizer = _open_encoder(name) if task == ENCODER else open_with_head(
            name, HEADS[task].auto_class, HEADS[task].kind
        )  # fmt: skip
    return Source(name, model.eval(), tokenizer, task, _length(model, tokenizer))


def _task(config: Any, name: str) -> str:
    known = [str(one) for one in config.architectures or ()]
    if not known:
        raise TinyBertError(f"{_file(name)} names no class (architectures), so it is not clear what the model is for.")
    for task, head in HEADS.items():
        if known[0].endswith(head.auto_class.removeprefix("AutoModel")):
            return task
    if known[0].endswith("Model"):
        return ENCODER
    raise TinyBertError(
        f"{name} holds a {known[0]}, which is not exported. Exported are encoders with a head for {', '.join(HEADS)}, "
        "those without a head, and translators."
    )


def _open_encoder(name: str) -> tuple[Any, Any]:
    from transformers import AutoModel

    model, report = open_model(name, AutoModel, what=f"{name} cannot be opened as an encoder")
    missing = sorted(report["missing_keys"])
    if missing and all(key.startswith("pooler.") for key in missing):
        model.pooler = None  # it would be random
    elif missing:
        raise TinyBertError(f"{name}: the weights lack {', '.join(missing[:5])}, which would be random.")
    model.config.return_dict = True
    tokenizer = open_tokenizer(name, what=f"{name} has no tokenizer that can be opened", config=model)
    return model, tokenizer


def _length(model: Any, tokenizer: Any) -> int:
    """Tokens that model and tokenizer take."""
    return source_positions(model, tokenizer) or _LENGTH


def _file(name: str) -> str:
    file = Path(name) / "config.json"
    return str(file) if file.is_file() else name
