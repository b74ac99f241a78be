"""Opens a model that was exported, and runs it in the runtime that it was exported for."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import torch
from torch import Tensor, nn
from transformers import GenerationConfig, GenerationMixin, PreTrainedModel, modeling_outputs
from transformers.cache_utils import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput

from tinybert_hf.checkpoints.integrity import check_manifest, open_config, read_object, refusing
from tinybert_hf.errors import TinyBertError
from tinybert_hf.model.modeling_tinybert_seq2seq import CACHE_NAME, takes_old_cache_name

if TYPE_CHECKING:
    from numpy.typing import NDArray


# The libraries that only some users need: imported where they are used, and named where they are missing.


def require(module: str, extra: str) -> Any:
    """Import a library of an extra.

    Args:
        module: its name.
        extra: of this package, that brings it.

    Raises:
        TinyBertError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise TinyBertError(
            f'{module} is not installed ({error}). It comes with: pip install "tinybert_hf[{extra}]"'
        ) from error


# Holds back what a library prints while it works, so that the screen keeps to what the user asked for.

_LINES = 5


@contextmanager
def suppressed_output() -> Iterator[Callable[[], str]]:
    """Around the calls of a library that prints: nothing reaches the screen, from C++ neither, and nobody is warned.

    Yields:
        Gives the last lines that were held back, on one line.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as held, ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for number in (1, 2):
            _redirect(number, held.fileno(), stack)
        for redirect, own in ((redirect_stdout, sys.stdout), (redirect_stderr, sys.stderr)):
            # The stream of a notebook or a test is not the process's.
            stream = _Stream(held)
            stack.enter_context(redirect(stream))
            stack.callback(setattr, stream, "target", own)
        yield lambda: _end_of(held)


class _Stream(io.TextIOBase):
    """Writes into the held file, and afterwards to where it would have written.

    A logger that was set up in between keeps its stream for good.
    """

    def __init__(self, target: Any) -> None:
        self.target = target

    def write(self, text: str) -> int:
        written: int = self.target.write(text)
        return written

    def flush(self) -> None:
        self.target.flush()


def _redirect(number: int, target: int, stack: ExitStack) -> None:
    """Send what goes to a file descriptor to another one until the stack is left."""
    with suppress(OSError, ValueError, AttributeError):  # closed, or there is none
        (sys.stdout, sys.stderr)[number - 1].flush()
    try:
        kept = os.dup(number)
    except OSError:
        return
    stack.callback(os.close, kept)
    os.dup2(target, number)
    stack.callback(os.dup2, kept, number)


def _end_of(held: Any) -> str:
    held.flush()
    held.seek(0)
    lines = [line.strip() for line in held.read().splitlines() if line.strip()]
    return " / ".join(line[:200] for line in lines[-_LINES:])


@contextmanager
def nothing_reported() -> Iterator[None]:
    """Around calls of OpenVINO's converters, which tell Google Analytics of their use unless a build server calls."""
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before


# A graph in LiteRT (TensorFlow Lite), which runs one row of a few fixed lengths, here with rows of any length.

_ENDS = ("start_logits", "end_logits")


class LitertGraph:
    """A graph in LiteRT, with a signature for each length; its attributes are those of `OnnxGraph`, and one more.

    Attributes:
        lengths: of the signatures, in tokens, the shortest first.
    """

    def __init__(self, file: Path, threads: int | None) -> None:
        """Read it, and lay out its memory."""
        with suppressed_output():  # XNNPACK greets
            runtime = require("ai_edge_litert.interpreter", "tflite")
            interpreter = runtime.Interpreter(model_path=str(file), num_threads=threads)
            interpreter.allocate_tensors()
        runners = [interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()]
        self._runners = {int(one.get_input_details()["input_ids"]["shape"][1]): one for one in runners}
        self._lock = Lock()
        self.lengths = sorted(self._runners)
        self.inputs = list(runners[0].get_input_details())
        self.outputs = list(runners[0].get_output_details())
        self.shapes = {name: ["batch", "length"] for name in self.inputs}

    def run(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Arrays in, arrays out, by name.

        Raises:
            TinyBertError: a row is longer than the longest signature.
        """
        count = len(feed["input_ids"])
        rows = [self._run({name: values[row] for name, values in feed.items()}) for row in range(count)]
        return {name: np.stack([row[name] for row in rows]) for name in self.outputs}

    def _run(self, row: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        given = len(row["input_ids"])
        length = length_for(real_tokens(row["attention_mask"]), self.lengths)
        fed = {name: fitted(values, length)[None].astype(np.int32) for name, values in row.items()}
        with self._lock:  # an interpreter keeps its inputs and outputs
            found = self._runners[length](**fed)
        return {
            name: _fitted_output(name, found[name][0], given) if _is_of_tokens(name, found[name]) else found[name][0]
            for name in self.outputs
        }


def real_tokens(mask: NDArray[Any]) -> int:
    """How many tokens of a row (L,) must be seen: up to its last real one, since places count from the left."""
    places = np.flatnonzero(mask)
    return int(places[-1]) + 1 if len(places) else 1


def length_for(tokens: int, lengths: Sequence[int]) -> int:
    """The shortest length that a row fits in.

    Args:
        tokens: of the row.
        lengths: that there are, the shortest first.

    Raises:
        TinyBertError: none.
    """
    for length in lengths:
        if tokens <= length:
            return length
    raise TinyBertError(
        f"A row has {tokens} tokens, and this model in TensorFlow Lite reads {lengths[-1]} at most. Cut it: "
        f"tokenizer(..., truncation=True, max_length={lengths[-1]})."
    )


def fitted(values: NDArray[Any], length: int, fill: float = 0) -> NDArray[Any]:
    """Cut (L, ...) or fill it up to a length."""
    kept = values[:length]
    if len(kept) == length:
        return kept
    rest = np.full((length - len(kept), *values.shape[1:]), fill, values.dtype)
    return np.concatenate([kept, rest])


def _is_of_tokens(name: str, output: NDArray[Any]) -> bool:
    """Whether an output has a value for each token; (1, 32) may be as many labels."""
    return name in _ENDS or output.ndim == 3


def _fitted_output(name: str, output: NDArray[Any], length: int) -> NDArray[Any]:
    """At padding that no signature ran an answer must not begin or end."""
    return fitted(output, length, float(output.min()) if name in _ENDS else 0)


# The runtimes that exported models run in: each opens a graph and takes and gives arrays by name.


class OnnxGraph:
    """A graph in onnxruntime.

    Attributes:
        inputs: names.
        outputs: names.
        shapes: of the inputs; a dimension of any size has a name in the place of its number.
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
        self.shapes = {one.name: list(one.shape) for one in self._session.get_inputs()}
        self.inputs = list(self.shapes)
        self.outputs = [one.name for one in self._session.get_outputs()]

    def run(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Arrays in, arrays out, by name."""
        return dict(zip(self.outputs, self._session.run(self.outputs, feed), strict=True))


class OpenVinoGraph:
    """A graph in OpenVINO; attributes as of `OnnxGraph`."""

    def __init__(self, file: Path, threads: int | None) -> None:
        """Read and compile it."""
        runtime = require("openvino", "openvino")
        # Where the processor could, it would multiply in bfloat16.
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        self._compiled = runtime.Core().compile_model(str(file), "CPU", options)
        self.shapes = {
            one.get_any_name(): [None if size.is_dynamic else size.get_length() for size in one.partial_shape]
            for one in self._compiled.inputs
        }
        self.inputs = list(self.shapes)
        self.outputs = [one.get_any_name() for one in self._compiled.outputs]

    def run(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Arrays in, arrays out, by name."""
        found = self._compiled(feed)
        return {name: found[name].copy() for name in self.outputs}


RUNTIMES: dict[str, Any] = {"onnxruntime": OnnxGraph, "openvino": OpenVinoGraph, "litert": LitertGraph}


# A translator that runs in another runtime, with the `generate` of transformers: greedy, beams, all its options.


class ExportedTranslator(PreTrainedModel, GenerationMixin):
    """Two graphs, one that reads and one that writes; on the processor, and for inference only.

    Attributes:
        config: of the model that was exported.
    """

    main_input_name = "input_ids"
    _supports_sdpa = True  # transformers asks before it makes a model; attention is the graphs' own
    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, config: Any, encoder: Any, decoder: Any, folder: Path) -> None:
        """Made by `open_exported`."""
        super().__init__(config)
        self.name_or_path = str(folder)
        if (folder / "generation_config.json").is_file():
            self.generation_config = GenerationConfig.from_pretrained(folder)
        self._encoder, self._graph = Reader(encoder), decoder
        past = {name: shape for name, shape in decoder.shapes.items() if name.startswith("past_")}
        self._past = {name: (shape[1], shape[3]) for name, shape in past.items()}
        self._depth = len(past) // 2
        self._vocabulary = config.vocab_size
        self.eval()

    def get_encoder(self, modality: str | None = None) -> nn.Module:
        """Return the half that reads."""
        return self._encoder

    def get_input_embeddings(self) -> Any:
        """Return something as large as the source's embeddings; the graph keeps them."""
        return _Table(self._vocabulary)

    def get_output_embeddings(self) -> None:
        """Return nothing: the graph keeps the output layer."""
        return None

    @takes_old_cache_name
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        encoder_outputs: BaseModelOutput | tuple[Tensor, ...] | None = None,
        past_key_values: Any = None,
        cache: Any = None,
        use_cache: bool | None = None,
        **further: Any,
    ) -> Seq2SeqLMOutput:
        """Score the target vocabulary at every place of the target.

        Args:
            input_ids: source ids (B, L).
            attention_mask: 1 for real source tokens, 0 for padding (B, L).
            decoder_input_ids: target ids (B, T), behind those of the cache.
            encoder_outputs: what `get_encoder()` gave, in place of the source.
            past_key_values: keys and values of the target so far, as transformers before 5.24 names them.
            cache: the same, as later versions name them.
            use_cache: whether to return the keys and values.
            **further: passed over.

        Returns:
            Logits (B, T, V).
        """
        if encoder_outputs is None:
            encoder_outputs = self._encoder(input_ids, attention_mask)
        memory = encoder_outputs[0]
        if decoder_input_ids is None:
            raise ValueError("decoder_input_ids are missing: what the decoder reads.")
        mask = attention_mask if attention_mask is not None else memory.new_ones(memory.shape[:2])
        kept = past_key_values if cache is None else cache
        if kept is None:
            kept = EncoderDecoderCache(DynamicCache(), DynamicCache())
        layers = kept.self_attention_cache
        feed = {"decoder_input_ids": _ids(decoder_input_ids), "attention_mask": _ids(mask), "memory": memory.numpy()}
        for name, (heads, width) in self._past.items():
            feed[name] = self._kept(layers, name, memory.shape[0], heads, width)
        found = {name: torch.from_numpy(array) for name, array in self._graph.run(feed).items()}
        for layer in range(self._depth):
            layers.update(found[f"key_{layer}"], found[f"value_{layer}"], layer)
        return Seq2SeqLMOutput(
            logits=found["logits"],
            encoder_last_hidden_state=memory,
            **({} if use_cache is False else {CACHE_NAME: kept}),
        )

    def _sample(
        self,
        input_ids: Tensor,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        synced_gpus: bool = False,
        streamer: Any = None,
        **given: Any,
    ) -> Any:
        """What `generate` calls where it does not search with beams.

        Greedy search that asks for tokens alone is done here, as transformers does it, but without its copy of the
        scores and with NumPy's argmax, which with many rows of a large vocabulary take much of the time.
        """
        memory, mask = given.get("encoder_outputs"), given.get("attention_mask")
        kept = given.get("cache")
        kept = given.get("past_key_values") if kept is None else kept
        more = generation_config.do_sample or generation_config.return_dict_in_generate or len(logits_processor)
        more = more or synced_gpus or streamer is not None
        more = more or (kept is not None and (kept.get_seq_length() or getattr(kept, "_is_user_defined", False)))
        pad = generation_config.pad_token_id
        more = more or type(self).forward is not ExportedTranslator.forward
        more = more or bool(self._forward_hooks or self._forward_pre_hooks)
        if more or memory is None or mask is None or pad is None or not given.get("use_cache"):
            fixed = (input_ids, logits_processor, stopping_criteria, generation_config, synced_gpus, streamer)
            return super()._sample(*fixed, **given)
        return self._greedy(input_ids, stopping_criteria, memory[0], mask, pad)

    def _greedy(self, written: Tensor, stopping_criteria: Any, memory: Tensor, mask: Tensor, pad: int) -> Tensor:
        """`written` (B, T) and the tokens behind it, filled up with padding."""
        feed = {"memory": memory.numpy(), "attention_mask": _ids(mask)}
        for name, (heads, width) in self._past.items():
            feed[name] = np.zeros((len(written), heads, 0, width), np.float32)
        ends = any(hasattr(one, "eos_token_id") for one in stopping_criteria)
        new, going = written, torch.ones(len(written), dtype=torch.bool)
        while bool(going.any()):
            found = self._graph.run({**feed, "decoder_input_ids": _ids(new)})
            for name in self._past:
                feed[name] = np.concatenate([feed[name], found[name.removeprefix("past_")]], axis=2)
            new = torch.from_numpy(found["logits"][:, -1].argmax(axis=-1))[:, None]
            if ends:
                new = new.masked_fill(~going[:, None], pad)
            written = torch.cat([written, new], dim=-1)
            going = going & ~stopping_criteria(written, None)
        return written

    def _kept(self, layers: Any, name: str, rows: int, heads: int, width: int) -> Any:
        _, kind, number = name.split("_")
        if layers.get_seq_length(int(number)) == 0:
            return torch.zeros(rows, heads, 0, width).numpy()
        layer = layers.layers[int(number)]
        return (layer.keys if kind == "key" else layer.values).contiguous().numpy()

    def to(self, *args: Any, **kwargs: Any) -> ExportedTranslator:
        """Stay where it is: another device is another export's."""
        return self


class Reader(nn.Module):
    """The half that reads. Its output is no state, but what the decoder's layers see of the source."""

    main_input_name = "input_ids"

    def __init__(self, graph: Any) -> None:
        """Wrap a graph."""
        super().__init__()
        self._graph = graph

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **further: Any) -> BaseModelOutput:
        """Read the source: ids and mask (B, L)."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        found = self._graph.run({"input_ids": _ids(input_ids), "attention_mask": _ids(mask)})
        return BaseModelOutput(last_hidden_state=torch.from_numpy(found["memory"]))


class _Table:
    """What `generate` and the translation of texts ask of an embedding: how many rows it has."""

    def __init__(self, rows: int) -> None:
        self.weight = torch.empty(rows, 0)


def _ids(values: Tensor) -> Any:
    return values.detach().to("cpu", torch.int64).contiguous().numpy()


# Opens a model that was exported, and runs it in the runtime that it was exported for.
#
# It is called as a model of transformers is, with torch tensors by name, and answers with the same kinds of outputs.

EXPORT_FILE = "export.json"
# Where programs of others look for a graph. Exports of earlier versions, and translators, have theirs beside the
# configuration.
ONNX_FOLDER = "onnx"


def is_exported(folder: str | Path) -> bool:
    """Whether a folder was written by an export to another runtime; a stock BERT is a model like any other."""
    note = Path(folder) / EXPORT_FILE
    if not note.is_file():
        return False
    try:
        return read_object(note).get("runtime", "") is not None
    except TinyBertError:
        return True  # a damaged one


def files_of_export(folder: str | Path, format: str | None = None) -> list[Path]:
    """The files that hold the graphs and weights of an export, a stock BERT's too; an added one is not counted.

    Args:
        folder: of the export.
        format: of one that holds several: its files; None: those of all.

    Raises:
        TinyBertError: it is no export, it does not hold that format, or its note is damaged.
    """
    place = Path(folder)
    note = read_object(place / EXPORT_FILE)
    parts = [note, *_others(note).values()] if format is None else [note_of_format(note, format, place)]
    graphs = [part["graphs"] for part in parts if isinstance(part.get("graphs"), dict)]
    named = [place / str(name) for one in graphs for name in one.values()]
    beside = [path for path in place.iterdir() if path.name.endswith((".onnx.data", ".bin", ".safetensors"))]
    return [*named, *beside]


def _others(note: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What export.json says of the formats behind the first, by name."""
    others = note.get("others")
    return {name: one for name, one in others.items() if isinstance(one, dict)} if isinstance(others, dict) else {}


def formats_of_export(note: dict[str, Any]) -> list[str]:
    """The formats that a folder holds, the one that is opened unasked first; `note` is the content of export.json."""
    return [str(note.get("format")), *_others(note)]


def note_of_format(note: dict[str, Any], format: str | None, folder: str | Path) -> dict[str, Any]:
    """What export.json says of one format.

    Args:
        note: its content.
        format: a name; None: the first that was asked for.
        folder: for the message.

    Raises:
        TinyBertError: the folder does not hold it.
    """
    known = formats_of_export(note)
    if format is None or format == known[0]:
        return note
    if format not in known:
        raise TinyBertError(f"{folder} does not hold the format {format!r:.60}; it holds {', '.join(known)}.")
    return {**note, "graphs": None, **_others(note)[format]}  # never the first one's


def open_exported(folder: str | Path, *, threads: int | None = None, format: str | None = None) -> Any:
    """Opens an exported model.

    Args:
        folder: that `tinybert export` wrote.
        threads: of the processor; None: as the runtime thinks right.
        format: which one, of a folder that holds several; None: the first that was asked for.

    Returns:
        An `ExportedModel`, or of a translator an `ExportedTranslator`, whose `generate` is that of transformers.

    Raises:
        TinyBertError: no export, a damaged one, one without that format, or its runtime is not installed.
    """
    place = Path(folder)
    if not is_exported(place):
        raise TinyBertError(
            f"{folder} holds no model that was exported to another runtime ({EXPORT_FILE}). Make one with tinybert "
            "export; what holds weights of torch, a stock BERT too, is opened with AutoModel...from_pretrained."
        )
    note = note_of_format(read_object(place / EXPORT_FILE), format, place)
    check_manifest(place)
    files, runtime = _files(note, place), _runtime(note, place)
    config = open_config(place)
    with refusing(f"{place} cannot be run"):
        graphs = {part: runtime(place / name, threads) for part, name in files.items()}
        if "decoder" in graphs:
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

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        raise TinyBertError(
            f"A model that open_exported has opened ({self.name_or_path}) cannot be pickled or copied: give the "
            "folder, and open it where it is used, as Classifier(folder) does."
        )


def _files(note: dict[str, Any], place: Path) -> dict[str, str]:
    files = note.get("graphs")
    if not isinstance(files, dict) or set(files) not in ({"model"}, {"encoder", "decoder"}):
        raise TinyBertError(f"{place / EXPORT_FILE} names no graphs. Export the model again.")
    for name in files.values():
        known = isinstance(name, str) and name in (Path(name).name, f"{ONNX_FOLDER}/{Path(name).name}")
        if not known or not (place / name).is_file():
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
