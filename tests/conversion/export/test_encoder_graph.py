"""Graphs of encoders give what the model gives, whatever the shape of the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from transformers import AutoModel

from tinybert_hf.tasks import HEADS

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tinybert_hf.checkpoints.exported import ExportedModel, OnnxGraph
from tinybert_hf.conversion.export.onnx_graph import can_write, encoder_model

FAMILIES = {
    **tiny_models.FAMILIES,
    "gelu_new": lambda: tiny_models.BertConfig(**tiny_models.COMMON, **tiny_models.SIZES, hidden_act="gelu_new"),
    "silu": lambda: tiny_models.BertConfig(**tiny_models.COMMON, **tiny_models.SIZES, hidden_act="silu"),
}
del FAMILIES["albert"]
TASKS = (*HEADS, "encoder")


def make(family: str, task: str) -> Any:
    config = FAMILIES[family]()
    config.num_labels = 2 if task == "question-answering" else 5
    torch.manual_seed(0)
    return (HEADS[task].opener if task in HEADS else AutoModel).from_config(config).eval()


def exported(model: Any, task: str, folder: Path, *, int8: bool = False) -> ExportedModel:
    file = folder / "model.onnx"
    file.write_bytes(encoder_model(model, task, int8=int8).SerializeToString())
    return ExportedModel(model.config, OnnxGraph(file, 1), folder)


def difference(model: Any, other: Any, batch: dict[str, torch.Tensor]) -> float:
    with torch.inference_mode():
        expected, found = model(**batch), other(**batch)
    real, largest = batch["attention_mask"].bool(), 0.0
    assert list(found) == [name for name, value in expected.items() if torch.is_tensor(value)]
    for name, ours in found.items():
        assert ours.shape == expected[name].shape
        gap = (ours - expected[name]).abs()
        largest = max(largest, float((gap[real] if gap.shape[:2] == real.shape else gap).max()))
    return largest


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_same_outputs_at_every_shape(family: str, task: str, tmp_path: Path) -> None:
    model = make(family, task)
    other = exported(model, task, tmp_path)
    for lengths in ([7], [60], [60, 7, 23], [78, 1, 2]):  # the RoBERTa has 80 places, of which two are never used
        batch = tiny_models.batch_of(lengths)
        assert difference(model, other, batch) < 1e-4, lengths


@pytest.mark.parametrize("family", ["bert", "gelu_new"])
def test_segments_are_told_apart(family: str, tmp_path: Path) -> None:
    model = make(family, "text-classification")
    other = exported(model, "text-classification", tmp_path)
    batch = tiny_models.batch_of([12, 9])
    batch["token_type_ids"] = (torch.arange(12) > 5).long().repeat(2, 1)
    assert difference(model, other, batch) < 1e-4
    with torch.inference_mode():
        plain = other(batch["input_ids"], batch["attention_mask"])
    assert (plain.logits - other(**batch).logits).abs().max() > 1e-2


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_cast_to_fp32(family: str) -> None:
    """Converters to float16 leave such a cast as it is, and the session is refused."""
    from onnx import TensorProto

    graph = encoder_model(make(family, "token-classification"), "token-classification", int8=False).graph
    casts = [one for node in graph.node if node.op_type == "Cast" for one in node.attribute]
    assert casts
    assert TensorProto.FLOAT not in [one.i for one in casts]


def test_a_row_of_padding_alone_gives_numbers(tmp_path: Path) -> None:
    other = exported(make("bert", "token-classification"), "token-classification", tmp_path)
    batch = tiny_models.batch_of([12, 9])
    batch["attention_mask"][1] = 0
    assert torch.isfinite(other(**batch).logits).all()


@pytest.mark.filterwarnings("ignore:the float32 number")  # what float16 has not
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_converter_to_float16_gives_what_runs(family: str, task: str, tmp_path: Path) -> None:
    float16 = pytest.importorskip("onnxconverter_common.float16")
    model = make(family, task)
    half = float16.convert_float_to_float16(encoder_model(model, task, int8=False), keep_io_types=True)
    (tmp_path / "half.onnx").write_bytes(half.SerializeToString())
    other = ExportedModel(model.config, OnnxGraph(tmp_path / "half.onnx", 1), tmp_path)
    for lengths in ([7], [60, 7, 23]):
        assert difference(model, other, tiny_models.batch_of(lengths)) < 0.1
    batch = tiny_models.batch_of([12, 9])
    batch["attention_mask"][1] = 0
    assert torch.isfinite(other(**batch)[0]).all()


@pytest.mark.parametrize("task", TASKS)
def test_int8_is_near_and_a_quarter_as_large(task: str, tmp_path: Path) -> None:
    model = make("bert", task)
    size = len(encoder_model(model, task, int8=False).SerializeToString())
    other = exported(model, task, tmp_path, int8=True)
    assert 1e-4 < difference(model, other, tiny_models.batch_of([30, 9, 17])) < 0.5
    weights = sum(one.numel() for one in model.parameters())
    assert (tmp_path / "model.onnx").stat().st_size < size
    # Its nodes are a large part of so small a model; they are the same whatever the width.
    assert (tmp_path / "model.onnx").stat().st_size - (size - 4 * weights) < 1.6 * weights


def test_a_text_classifier_computes_its_last_layer_for_one_token_only() -> None:
    import onnx

    model = make("bert", "text-classification")
    shapes = {
        info.name: [one.dim_param or one.dim_value for one in info.type.tensor_type.shape.dim]
        for info in onnx.shape_inference.infer_shapes(
            encoder_model(model, "text-classification", int8=False)
        ).graph.value_info
    }
    # Shape inference of some versions of onnx knows that a slice has one token, and of others only that it is another.
    *inner, last = [shape[1] for name, shape in shapes.items() if name.startswith("Gelu")]
    (cut,) = [shape[1] for name, shape in shapes.items() if name.startswith("Slice")]
    assert len(set(inner)) == 1
    assert last == cut != inner[0]


def test_fp32_holds_standard_operators_only() -> None:
    import onnx

    written = encoder_model(make("bert", "encoder"), "encoder", int8=False)
    onnx.checker.check_model(written, full_check=True)
    assert {node.domain for node in written.graph.node} == {""}


@pytest.mark.parametrize("name", tiny_models.UNFIT)
def test_what_is_not_built_like_bert_is_refused(name: str) -> None:
    torch.manual_seed(0)
    model = tiny_models.make(tiny_models.UNFIT[name]())
    assert "is not built like BERT" in (can_write(model) or "")
