"""The model that is to be exported: whatever a folder or an id on the Hub holds, opened whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints import is_exported, open_model, open_tokenizer, refusing
from tinybert_hf.checkpoints.loading import Checkpoint
from tinybert_hf.data.generation import source_positions
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation import open_translator
from tinybert_hf.tasks import HEADS, TRANSLATION, spec_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_LENGTH = 512  # of a model that says nothing
# Every format computes in it, and weights of half precision are exact in it; computed in their own they are not.
_DTYPE = "float32"
ENCODER = "encoder"
"""The task of a model without a head."""


@dataclass(frozen=True)
class Source:
    """A model that is to be exported.

    Attributes:
        name: as it was given.
        model: in eval mode, in float32.
        tokenizer: its own.
        task: a name in `HEADS`, `ENCODER` or translation.
        length: tokens that it can read.
        megabytes: the weights as they were saved, 10^6 bytes.
        calibration: rows that a calibrated format sets its ranges by, each as what the model reads of it: name -> a
            number for each token.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    task: str
    length: int
    megabytes: float
    calibration: tuple[dict[str, list[int]], ...] = ()

    @property
    def translates(self) -> bool:
        """Whether it writes."""
        return spec_of(self.task).has_decoder

    @cached_property
    def folder(self) -> Path:
        """Where it stands on this machine: that folder, or the one that the Hub's files were put into.

        transformers fetches no files of sentence-transformers; they are fetched here.
        """
        if Path(self.name).is_dir():
            return Path(self.name)
        from huggingface_hub import snapshot_download

        with refusing(f"the files of {self.name} cannot be fetched"):
            patterns = ["config.json", "modules.json", "*sentence*.json", "*/config.json", "*_Dense/*"]
            return Path(snapshot_download(self.name, allow_patterns=patterns))


def open_source(name: str) -> Source:
    """Opens a model with its tokenizer.

    Args:
        name: a folder, or an id on the Hub.

    Raises:
        TinyBertError: there is no checkpoint; a part of it would be random; its weights were changed; or it has a
            head that cannot be exported.
    """
    if is_exported(name):
        raise TinyBertError(f"{name} is an export already. Give the folder of the model that it was made from.")
    checkpoint = Checkpoint.read(name, "a model that can be exported")
    task = TRANSLATION if checkpoint.is_translator else _task(checkpoint.config, name)
    if checkpoint.is_translator:
        model, tokenizer = open_translator(checkpoint, _DTYPE)
    elif task == ENCODER:
        model, tokenizer = _open_encoder(checkpoint)
    else:
        model, tokenizer = checkpoint.open(HEADS[task].auto_class, HEADS[task].kind, _DTYPE)
    megabytes = sum(one.numel() for one in model.parameters()) * _bytes_of(checkpoint.config) / 1e6
    return Source(name, model.eval(), tokenizer, task, _length(model, tokenizer), megabytes)


def _bytes_of(config: Any) -> int:
    """Bytes of a weight as it was saved."""
    import torch

    saved = config.dtype if isinstance(config.dtype, torch.dtype) else getattr(torch, str(config.dtype), torch.float32)
    return int(saved.itemsize)


def _task(config: Any, name: str) -> str:
    known = [str(one) for one in config.architectures or ()]
    if not known:
        raise TinyBertError(f"{_file(name)} names no class (architectures), so it is not clear what the model is for.")
    for task, spec in HEADS.items():
        if known[0].endswith(spec.ending):
            return task
    if known[0].endswith("Model"):
        return ENCODER
    raise TinyBertError(
        f"{name} holds a {known[0]}, which is not exported. Exported are encoders with a head for {', '.join(HEADS)}, "
        "those without a head, and translators."
    )


def _open_encoder(checkpoint: Checkpoint) -> tuple[Any, Any]:
    from transformers import AutoModel

    name, what = checkpoint.path, f"{checkpoint.path} cannot be opened as an encoder"
    model = open_model(name, AutoModel, what=what, config=checkpoint.config, dtype=_DTYPE)
    model.config.return_dict = True
    tokenizer = open_tokenizer(name, what=f"{name} has no tokenizer that can be opened", config=model)
    return model, tokenizer


def _length(model: Any, tokenizer: Any) -> int:
    """Tokens that model and tokenizer take."""
    return source_positions(model, tokenizer) or _LENGTH


def _file(name: str) -> str:
    file = Path(name) / "config.json"
    return str(file) if file.is_file() else name
