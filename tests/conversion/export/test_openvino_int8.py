"""OpenVINO in int8: near the model, small, the same file each time, and opened like every export."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from transformers import AutoModel, AutoTokenizer

from tinybert_hf.checkpoints import open_exported
from tinybert_hf.checkpoints.exported import nothing_reported
from tinybert_hf.conversion.export import export_model
from tinybert_hf.tasks import HEADS

pytest.importorskip("onnx")
openvino = pytest.importorskip("openvino")
pytest.importorskip("nncf")

TEXTS = ["the film was not very good.", "a dull plot, but bright", "good", "bad and bad and not good"]


def is_near(source: str, task: str) -> bool:
    """Whether the export in `out` differs at real tokens by little of what the model's answers differ by."""
    model = (HEADS[task].opener if task in HEADS else AutoModel).from_pretrained(source).eval()
    batch = AutoTokenizer.from_pretrained("out")(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected, found = model(**batch)[0], open_exported("out", threads=1)(**batch)[0]
    real = batch["attention_mask"].bool() if expected.shape[:2] == batch["input_ids"].shape else slice(None)
    return bool(0 < (found - expected)[real].abs().mean() < 0.25 * expected[real].std())


@pytest.mark.parametrize("task", [*HEADS, "encoder"])
def test_it_answers_nearly_as_the_model(task: str, saved: Callable[..., str], work: Path) -> None:
    report = export_model(saved(task), "out", "openvino-int8", texts=TEXTS)
    assert "Calibrated on 4 of the texts that were given." in report.notes
    assert report.notes[0] in Path("out/README.md").read_text()
    assert {path.name for path in Path("out").glob("openvino*")} == {"openvino_model.xml", "openvino_model.bin"}
    assert is_near(saved(task), task)


@pytest.mark.parametrize("config", [{"num_labels": 1}, {"problem_type": "multi_label_classification"}])
def test_numbers_and_several_labels(config: dict[str, Any], saved: Callable[..., str], work: Path) -> None:
    source = saved("text-classification", **config)
    export_model(source, "out", "openvino-int8", texts=TEXTS)
    assert is_near(source, "text-classification")


def test_tables_and_products_are_in_int8(saved: Callable[..., str], work: Path) -> None:
    export_model(saved("text-classification"), "out", "openvino-int8", texts=TEXTS)
    graph = openvino.Core().read_model("out/openvino_model.xml")
    tables = [
        node.get_element_type().get_type_name()
        for node in graph.get_ops()
        if node.get_type_name() == "Constant" and len(node.shape) == 2 and min(node.shape) > 2
    ]
    assert tables
    assert set(tables) == {"i8"}


def test_the_same_texts_in_any_order_give_the_same_file(saved: Callable[..., str], work: Path) -> None:
    for name, texts in (("a", TEXTS), ("b", TEXTS[::-1]), ("other", TEXTS[:2])):
        export_model(saved("text-classification"), name, "openvino-int8", texts=texts)
    for kind in ("bin", "xml"):
        first, second, other = (Path(name, f"openvino_model.{kind}").read_bytes() for name in ("a", "b", "other"))
        assert first == second
        assert first != other
    # What OpenVINO's cache tells them apart by (see test_openvinos_cache_tells_two_students_apart).
    read = [openvino.Core().read_model(f"{name}/openvino_model.xml") for name in ("a", "b", "other")]
    first, second, other = (str(one.get_rt_info(["tinybert_hf", "sha256"]).value) for one in read)
    assert first == second != other


@pytest.mark.parametrize("family", ["roberta", "distilbert"])
def test_families_that_read_no_segments(family: str, tiny_tokenizer: Any, work: Path) -> None:
    tiny_models.make(tiny_models.FAMILIES[family]()).save_pretrained("made")
    tiny_tokenizer.save_pretrained("made")
    export_model("made", "out", "openvino-int8", texts=TEXTS)
    assert is_near("made", "text-classification")


def test_weights_leave_room_for_processors_without_vnni(saved: Callable[..., str], work: Path) -> None:
    """Two products of 8 bits with 8 bits overflow the 16 that such a processor adds them in."""
    export_model(saved("text-classification"), "out", "openvino-int8", texts=TEXTS)
    graph = openvino.Core().read_model("out/openvino_model.xml")
    products = [node for node in graph.get_ops() if node.get_type_name() == "MatMul"]
    weights = [data for node in products if (data := constant_behind(node.input_value(1).get_node())) is not None]
    assert len(weights) > 4
    assert max(abs(data.astype(int)).max() for data in weights) <= 64


def constant_behind(node: Any) -> Any:
    """The weights of a product in int8, behind their scale; None where both of its sides are computed."""
    while node.get_type_name() in ("Multiply", "Convert", "Subtract"):
        node = node.input_value(0).get_node()
    return node.data if node.get_type_name() == "Constant" and node.get_element_type() == openvino.Type.i8 else None


@pytest.mark.parametrize("to", ["openvino", "openvino-int8"])
def test_nobody_is_told_of_it(to: str, saved: Callable[..., str], work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO's converter and NNCF tell Google Analytics unless it is a build server's."""
    from openvino_telemetry.utils.opt_in_checker import ConsentCheckResult, OptInChecker

    monkeypatch.delenv("CI", raising=False)
    with nothing_reported():
        assert OptInChecker().check(False, True) == ConsentCheckResult.DECLINED
    assert "CI" not in os.environ
    convert, seen = openvino.convert_model, []
    monkeypatch.setattr(
        openvino, "convert_model", lambda *given: (seen.append(os.environ.get("CI")), convert(*given))[1]
    )
    export_model(saved("text-classification"), "out", to, texts=TEXTS)
    assert seen == ["true"]


def test_one_that_loses_too_much_is_kept_and_reported(
    saved: Callable[..., str], work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tinybert_hf.conversion.export import exporting
    from tinybert_hf.data import DataSettings

    label = AutoModel.from_pretrained(saved("text-classification")).config.id2label[0]
    Path("dev.jsonl").write_text("".join(f'{{"text": "{text}", "label": "{label}"}}\n' for text in TEXTS))
    figures = iter(({"accuracy": 0.9}, {"accuracy": 0.8}))
    monkeypatch.setattr(exporting, "evaluate_any_checkpoint", lambda *_, **__: next(figures))
    settings = DataSettings(validation_file="dev.jsonl")
    report = export_model(saved("text-classification"), "out", "openvino-int8", validation=settings)
    assert report.lost_too_much
    assert "of the validation rows." in report.notes[0]
    open_exported("out")
