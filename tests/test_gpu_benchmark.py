"""The benchmark for a GPU says what failed, what did not fit and where memory ended, and no CPU is taken for a GPU."""

from __future__ import annotations

import importlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parent.parent


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("gpu")


@pytest.fixture
def bench(gpu: Any) -> Any:
    return importlib.import_module("gpu_bench")


def test_it_is_refused_on_a_cpu_that_was_not_asked_for(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match="There is no GPU here"):
        gpu.choose_device(None, False)
    with pytest.raises(SystemExit, match="sees no GPU"):
        gpu.choose_device("cuda", True)
    assert gpu.choose_device(None, True) == gpu.choose_device("cpu", False) == "cpu"
    assert gpu.results_folder("cpu", False) == gpu.results_folder("cuda", True) != gpu.results_folder("cuda", False)


def test_failures_are_rows_and_parts_and_the_next_goes_on(
    gpu: Any, bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = importlib.import_module("gpu_runs")
    order: list[str] = []

    def way(name: str, error: Exception | None = None) -> Any:
        def run() -> Any:
            order.append(name)
            if error is not None:
                raise error
            return bench.Run(0.25, 2_000_000_000, 1.0)

        return run

    def general(one: Any) -> None:
        ways = {
            "ours": way("ours"),
            "plain": way("plain", torch.OutOfMemoryError("CUDA out of memory.")),
        }

        def measure() -> dict[str, Any]:
            return dict(one.with_rates(one.interleaved(ways, 3), 100.0, 5e11))

        one.measure_each({"a row": measure})
        order.append("|")
        both = one.interleaved({"first": way("first"), "second": way("second")}, 2)
        assert both["first"]["rounds"] == [0.25, 0.25]
        rounds = iter([bench.Run(6.0, 10, 1.0), bench.Run(2.0, 30, 2.0), bench.Run(1.0, 20, 3.0)])
        uneven = one.interleaved({"uneven": lambda: next(rounds)}, 3)["uneven"]
        assert (uneven["seconds"], uneven["peak_bytes"], uneven["warm_seconds"]) == (2.0, 30, 1.0)

    def lengths(one: Any) -> None:
        one.measure_each({"slow": lambda: time.sleep(60) or {}, "never": dict})

    def teacher(one: Any) -> None:
        raise RuntimeError("a part of its own")

    def inference(one: Any) -> None:
        one.measure_each({"b": lambda: {"ways": one.interleaved({"teacher": way("x", ValueError("bad"))}, 2)}})

    made = {"general": general, "lengths": lengths, "teacher": teacher, "inference": inference}
    monkeypatch.setattr(runs, "PARTS", made)
    monkeypatch.setattr(bench, "matrix_rate", lambda device, size: 1e13)
    device = bench.Device("cpu")
    results = gpu.Results(tmp_path / "gpu.json", device.describe(), True)
    budget = gpu.Budget(60.0)
    monkeypatch.setattr(budget, "share", lambda part, following: 0.3 if part == "lengths" else 20.0)
    gpu.measure(results, list(made), device, bench.TINY, budget)
    assert order == ["ours", "plain", "ours", "ours", "|", "first", "second", "second", "first", "x"]

    kept = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    said = {name: gpu.troubles(part) for name, part in kept["parts"].items()}
    assert said["general"] == []  # the plain procedure has no room: a result
    assert kept["parts"]["general"]["rows"][0]["ways"]["ours"]["share_of_matrix_rate"] == pytest.approx(0.2)
    assert said["lengths"][0].startswith("ended early")
    assert said["lengths"][1] == "not measured: slow, never"
    assert said["teacher"] == ["failed: RuntimeError: a part of its own"]
    assert said["inference"] == ["failed: b, teacher: ValueError: bad"]

    page = gpu.page(kept, said)
    assert "| a row | out of memory | 250.00 ms | " in page
    assert "2.00 GB" in page
    assert all(line in page for line in ("Not measured: slow, never.", "Failed: RuntimeError: a part of its own."))

    other = {**device.describe(), "name": "another"}
    with pytest.raises(SystemExit, match="another machine"):
        gpu.Results(tmp_path / "gpu.json", other, True)
