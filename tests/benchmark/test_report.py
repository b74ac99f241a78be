"""From times to figures, tables, JSON and the picture; on times that are made up."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from made_up_benchmark import BASE, SMALL, report, times

from tinybert_hf.benchmark.report import Latency, Measurement, caption, plot, tables
from tinybert_hf.cli.screen import known_to_json

SVG = "{http://www.w3.org/2000/svg}"


def test_percentiles_and_speed_of_made_up_times() -> None:
    own = times(4.0, 2.0, 3.0, 9.0)
    found = Measurement("m", "eager", 8, 100, 1).timed(own, own, with_cpu=True)
    assert found["wall"].p50_ms == pytest.approx(3.5)
    assert found["wall"].p95_ms == pytest.approx(np.percentile([4, 2, 3, 9], 95))
    assert found["cpu"].p50_ms == pytest.approx(1.75)
    assert found["rows_per_second"] == pytest.approx(8 / 0.0035)
    assert found["tokens_per_second"] == pytest.approx(800 / 0.0035)


def test_ratios_are_taken_round_by_round() -> None:
    small = report().measurement(SMALL, 1, 32)
    assert small.wall.faster.median == pytest.approx(15)  # 10/1, 20/1, 30/2; the medians would give 20
    assert (small.wall.faster.low, small.wall.faster.high) == pytest.approx((10, 20))
    assert small.cpu.faster.median == pytest.approx(15)
    assert report().measurement(BASE, 1, 32).wall.faster.median == 1


def test_no_ratio_where_the_baseline_was_skipped() -> None:
    assert Latency.of([1.0], [1.0], None).faster is None


def test_an_unknown_measurement() -> None:
    with pytest.raises(KeyError, match="small@onnx-int8, batch 3 x 32"):
        report().measurement(SMALL, 3, 32)


def test_the_schema_of_the_json() -> None:
    content: dict[str, Any] = json.loads(json.dumps(known_to_json(report().to_json()), allow_nan=False))
    assert content.keys() == {
        "schema", "baseline", "models", "measurements", "notes", "threads", "device", "processor", "versions",
    }  # fmt: skip
    assert content["schema"] == 1
    assert content["baseline"] == {"model": "base", "backend": "eager"}
    assert content["models"][1] == {
        "model": "small", "backend": "onnx-int8", "given": "/models/small", "random_weights": False,
        "parameters": 100_000_000, "megabytes": 16.0, "smaller": 25.0, "metrics": {"accuracy": 0.9},
        "main_metric": "accuracy",
    }  # fmt: skip
    first, _, third, last = content["measurements"]
    assert first.keys() == {
        "model", "backend", "batch_size", "length", "flops", "skipped", "forwards", "wall", "cpu", "rows_per_second",
        "tokens_per_second", "memory",
    }  # fmt: skip
    assert first["wall"].keys() == {"p50_ms", "p95_ms", "faster", "round_ms"}
    assert first["wall"]["faster"].keys() == {"median", "low", "high", "confidence", "rounds"}
    assert first["wall"]["round_ms"] == pytest.approx([10, 20, 30])
    assert third["memory"] == {"model_megabytes": 400.0, "forward_megabytes": 25.5}
    assert (last["skipped"], last["wall"], last["memory"]) == ("the model reads 512 tokens at most", None, None)


def test_tables() -> None:
    models, small, large = tables(report())
    assert models.columns == ("model", "backend", "parameters", "MB", "smaller", "accuracy")
    assert models.rows[1] == ("small", "onnx-int8", "100.0 M", "16.0", "25.0x", "0.9000")
    assert small.title == "Batch 1 x 32 tokens"
    assert small.columns[-2:] == ("CPU ms", "CPU: faster")
    assert small.rows[1][:3] == ("small", "onnx-int8", "2.00")
    assert small.rows[1][6] == "15.0x (10.0x-20.0x)"
    assert large.columns[-2:] == ("peak MB", "of a forward")
    assert large.rows[0][-2:] == ("426", "26")
    assert large.rows[1] == ("small", "onnx-int8", "-", "skipped", *["-"] * 7)
    for table in (models, small, large):
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert all(line.count("|") == len(table.columns) + 1 for line in table.markdown())
    assert "to base@eager: the median over 3 interleaved rounds" in caption(report())
    assert "75 % or more" in caption(report())


def test_what_was_not_measured_is_no_column() -> None:
    models, small, _ = tables(report(threads=2, quality=False))
    assert models.columns[-1] == "smaller"
    assert small.columns[-1] == "faster"
    assert "2 threads" in caption(report(threads=2))


def test_the_picture() -> None:
    drawn = plot(report())
    assert drawn is not None
    root = ElementTree.fromstring(drawn)
    discs = [one for one in root.iter(f"{SVG}circle") if one.find(f"{SVG}title") is not None]
    large, small = discs
    assert float(large.attrib["r"]) / float(small.attrib["r"]) == pytest.approx((400 / 16) ** 0.5, rel=0.02)
    assert float(large.attrib["cx"]) > float(small.attrib["cx"])  # slower
    assert float(large.attrib["cy"]) < float(small.attrib["cy"])  # better
    assert large.findtext(f"{SVG}title") == "base@eager: 92.0%, 20 ms, 400 MB"
    texts = "".join(one.text or "" for one in root.iter(f"{SVG}text"))
    assert "1 x 32 tokens" in texts
    assert plot(report(quality=False)) is None
