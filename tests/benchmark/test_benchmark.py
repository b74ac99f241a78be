"""Whole benchmarks of tiny models, in PyTorch and in onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import make_teacher, rows, write_rows
from transformers import AutoModel

from tinybert_hf.benchmark import BenchmarkSettings, Entry, benchmark_models
from tinybert_hf.benchmark import models as backends
from tinybert_hf.benchmark.models import BenchmarkModel
from tinybert_hf.checkpoints import Checkpoint, is_exported
from tinybert_hf.data import DataSettings
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation import evaluate_any_checkpoint

ONE_SIZE: dict[str, Any] = {
    "batch_sizes": (2,), "lengths": (16,), "rounds": 2, "threads": 1, "memory": False, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of the same task and more weights."""
    return make_teacher(tmp_path_factory.mktemp("wide"), hidden_size=64, num_hidden_layers=6)


def test_models_beside_each_other(teacher: str, wide: str, tmp_path: Path) -> None:
    data = DataSettings(validation_file=write_rows(tmp_path / "dev.jsonl", rows(16)), max_length=32)
    threads, said = torch.get_num_threads(), []  # type: ignore[var-annotated]
    settings = BenchmarkSettings(**{**ONE_SIZE, "backends": ("eager",), "lengths": (16, 128)})
    report = benchmark_models([wide, teacher], settings, validation=data, say=said.append)
    assert torch.get_num_threads() == threads
    first, second = report.models
    assert report.baseline == Entry(first.model, "eager")
    assert (first.smaller, second.smaller) == (1, first.megabytes / second.megabytes)
    assert first.parameters > 2 * second.parameters
    assert second.metrics == dict(evaluate_any_checkpoint(teacher, data, device="cpu"))
    assert report.main_metric == "accuracy"
    assert report.sizes == [(2, 16), (2, 128)]
    measured = report.measurement(Entry(second.model, "eager"), 2, 16)
    assert measured.wall is not None
    assert measured.wall.faster is not None
    assert measured.wall.faster.rounds == 2
    assert measured.cpu is not None
    assert measured.forwards >= 2
    assert [one.skipped for one in report.measurements[2:]] == ["the model reads 64 tokens at most"] * 2
    assert len(report.notes) == 2
    assert any("validation rows" in one for one in said)
    assert said[-1] == "batch 2 x 128 tokens (2 of 2)"


def test_onnx_beside_pytorch(teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    from tinybert_hf import checkpoints
    from tinybert_hf.checkpoints import loading
    from tinybert_hf.conversion.export import export_model

    opened: list[tuple[Path, str | None]] = []
    open_exported = checkpoints.open_exported

    def noted(folder: str, *, threads: int | None, format: str | None) -> Any:
        opened.append((Path(folder), format))
        return open_exported(folder, threads=threads, format=format)

    for place in (checkpoints, loading):  # to be timed, and to be measured on the rows
        monkeypatch.setattr(place, "open_exported", noted)
    exported = tmp_path / "int8"
    export_model(teacher, exported, ["onnx", "onnx-int8"])
    data = DataSettings(validation_file=write_rows(tmp_path / "dev.jsonl", rows(16)), max_length=32)
    settings = BenchmarkSettings(**ONE_SIZE, backends=("eager",), baseline="int8@onnx-int8")
    report = benchmark_models([teacher, exported], settings, validation=data)
    assert [one.backend for one in report.models] == ["eager", "onnx", "onnx-int8"]
    assert str(report.baseline) == "int8@onnx-int8"
    eager, onnx, int8 = report.models
    assert int8.megabytes == (exported / "onnx" / "model_quantized.onnx").stat().st_size / 1e6
    assert int8.megabytes < onnx.megabytes
    assert int8.smaller == 1
    assert eager.parameters == onnx.parameters == int8.parameters
    assert onnx.metrics == eager.metrics
    assert sorted(opened) == 2 * [(exported, "onnx")] + 2 * [(exported, "onnx-int8")]
    assert all(one.wall is not None for one in report.measurements)
    assert {one.flops for one in report.measurements} == {report.measurements[0].flops}


def test_an_export_to_openvino_beside_pytorch(teacher: str, tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    from tinybert_hf.conversion.export import export_model

    exported = tmp_path / "small"
    export_model(teacher, exported, "openvino-int8", texts=["the film was good", "bad"])
    report = benchmark_models([teacher, exported], BenchmarkSettings(**ONE_SIZE, backends=("eager",)))
    assert [one.backend for one in report.models] == ["eager", "openvino-int8"]
    assert report.models[1].megabytes == sum(one.stat().st_size for one in exported.glob("openvino_model.*")) / 1e6


def test_a_shape_is_exported_with_a_vocabulary_of_its_own(tiny_config: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    shape = BenchmarkModel("tiny", Checkpoint("", tiny_config()), "AutoModelForSequenceClassification")
    folder = backends.exported_folder(shape, Entry("tiny", "onnx"), tmp_path, lambda text: None)
    assert folder is not None
    assert is_exported(folder)
    cpu = torch.device("cpu")
    forward = backends.open_forward(shape, "onnx", folder, threads=1, device=cpu)(3, 64)
    eager = backends.open_forward(shape, "eager", None, threads=1, device=cpu)(3, 64)
    with torch.inference_mode():
        assert torch.allclose(forward().logits, eager().logits, atol=1e-4)  # type: ignore[attr-defined]


def test_a_missing_library(teacher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str, extra: str) -> None:
        raise TinyBertError(f'{module} is not installed. It comes with: pip install "tinybert_hf[{extra}]"')

    monkeypatch.setattr("tinybert_hf.checkpoints.require", missing)
    with pytest.raises(
        TinyBertError, match=r'backend onnx cannot run: onnx is not.*pip install "tinybert_hf\[onnx\]"'
    ):
        benchmark_models([teacher], BenchmarkSettings(**ONE_SIZE, backends=("eager", "onnx")))
    notes: list[str] = []
    found = backends.choose_backends(
        {"t": BenchmarkModel("t", Checkpoint(teacher, None), "AutoModel")}, (), torch.device("cpu"), notes
    )
    assert [one.backend for one in found] == ["eager", "compiled"]
    assert len(notes) == 2
    assert all("was left out" in note and "pip install" in note for note in notes)


def test_on_a_gpu_onnx_is_left_out_by_default() -> None:
    pytest.importorskip("onnxruntime")
    notes: list[str] = []
    known = {"t": BenchmarkModel("t", Checkpoint("t", None), "AutoModel")}
    found = backends.choose_backends(known, (), torch.device("cuda"), notes)
    assert [one.backend for one in found] == ["eager", "compiled"]
    assert "runs on the CPU" in notes[0]
    asked = backends.choose_backends(known, ("onnx",), torch.device("cuda"), notes)
    assert [one.backend for one in asked] == ["onnx"]


def test_a_model_that_cannot_be_exported(tmp_path: Path, teacher: str) -> None:
    pytest.importorskip("onnxruntime")
    from transformers import DebertaV2Config

    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    AutoModel.from_config(DebertaV2Config(vocab_size=30, **shape)).save_pretrained(tmp_path / "deberta")
    with pytest.raises(TinyBertError):
        benchmark_models([tmp_path / "deberta"], BenchmarkSettings(**ONE_SIZE, backends=("onnx",)))


@pytest.mark.parametrize(
    ("models", "settings", "message"),
    [
        ([], {}, "one model at least"),
        (["T", "T"], {}, "is named twice"),
        (["T"], {"baseline": "other"}, "baseline 'other' is none of the models"),
        (["T"], {"baseline": "T@onnx"}, "baseline .* is none of the models"),
    ],
)
def test_what_is_refused(teacher: str, models: list[str], settings: dict[str, Any], message: str) -> None:
    named = [teacher if one == "T" else one for one in models]
    if "baseline" in settings:
        settings = {"baseline": settings["baseline"].replace("T", teacher)}
    with pytest.raises(TinyBertError, match=message):
        benchmark_models(named, BenchmarkSettings(**ONE_SIZE, backends=("eager",), **settings))


def test_models_of_different_tasks_are_not_measured_on_the_same_rows(
    teacher: str, headless: str, tmp_path: Path
) -> None:
    data = DataSettings(validation_file=write_rows(tmp_path / "dev.jsonl", rows(4)))
    three = make_teacher(tmp_path / "three", labels=("a", "b", "c"))
    settings = BenchmarkSettings(**ONE_SIZE, backends=("eager",))
    with pytest.raises(TinyBertError, match=r"labels differ: a, b, c of .*negative, positive of"):
        benchmark_models([teacher, three], settings, validation=data)
    with pytest.raises(TinyBertError, match="has no head for a task"):
        benchmark_models([teacher, headless], settings, validation=data)
    with pytest.raises(TinyBertError, match="Only shapes without weights"):
        benchmark_models(["2l-192d"], settings, validation=data)
    # Without rows, heads do not matter.
    assert len(benchmark_models([teacher, three, headless], settings).measurements) == 3


@pytest.mark.slow
def test_everything_at_once(teacher: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    settings = BenchmarkSettings(**{**ONE_SIZE, "memory": True, "lengths": (8, 16)})
    report = benchmark_models([teacher], settings)
    assert [one.backend for one in report.models] == ["eager", "compiled", "onnx", "onnx-int8"]
    assert all(one.wall is not None for one in report.measurements), report.notes
    assert [one.memory is not None for one in report.measurements] == [True, False, True, True] * 2
