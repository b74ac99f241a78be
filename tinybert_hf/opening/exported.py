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
from tinybert_hf.opening.extras import require
from tinybert_hf.opening.json_files import read_object
from tinybert_hf.opening.manifest import check_manifest
from tinybert_hf.opening.reasons import refusing

EXPORT_FILE = "export.json"


def is_exported(folder: str | Path) -> bool:
    """Whether a folder was written by an export to another runtime."""
    return (Path(folder) / EXPORT_FILE).is_file()


def open_exported(folder: str | Path, *, threads: int | None = None) -> ExportedModel:
    """Opens an exported model.

    Args:
        folder: that `tinybert export` wrote.
        threads: of the processor; None: as the runtime thinks right.

    Raises:
        TinyBertError: no export, a damaged one, or its runtime is not installed.
    """
    place = Path(folder)
    if not is_exported(place):
        raise TinyBertError(f"{folder} holds no exported model: there is no {EXPORT_FILE}. Make one: tinybert export.")
    note = read_object(place / EXPORT_FILE)
    check_manifest(place)
    files = note.get("graphs")
    if not isinstance(files, dict) or not all(isinstance(name, str) for name in files.values()):
        raise TinyBertError(f"{place / EXPORT_FILE} names no graphs. Export the model again.")
    for name in files.values():
        if Path(name).name != name or not (place / name).is_file():
            raise TinyBertError(f"{place / EXPORT_FILE} names {name!r:.80}, which is no file of that folder.")
    config = open_config(place)
    with refusing(f"{place} cannot be run"):
        graphs = {part: _OPENERS[_runtime(note, place)](place / name, threads) for part, name in files.items()}
    # transformers' pipelines know a model by the name of its class.
    named = type(str((config.architectures or ["ExportedModel"])[0]), (ExportedModel,), {})
    opened: ExportedModel = named(config, graphs["model"], place)
    return opened


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


class OnnxGraph:
    """A graph in onnxruntime.

    Attributes:
        inputs: names.
        outputs: names.
    """

    def __init__(self, file: Path, threads: int | None) -> None:
        """Read and optimise it."""
        runtime = require("onnxruntime", "onnx")
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # warnings tell what it does not fuse
        if threads is not None:
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
        self._session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self.inputs = [one.name for one in self._session.get_inputs()]
        self.outputs = [one.name for one in self._session.get_outputs()]

    def run(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Arrays in, arrays out, by name."""
        return dict(zip(self.outputs, self._session.run(self.outputs, feed), strict=True))


_OPENERS: dict[str, Any] = {"onnxruntime": OnnxGraph}


def _runtime(note: dict[str, Any], place: Path) -> str:
    name = note.get("runtime")
    if name not in _OPENERS:
        raise TinyBertError(
            f"{place / EXPORT_FILE}: the runtime is {name!r:.60}; known are {', '.join(_OPENERS)}. Export it again."
        )
    return str(name)


def _as_output(found: dict[str, Tensor]) -> Any:
    if "start_logits" in found:
        return modeling_outputs.QuestionAnsweringModelOutput(**found)
    if "last_hidden_state" in found:
        return modeling_outputs.BaseModelOutputWithPooling(**found)
    if found["logits"].ndim == 3:
        return modeling_outputs.TokenClassifierOutput(**found)
    return modeling_outputs.SequenceClassifierOutput(**found)
