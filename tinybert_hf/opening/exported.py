"""Opens a model that was exported, and runs it in the runtime that it was exported for.

It is called as a model of transformers is, with torch tensors by name, and answers with the same kinds of outputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import modeling_outputs

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening.config_file import open_config
from tinybert_hf.opening.json_files import read_object
from tinybert_hf.opening.manifest import check_manifest
from tinybert_hf.opening.reasons import refusing
from tinybert_hf.opening.runtimes import RUNTIMES

EXPORT_FILE = "export.json"


def is_exported(folder: str | Path) -> bool:
    """Whether a folder was written by an export to another runtime; a stock BERT is a model like any other."""
    note = Path(folder) / EXPORT_FILE
    if not note.is_file():
        return False
    try:
        return read_object(note).get("runtime", "") is not None
    except TinyBertError:
        return True  # a damaged one


def open_exported(folder: str | Path, *, threads: int | None = None) -> Any:
    """Opens an exported model.

    Args:
        folder: that `tinybert export` wrote.
        threads: of the processor; None: as the runtime thinks right.

    Returns:
        An `ExportedModel`, or of a translator an `ExportedTranslator`, whose `generate` is that of transformers.

    Raises:
        TinyBertError: no export, a damaged one, or its runtime is not installed.
    """
    place = Path(folder)
    if not is_exported(place):
        raise TinyBertError(
            f"{folder} holds no model that was exported to another runtime ({EXPORT_FILE}). Make one with tinybert "
            "export; what holds weights of torch, a stock BERT too, is opened with AutoModel...from_pretrained."
        )
    note = read_object(place / EXPORT_FILE)
    check_manifest(place)
    files, runtime = _files(note, place), _runtime(note, place)
    config = open_config(place)
    with refusing(f"{place} cannot be run"):
        graphs = {part: runtime(place / name, threads) for part, name in files.items()}
        if "decoder" in graphs:
            from tinybert_hf.opening.exported_translator import ExportedTranslator

            return ExportedTranslator(config, graphs["encoder"], graphs["decoder"], place)
        # transformers' pipelines know a model by the name of its class.
        named = type(str((config.architectures or ["ExportedModel"])[0]), (ExportedModel,), {})
        return named(config, graphs["model"], place)


class ExportedModel(nn.Module):
    """An encoder, with or without a head, that runs in another runtime; on the processor, and for inference only.

    Attributes:
        config: of the model that was exported.
        name_or_path: the folder.
    """

    main_input_name = "input_ids"
    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, config: Any, graph: Any, folder: Path) -> None:
        """Made by `open_exported`."""
        super().__init__()
        self.config, self.name_or_path, self._graph = config, str(folder), graph
        self.eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **further: Any) -> Any:
        """Answer.

        Args:
            input_ids: token ids (B, L).
            attention_mask: 1 for real tokens, 0 for padding (B, L); None: all are real.
            **further: what else the tokenizer gives; what the graph does not ask for is passed over.

        Returns:
            As the model that was exported: an output of transformers, with torch tensors.
        """
        given = {"input_ids": input_ids, "attention_mask": attention_mask, **further}
        feed = {}
        for name in self._graph.inputs:
            values = given.get(name)
            if values is None:
                values = torch.ones_like(input_ids) if name == "attention_mask" else torch.zeros_like(input_ids)
            feed[name] = values.detach().to("cpu", torch.int64).contiguous().numpy()
        return _as_output({name: torch.from_numpy(array) for name, array in self._graph.run(feed).items()})

    def to(self, *args: Any, **kwargs: Any) -> ExportedModel:
        """Stay where it is: another device is another export's."""
        return self

    def can_generate(self) -> bool:
        """Whether it writes text."""
        return False


def _files(note: dict[str, Any], place: Path) -> dict[str, str]:
    files = note.get("graphs")
    if not isinstance(files, dict) or set(files) not in ({"model"}, {"encoder", "decoder"}):
        raise TinyBertError(f"{place / EXPORT_FILE} names no graphs. Export the model again.")
    for name in files.values():
        if not isinstance(name, str) or Path(name).name != name or not (place / name).is_file():
            raise TinyBertError(f"{place / EXPORT_FILE} names {name!r:.80}, which is no file of that folder.")
    return files


def _runtime(note: dict[str, Any], place: Path) -> Any:
    name = note.get("runtime")
    if not isinstance(name, str) or name not in RUNTIMES:
        raise TinyBertError(
            f"{place / EXPORT_FILE}: the runtime is {name!r:.60}; known are {', '.join(RUNTIMES)}. Export it again."
        )
    return RUNTIMES[name]


def _as_output(found: dict[str, Tensor]) -> Any:
    if "start_logits" in found:
        return modeling_outputs.QuestionAnsweringModelOutput(**found)
    if "last_hidden_state" in found:
        return modeling_outputs.BaseModelOutputWithPooling(**found)
    if found["logits"].ndim == 3:
        return modeling_outputs.TokenClassifierOutput(**found)
    return modeling_outputs.SequenceClassifierOutput(**found)
