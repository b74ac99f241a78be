"""The writers of the formats: ONNX, OpenVINO, TensorFlow Lite, a stock BERT or BART."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tinybert_hf.checkpoints import ONNX_FOLDER, reason_of, require
from tinybert_hf.checkpoints.exported import nothing_reported, suppressed_output
from tinybert_hf.conversion.export.onnx_graph import can_write, encoder_model
from tinybert_hf.conversion.export.onnx_translator import (
    can_write_translator,
    translator_models,
    write_with_shared_weights,
)
from tinybert_hf.conversion.export.source import ENCODER, Source
from tinybert_hf.errors import TinyBertError
from tinybert_hf.tasks import HEADS, TEXT_CLASSIFICATION

if TYPE_CHECKING:
    from transformers import PreTrainedModel


# ONNX, in fp32 or with linear maps and embeddings in int8.
#
# Folder and names are those that transformers.js and Optimum look for, and one folder can hold both files.

_ONNX_FILE, _INT8_FILE = f"{ONNX_FOLDER}/model.onnx", f"{ONNX_FOLDER}/model_quantized.onnx"


def write_onnx(source: Source, folder: Path) -> dict[str, str]:
    """Write a model of standard operators in fp32; what it returns is as for every format: part -> file."""
    return _write(source, folder, int8=False)


def write_onnx_int8(source: Source, folder: Path) -> dict[str, str]:
    """Write a model whose linear maps and embeddings are in int8."""
    return _write(source, folder, int8=True)


def _write(source: Source, folder: Path, *, int8: bool) -> dict[str, str]:
    reason = can_write_translator(source.model) if source.translates else can_write(source.model)
    if reason is not None:
        raise TinyBertError(f"{source.name} cannot be exported to ONNX: {reason}.")
    if source.translates:
        return write_with_shared_weights(translator_models(source.model, int8=int8), folder)
    name = _INT8_FILE if int8 else _ONNX_FILE
    (folder / ONNX_FOLDER).mkdir(exist_ok=True)
    (folder / name).write_bytes(encoder_model(source.model, source.task, int8=int8).SerializeToString())
    return {"model": name}


@contextmanager
def _converted_by(converter: str, source: Source, advice: str) -> Iterator[None]:
    """A converter's error as one of ours, with the end of what it printed; else it prints nothing."""
    with suppressed_output() as end_of_output:
        try:
            yield
        except (TinyBertError, MemoryError):
            raise
        except Exception as error:
            said = end_of_output()
            raise TinyBertError(
                f"{converter} cannot convert {source.name}: {reason_of(error)}. {advice}"
                + (f" The end of what the converter printed: {said}" if said else "")
            ) from error


# OpenVINO's own format, in fp32 or int8: made from the ONNX graph in fp32, which holds standard operators only.


_EVERY_BIAS = 1e9
"""NNCF corrects no bias by more than so many times itself, and its usual 2 leaves most of them alone."""


def write_openvino(source: Source, folder: Path) -> dict[str, str]:
    """Write an .xml with its .bin for each part; what it returns is as for every format: part -> file."""
    return {part: _save_openvino(model, part, folder) for part, model in _openvino_models(source, folder).items()}


def write_openvino_int8(source: Source, folder: Path) -> dict[str, str]:
    """Write a model with weights, tables and what comes into its products in int8, by ranges of `source.calibration`.

    Raises:
        TinyBertError: NNCF cannot convert it.
    """
    model = _openvino_models(source, folder)["model"]
    with _converted_by("NNCF", source, "Export it to onnx-int8 or openvino."):
        model = _in_int8(model, source.calibration)
    return {"model": _save_openvino(model, "model", folder)}


def _openvino_models(source: Source, folder: Path) -> dict[str, Any]:
    """Each part in fp32; `folder` is where files lie meanwhile."""
    openvino, models = require("openvino", "openvino"), {}
    with TemporaryDirectory(dir=folder) as made:
        for part, name in write_onnx(source, Path(made)).items():
            with nothing_reported():
                model = openvino.convert_model(Path(made) / name)
            models[part] = _named_by_place(model)
    return models


def _in_int8(model: Any, rows: Sequence[dict[str, list[int]]]) -> Any:
    with nothing_reported():
        nncf = require("nncf", "openvino-int8")
    names = [one.get_any_name() for one in model.inputs]
    feeds = [
        {name: np.array([row.get(name, [0] * len(row["input_ids"]))], dtype=np.int64) for name in names}
        for row in rows
    ]
    settings = nncf.AdvancedQuantizationParameters(
        # Processors without VNNI add two products in 16 bits, which would overflow with 8 bits of weight.
        overflow_fix=nncf.OverflowFix.ENABLE,
        bias_correction_params=nncf.AdvancedBiasCorrectionParameters(threshold=_EVERY_BIAS),
    )
    found = nncf.quantize(
        model,
        nncf.Dataset(feeds),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(feeds),
        fast_bias_correction=True,
        advanced_parameters=settings,
    )
    return _named_by_place(found)


def _named_by_place(model: Any) -> Any:
    """The model, its nodes numbered: OpenVINO counts what has no name on and on in a process."""
    for number, node in enumerate(model.get_ordered_ops()):
        if node.get_type_name() not in ("Parameter", "Result"):
            node.set_friendly_name(f"{node.get_type_name()}_{number}")
    return model


def _save_openvino(model: Any, part: str, folder: Path) -> str:
    """Write an .xml with its .bin, and return the name of the first.

    The .xml of two students of one shape would be the same to the byte. An update that leaves equal files alone would
    bring the .bin only, and OpenVINO's cache (CACHE_DIR), which knows a model by its .xml, would go on answering with
    the first one's weights. So the .xml holds the digest of the weights.
    """
    name, digest = f"openvino_{part}.xml", sha256()
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Constant":
            digest.update(node.data.tobytes())
    model.set_rt_info(digest.hexdigest(), ["tinybert_hf", "sha256"])
    require("openvino", "openvino").save_model(model, folder / name, compress_to_fp16=False)
    return name


# TensorFlow Lite (LiteRT), in fp32: traced by litert-torch, in a few fixed lengths that share their weights.
#
# Sizes that change from call to call cannot be converted by litert-torch 0.10.

_FILE = "model.tflite"
_SHORTEST, _STEP = 32, 4
_OUTPUTS = ("logits", "start_logits", "end_logits", "last_hidden_state", "pooler_output")


def write_tflite(source: Source, folder: Path) -> dict[str, str]:
    """Write one file for all lengths; what it returns is as for every format: part -> file.

    Raises:
        TinyBertError: the model cannot be converted.
    """
    reason = can_write(source.model)
    if reason is not None:
        raise TinyBertError(f"{source.name} cannot be exported to TensorFlow Lite: {reason}.")
    lengths = lengths_up_to(source.length)
    with _converted_by("litert-torch", source, "Export it to onnx: --to onnx."):
        _convert(_ByName(source.model).eval(), inputs_of(source.model), lengths, folder / _FILE)
    return {"model": _FILE}


def lengths_up_to(longest: int) -> list[int]:
    """The lengths that are converted: 32 and each four times as long, and the longest text.

    Each costs memory: while it runs, LiteRT keeps a copy of the linear maps for every length.

    Args:
        longest: tokens that the model can read.
    """
    found, length = [], _SHORTEST
    while 2 * length <= longest:
        found.append(length)
        length *= _STEP
    return [*found, longest]


def inputs_of(model: Any) -> list[str]:
    """The names of what a model reads."""
    segments = getattr(model.config, "type_vocab_size", 0) > 1
    asked = segments and "token_type_ids" in inspect.signature(model.forward).parameters
    return ["input_ids", "attention_mask", *(["token_type_ids"] if asked else [])]


class _ByName(nn.Module):
    """A model that gives its outputs by name: the file keeps the names."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> dict[str, Tensor]:
        """As the model, with an output of plain tensors."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        output = self.model(**{name: values for name, values in given.items() if values is not None})
        return {name: output[name] for name in _OUTPUTS if output.get(name) is not None}


def _convert(model: nn.Module, names: list[str], lengths: list[int], file: Path) -> None:
    converter = require("litert_torch", "tflite")
    for length in lengths:
        example = {name: torch.ones(1, length, dtype=torch.int32) for name in names}
        converter = converter.signature(f"length_{length}", model, sample_kwargs=example)
    converter.convert().export(str(file))


# A TinyBERT as a stock BERT, for programs that know only that: same weights, the names and the configuration of BERT.
#
# The layers of a TinyBERT are BERT's own, so nothing is converted. What BERT has not is refused.

_FIELDS = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
    "hidden_dropout_prob", "attention_probs_dropout_prob", "max_position_embeddings", "type_vocab_size",
    "initializer_range", "layer_norm_eps", "pad_token_id", "classifier_dropout", "problem_type",
)  # fmt: skip


def write_bert(source: Source, folder: Path) -> dict[str, str]:
    """Write a stock BERT; there is no graph to name.

    Raises:
        TinyBertError: the model has no equal among the stock BERTs.
    """
    model = as_bert(source)
    # transformers 5 knows no other positions, and does not write it; CTranslate2 asks for it.
    model.config.position_embedding_type = "absolute"
    model.save_pretrained(folder)  # its config.json takes the place of the model's
    for code in folder.glob("*.py"):
        code.unlink()  # of the TinyBERT
    return {}


def as_bert(source: Source) -> PreTrainedModel:
    """The stock BERT with the weights of a model.

    Raises:
        TinyBertError: there is none, with the reason.
    """
    import transformers

    reason = _misfit(source)
    if reason is not None:
        raise TinyBertError(f"{source.name} cannot become a stock BERT: {reason}.")
    if source.model.config.model_type == "bert":
        return source.model
    model_class = getattr(transformers, _class_name(source))
    weights = {
        f"bert.{name.removeprefix('tinybert.')}" if name.startswith("tinybert.") else name: tensor
        for name, tensor in source.model.state_dict().items()
    }
    pooled = any("pooler." in name for name in weights)
    options = {} if source.task != ENCODER else {"add_pooling_layer": pooled}
    model = model_class(_config(source), **options).eval()
    model.load_state_dict(weights)
    return model  # type: ignore[no-any-return]


def _misfit(source: Source) -> str | None:
    config, family = source.model.config, source.model.config.model_type
    if source.translates:
        if family == "tinybert":
            return "it is a translator, and BERT writes nothing. Export it to bart, onnx or onnx-int8"
        return f"it is a stock {type(source.model).__name__} already"
    if family not in ("tinybert", "bert"):
        return f"it is a stock {type(source.model).__name__} already, and no BERT"
    if source.task == TEXT_CLASSIFICATION and getattr(config, "classifier_activation", None) == "relu":
        return (
            "its classifier is the published one, Linear(relu(pooled)) (classifier_activation in config.json), and "
            "BERT's has no relu. Distil or fine-tune it once more with a classifier of BERT's kind, or export it to "
            "onnx or onnx-int8"
        )
    return None


def config_of(source: Source) -> Any:
    """The configuration that goes with the graph of a model: a stock BERT's, where the graph is one.

    Programs that run a graph choose by it what they feed and what they return, and know no TinyBERT.
    """
    if source.model.config.model_type != "tinybert" or _misfit(source) is not None:
        return source.model.config
    config = _config(source)
    config.architectures = [_class_name(source)]
    return config


def _class_name(source: Source) -> str:
    """The class of the stock BERT with the head of a model."""
    return HEADS[source.task].bert or "" if source.task in HEADS else "BertModel"


def _config(source: Source) -> Any:
    from transformers import BertConfig

    given = source.model.config
    fields = {name: getattr(given, name) for name in _FIELDS if getattr(given, name, None) is not None}
    width = HEADS[source.task].width if source.task in HEADS else None
    if width is not None:
        return BertConfig(**fields, num_labels=width)
    return BertConfig(**fields, id2label=given.id2label, label2id=given.label2id)


# A translator as a stock BART, for programs that know only that.
#
# The layers are the same: norms behind what is added, a norm behind the embeddings, learnt places. BART has one table
# of words and one width, and no types of tokens: type 0, which every token here has, is added to the places.

_HALVES = {
    "attention.self.query": "self_attn.q_proj", "attention.self.key": "self_attn.k_proj",
    "attention.self.value": "self_attn.v_proj", "attention.output.dense": "self_attn.out_proj",
    "attention.output.LayerNorm": "self_attn_layer_norm",
    "crossattention.self.query": "encoder_attn.q_proj", "crossattention.self.key": "encoder_attn.k_proj",
    "crossattention.self.value": "encoder_attn.v_proj", "crossattention.output.dense": "encoder_attn.out_proj",
    "crossattention.output.LayerNorm": "encoder_attn_layer_norm",
    "intermediate.dense": "fc1", "output.dense": "fc2", "output.LayerNorm": "final_layer_norm",
}  # fmt: skip
_UNUSED_PLACES = 2  # BART's first place is row 2 of its table


def write_bart(source: Source, folder: Path) -> dict[str, str]:
    """Write a stock BART; there is no graph to name.

    Raises:
        TinyBertError: the model has no equal among the stock BARTs.
    """
    as_bart(source).save_pretrained(folder)  # its config.json takes the place of the model's
    for code in folder.glob("*.py"):
        code.unlink()  # of the TinyBERT
    return {}


def as_bart(source: Source) -> PreTrainedModel:
    """The stock BART with the weights of a translator.

    Raises:
        TinyBertError: there is none, with the reason.
    """
    from transformers import BartConfig, BartForConditionalGeneration

    reason = _bart_misfit(source)
    if reason is not None:
        raise TinyBertError(f"{source.name} cannot become a stock BART: {reason}.")
    given, model = source.model.config, source.model
    decoder = given.decoder_config()
    config = BartConfig(
        vocab_size=given.vocab_size,
        d_model=given.hidden_size,
        max_position_embeddings=given.max_position_embeddings,
        encoder_layers=given.num_hidden_layers,
        encoder_ffn_dim=given.intermediate_size,
        encoder_attention_heads=given.num_attention_heads,
        decoder_layers=decoder.num_hidden_layers,
        decoder_ffn_dim=decoder.intermediate_size,
        decoder_attention_heads=decoder.num_attention_heads,
        activation_function=given.hidden_act,
        dropout=given.hidden_dropout_prob,
        attention_dropout=given.attention_probs_dropout_prob,
        init_std=given.initializer_range,
        scale_embedding=True,
        pad_token_id=given.pad_token_id,
        bos_token_id=given.bos_token_id,
        eos_token_id=given.eos_token_id,
        decoder_start_token_id=model.generation_config.decoder_start_token_id,
        forced_eos_token_id=None,  # else it is token 2, in transformers 4 too
        normalize_before=False,  # transformers knows nothing else, and CTranslate2 asks for it
    )
    bart = BartForConditionalGeneration(config).eval()
    weights = {"model.shared.weight": model.tinybert.embeddings.word_embeddings.weight}
    for half, part in (("encoder", model.tinybert), ("decoder", model.decoder)):
        weights |= {f"model.{half}.{name}": one for name, one in _bart_half(part, given.hidden_size**0.5).items()}
    absent = bart.load_state_dict(weights, strict=False)
    assert not absent.unexpected_keys, absent
    bart.tie_weights()
    bart.generation_config = model.generation_config
    return bart


def _bart_half(half: Any, scale: float) -> dict[str, Tensor]:
    """The weights of an encoder or a decoder under BART's names.

    BART adds 1e-5 to a variance, more than embeddings of small numbers have to spare. Both tables are made larger
    (BART's `scale_embedding` does it to the words), so that it says as little there as the 1e-12 of a TinyBERT.
    """
    table = half.embeddings
    places = table.position_embeddings.weight + table.token_type_embeddings.weight[0]
    found = {
        "embed_positions.weight": functional.pad(places * scale, (0, 0, _UNUSED_PLACES, 0)),
        "layernorm_embedding.weight": table.LayerNorm.weight,
        "layernorm_embedding.bias": table.LayerNorm.bias,
    }
    for name, tensor in half.encoder.layer.state_dict().items():
        number, _, rest = name.partition(".")
        part, _, kind = rest.rpartition(".")
        found[f"layers.{number}.{_HALVES[part]}.{kind}"] = tensor
    return found


def _bart_misfit(source: Source) -> str | None:
    config = source.model.config
    if not source.translates:
        return "it is no translator. Export it to bert"
    if config.model_type != "tinybert":
        return f"it is a stock {type(source.model).__name__} already"
    if config.decoder_hidden_size not in (None, config.hidden_size):
        return (
            f"its encoder is {config.hidden_size} wide and its decoder {config.decoder_hidden_size}, and BART has one "
            "width. Export it to onnx or onnx-int8"
        )
    if config.tied_embeddings != "all":
        return (
            "source and target have embeddings of their own, and BART has one table for both. Export it to onnx or "
            "onnx-int8, or train a translator whose languages share a vocabulary"
        )
    return None
