"""A student that is chosen by its speed."""

import dataclasses
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tiny_run import make_teacher, recipe_mapping
from transformers import AutoModelForSequenceClassification
from typer.testing import CliRunner

from tinybert_hf.cli import app
from tinybert_hf.cli.distill import recipe_overrides
from tinybert_hf.errors import RecipeError, TinyBertError
from tinybert_hf.evaluation.cost import Times
from tinybert_hf.publishing import write_report
from tinybert_hf.recipes import budget
from tinybert_hf.recipes.loader import apply_overrides, build, changed_recipe
from tinybert_hf.recipes.plan import Plan, make_plan
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe

SECONDS = {"teacher": 0.020, "2l-128d": 0.004, "1l-128d": 0.002}


@pytest.fixture
def wide(work: Path) -> str:
    """A teacher that two presets are not wider than."""
    return make_teacher(work / "wide teacher", hidden_size=128)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names that are timed, each time; what they take is `SECONDS`, and in other rounds more."""
    asked: list[list[str]] = []

    def times(models: Any, *_: Any, **__: Any) -> tuple[dict[str, Times], int]:
        asked.append(list(models))
        # The time that passes is that of a machine with other work.
        return {name: Times([[7.0]], [[9.0, SECONDS.get(name, 0.003)], [3.0]]) for name in models}, 32

    monkeypatch.setattr(budget, "time_models", times)
    monkeypatch.setattr(budget, "_MEASURED", {})
    return asked


def recipe(folder: Path, model: str, *assignments: str, **student: Any) -> Recipe:
    mapping = recipe_mapping(folder, model, student=student)
    mapping["phases"] = [{"name": phase["name"], "epochs": 1, "batch_size": 16} for phase in mapping["phases"]]
    return build(Recipe, apply_overrides(mapping, assignments))


def chosen(folder: Path, model: str, **student: Any) -> Plan:
    return make_plan(recipe(folder, model, **student))


@pytest.mark.parametrize(
    ("asked", "preset"),
    [
        ({"target_speedup": 1.5}, "2l-128d"),
        ({"target_speedup": 5.0}, "2l-128d"),
        ({"target_speedup": 5.1}, "1l-128d"),
        ({"target_latency_ms": 3.9}, "1l-128d"),
        ({"target_latency_ms": 4.0}, "2l-128d"),
    ],
)
def test_the_largest_that_is_fast_enough(
    work: Path, wide: str, timed: list[list[str]], asked: dict[str, float], preset: str
) -> None:
    plan = chosen(work, wide, **asked)
    assert timed == [["teacher", "2l-128d", "1l-128d"]], "wider ones, and those of other heads, cannot start from it"
    assert plan.recipe.student.preset == preset
    assert plan.student_config.num_hidden_layers == int(preset[0])
    assert plan.recipe.phases[0].learning_rate == 2e-3, "as usual for its width"
    assert any(f"The student is {preset}, the largest preset with at" in note for note in plan.notes)
    assert "2l-128d 4.00 ms (5.0x), 1l-128d 2.00 ms (10.0x)" in plan.notes[0]
    make_plan(recipe(work, wide, **asked))
    assert len(timed) == 1, "a second plan of the same models measures nothing"


def test_none_is_fast_enough(work: Path, wide: str, timed: list[list[str]]) -> None:
    message = (
        r"no preset has at least 30 times .* The nearest is 1l-128d: 2\.00 ms for the teacher's 20\.00 ms .* 10\.0"
    )
    with pytest.raises(RecipeError, match=message):
        chosen(work, wide, target_speedup=30.0)
    with pytest.raises(RecipeError, match=r"target_latency_ms: no preset has at most 1 ms"):
        chosen(work, wide, target_latency_ms=1.0)
    assert not (work / "out").exists()


def test_no_preset_can_start_from_a_narrow_teacher(work: Path, teacher: str, timed: list[list[str]]) -> None:
    with pytest.raises(RecipeError, match="no preset can start from a teacher 32 wide"):
        chosen(work, teacher, target_speedup=2.0)


def test_heads_that_do_not_divide(work: Path, timed: list[list[str]]) -> None:
    teacher = make_teacher(work / "twenty heads", hidden_size=320, num_attention_heads=20)
    chosen(work, teacher, target_speedup=2.0)
    assert timed == [["teacher", "2l-128d", "1l-128d"]], "12 heads are no part of 20, 4 are"


@pytest.mark.parametrize("dtype", [None, "float16", "bfloat16"])
def test_a_teacher_is_timed_in_the_numbers_that_it_runs_in(
    work: Path, wide: str, monkeypatch: pytest.MonkeyPatch, dtype: str | None
) -> None:
    """Not in those of its file: a CPU takes several times as long for half precision."""
    seen: list[torch.dtype] = []

    def times(models: Any, *_: Any, **__: Any) -> tuple[dict[str, Times], int]:
        seen.append(models["teacher"].dtype)
        return {name: Times([[7.0]], [[SECONDS[name]]]) for name in models}, 32

    monkeypatch.setattr(budget, "time_models", times)
    monkeypatch.setattr(budget, "_MEASURED", {})
    AutoModelForSequenceClassification.from_pretrained(wide).half().save_pretrained(wide)
    assert json.loads((Path(wide) / "config.json").read_text())["dtype"] == "float16"
    make_plan(recipe(work, wide, f"teacher.dtype={dtype or 'null'}", target_speedup=2.0))
    assert seen == [getattr(torch, dtype or "float32")]


def test_a_recipe_that_names_a_speed_can_be_told_a_student() -> None:
    mapping: dict[str, Any] = {"student": {"target_speedup": 3.0}, "phases": [{"name": "prediction"}]}
    for given, expected in (
        ({"student": "2l-128d"}, ("2l-128d", None, None)),
        ({"target_latency": "2ms"}, (None, None, 2.0)),
        ({"target_speedup": 4.0}, (None, 4.0, None)),
    ):
        student = changed_recipe(mapping, "own.yaml", recipe_overrides("own.yaml", mapping, given), [])["student"]
        assert tuple(student.get(name) for name in ("preset", "target_speedup", "target_latency_ms")) == expected


def test_widths_of_the_recipe_count(work: Path, teacher: str, timed: list[list[str]]) -> None:
    """All presets are 24 wide here, so a teacher of width 32 can start them; none is deeper than its four layers."""
    chosen(work, teacher, target_speedup=2.0, overrides={"hidden_size": 24})
    assert set(timed[0]) == {"teacher", "4l-312d", "2l-192d", "2l-128d", "1l-128d"}


@pytest.mark.parametrize(
    ("student", "changes", "message"),
    [
        ({"target_speedup": 2.0, "preset": "2l-128d"}, {}, "it chooses the student, and one is named"),
        ({"target_speedup": 2.0, "model": "here"}, {}, "it chooses the student, and one is named"),
        ({"target_speedup": 2.0, "target_latency_ms": 2.0}, {}, "and not both"),
        ({"target_speedup": 0.0}, {}, "student.target_speedup is 0.0; it must be above 0"),
        ({"target_latency_ms": -1.0}, {}, "student.target_latency_ms is -1.0"),
        ({"target_speedup": 2.0}, {"extra_teachers": [{"model": "other"}]}, "beside one teacher"),
        ({"target_speedup": 2.0}, {"task": "translation"}, "with a head"),
    ],
)
def test_what_does_not_go_together(work: Path, student: Any, changes: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build(Recipe, recipe_mapping(work, "teacher", student=student, **changes))


def test_several_processes_do_not_choose_each_for_itself(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RecipeError, match="each process would measure for itself"):
        recipe(work, "teacher", target_speedup=2.0)


def test_a_run_keeps_its_choice(
    work: Path, wide: str, timed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another measurement, of a machine that does something else now, would choose another student."""
    wanted = recipe(work, wide, "baseline=null", target_speedup=5.0)
    with monkeypatch.context() as stopped:
        stopped.setattr("tinybert_hf.recipes.run.run_phases", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_recipe(wanted, Console(quiet=True))
    monkeypatch.setattr(budget, "_MEASURED", {})
    monkeypatch.setitem(SECONDS, "2l-128d", 0.019)
    report = run_recipe(wanted, Console(quiet=True))
    assert timed[1:] == [["teacher", "student"]], "what was reached is measured, and nothing is chosen anew"
    assert json.loads((work / "out" / "config.json").read_text())["num_hidden_layers"] == 2
    assert report.budget["preset"] == "2l-128d"
    assert make_plan(wanted).recipe.student.preset == "2l-128d", "nor does a finished run measure again"
    with (work / "said.txt").open("w") as said:
        run_recipe(wanted, Console(file=said, width=300))
    assert re.search(
        r"Asked for at least 5 times the teacher's speed: the trained student takes 3\.00 ms for the teacher's "
        r"20\.00 ms \(cpu, one thread\), 6\.7 times as fast\.$",
        (work / "said.txt").read_text(),
        flags=re.MULTILINE,
    )
    for file in ("README.md", str(write_report(work / "out"))):
        assert "Asked for at least 5 times" in html.unescape((work / "out" / file).read_text()), file
    missed = budget.reached({**report.budget, "reached_ms": {"teacher": 20.0, "student": 4.1}})
    assert missed.endswith("4.9 times as fast. That is missed: the machine was busy, or is another one by now.")
    with pytest.raises(TinyBertError, match=r"student\.target_speedup: 5\.0 there, 4\.0 now"):
        make_plan(recipe(work, wide, "baseline=null", target_speedup=4.0))


def test_real_models_are_timed(work: Path, wide: str) -> None:
    plan = chosen(work, wide, target_speedup=1e-3)
    assert plan.choice is not None
    assert list(plan.choice.latencies_ms) == ["teacher", "2l-128d", "1l-128d"]
    assert all(0 < value < 1e4 for value in plan.choice.latencies_ms.values())


def test_a_busy_machine_is_told() -> None:
    choice = budget.Choice("1l-128d", 2.0, None, {"teacher": 9.0, "2l-128d": 1.0, "1l-128d": 2.0}, "cpu")
    assert "a smaller preset took longer" in choice.said()
    calm = dataclasses.replace(choice, latencies_ms={"teacher": 9.0, "2l-128d": 1.0, "1l-128d": 1.1})
    assert "a smaller preset took longer" not in calm.said()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--target-latency", "2ms"), "target_latency_ms: 2.0"),
        (("--target-latency", "0.5"), "target_latency_ms: 0.5"),
        (("--target-latency", "soon"), "expected milliseconds"),
        (("--target-speedup", "3", "--student", "2l-128d"), "leave one of the two out"),
        (("--target-speedup", "3", "--target-latency", "2ms"), "give either"),
    ],
)
def test_options(
    work: Path, wide: str, options: tuple[str, ...], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Recipe] = []
    monkeypatch.setattr("tinybert_hf.recipes.plan.make_plan", lambda recipe: seen.append(recipe) or 1 / 0)
    files = recipe_mapping(work, wide)["data"]
    words = ["distill", "--teacher", wide, "--train-file", files["train_file"], "--dry-run", *options]
    done = CliRunner().invoke(app, [*words, "--validation-file", files["validation_file"]])
    said = re.sub(r"[\s│]+", " ", done.output)
    if expected.startswith("target"):
        name, value = expected.split(": ")
        assert getattr(seen[0].student, name) == float(value)
        assert seen[0].student.preset is None
    else:
        assert expected in said
        assert not seen
