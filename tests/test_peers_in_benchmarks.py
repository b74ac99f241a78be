"""What benchmarks/ compares us with: the same losses, the time as planned, and what is not installed is named."""

import gzip
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parent.parent
WORDS = ("fine", "dull", "moving", "slow", "a film of", "that never ends", "about nothing", "we liked", "it", "and")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Opens a file of benchmarks/ as a module."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def texts(count: int) -> list[str]:
    return [" ".join(WORDS[(i * k + k) % len(WORDS)] for k in range(1, 2 + i % 9)) for i in range(count)]


def test_a_way_that_measures_itself_is_believed(benchmark: Any) -> None:
    module = benchmark("classifying")
    taken = iter((9.0, 1.0, 5.0, 2.0))  # the first one warms up
    found = module.seconds({"there": lambda: module.Seconds(next(taken)), "here": lambda: 7.0}, rounds=3)
    assert found["there"] == 2.0
    assert found["here"] < 1.0


def test_the_plain_pipeline_keeps_its_batch_sizes_and_the_others_their_best(benchmark: Any) -> None:
    measured = {"pipeline, batch_size=1": 4.0, "pipeline, batch_size=8": 2.0, "Classifier, onnx": 0.5}
    inside = "pipeline, our onnx-int8 inside"
    measured |= {f"{inside}, batch_size=8": 0.7, f"{inside}, batch_size=32": 0.6}
    assert benchmark("classifying").best_of(measured) == {
        "pipeline, batch_size=1": 4.0,
        "pipeline, batch_size=8": 2.0,
        "Classifier, onnx": 0.5,
        inside: 0.6,
    }


@pytest.mark.slow
def test_the_page_of_classifying_names_what_is_left_out(tmp_path: Path) -> None:
    for folder, column in (("sst2", "sentence"), ("agnews", "text")):
        (tmp_path / "data" / folder).mkdir(parents=True)
        with gzip.open(tmp_path / "data" / folder / "validation.jsonl.gz", "wt") as file:
            file.writelines(json.dumps({column: text}) + "\n" for text in texts(40))
    command = [sys.executable, str(ROOT / "benchmarks/classifying.py"), "--data", str(tmp_path / "data")]
    command += ["--rounds", "1", "--output", str(tmp_path / "results")]
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "results/classifying.md").read_text()
    for way in ("pipeline, batch_size=32", "pipeline, our onnx-int8 inside", "Classifier, onnx-int8"):
        assert f"\n| {way} |" in page
    assert "Left out: " in page
    assert "no --optimum-python" in page
    wrong = subprocess.run(
        [*command, "--optimum-python", str(tmp_path / "none")],
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 2
    assert "did not open its models" in wrong.stderr


def test_scores_are_averaged_over_the_heads_that_ours_averages(benchmark: Any) -> None:
    from tinybert_hf.distillation.capturing import AttentionRecord
    from tinybert_hf.distillation.losses.attention import attention_loss

    torch.manual_seed(0)
    student = [torch.randn(2, 2, 5, 3) for _ in range(2)]
    teacher = [torch.randn(2, 6, 5, 4) for _ in range(2)]
    maps = [query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 for query, key in (student, teacher)]
    in_groups = benchmark("other_tools_runs").in_groups
    expected = (in_groups(maps[0], 2) - in_groups(maps[1], 2)).square().mean()
    records = [AttentionRecord(*pair, scaling=pair[0].shape[-1] ** -0.5) for pair in (student, teacher)]
    torch.testing.assert_close(attention_loss(*records, torch.ones(2, 5, dtype=torch.bool)), expected)


def test_the_rate_rises_and_falls_over_the_steps_that_were_planned(benchmark: Any) -> None:
    module = benchmark("other_tools_runs")
    run = module.Run.__new__(module.Run)
    run.rows, run.plan = [{}] * 65, module.Plan(steps={"intermediate": 20}, warmup={"intermediate": 0.1})
    factors = [run.factor("intermediate")(step) for step in range(21)]
    assert factors[:3] == [0.0, 0.5, 1.0]
    assert factors[2:] == sorted(factors[2:], reverse=True)
    assert factors[20] == 0.0
    assert run.steps("prediction") == module.EPOCHS * 3  # of all rows, where nothing was planned
    assert [run.factor("prediction")(step) for step in (0, 3, 6)] == [1.0, 0.5, 0.0]


def test_a_plan_that_was_json_has_layers_as_numbers(benchmark: Any) -> None:
    plan = benchmark("other_tools_runs").Plan(**json.loads(json.dumps({"layer_map": {1: 3, 2: 6}})))
    assert plan.states == {0: 0, 1: 3, 2: 6}


def test_cpu_seconds_are_divided_as_the_phases_were(benchmark: Any) -> None:
    budget_of = benchmark("front_others").budget_of
    phases = [{"name": "intermediate", "seconds": 30.0}, {"name": "prediction", "seconds": 10.0}]
    run = {"phases": phases, "seconds": {"student": 44.0}, "share": 0.5}
    assert budget_of(run) == {"intermediate": 16.5, "prediction": 5.5}
    assert budget_of(run, 8.0) == {"intermediate": 6.0, "prediction": 2.0}


def test_the_table_of_equal_time_names_tools_that_did_not_run(benchmark: Any) -> None:
    steps = {"intermediate": 1250, "prediction": 3}
    found = {
        "preset": "2l-128d",
        "rows": 20000,
        "validation_rows": 2000,
        "batch": 32,
        "probe": 100,
        "where": "a processor",
        "rates": {"intermediate": 2e-3, "prediction": 5e-4},
        "start": 78.85,
        "standard_error": 0.79,
        "budget": {"intermediate": 12.0, "prediction": 10.0},
        "tools": {
            "tinybert_hf": {"version": "0.1.0", "steps": steps, "seconds": 22.0, "accuracy": 85.35},
            "TextBrewer": {"error": "ModuleNotFoundError: No module named 'textbrewer'"},
        },
    }
    front = benchmark("front")
    text = front.page({}, found)
    assert "| tinybert_hf 0.1.0 | 1,250 | 3 | 22 | 85.3 |\n" in text
    assert "| TextBrewer" not in text
    assert "Did not run: TextBrewer: ModuleNotFoundError: No module named 'textbrewer'." in text
    assert "equal CPU time" not in front.page({}, None)


def test_fasttext_learns_the_labels(benchmark: Any) -> None:
    pytest.importorskip("fasttext")
    front = benchmark("front")
    rows = front.Rows.__new__(front.Rows)
    rows.train = ["Fine, FINE film!", "dull. dull", "a fine one", "so dull..."] * 30
    rows.train_labels = [1, 0, 1, 0] * 30
    assert front.fast_text(rows)(["fine!", "DULL"]) == ["1", "0"]
