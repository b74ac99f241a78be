"""What a run prints at its end."""

import io
import math
from dataclasses import asdict, replace

import pytest
from rich.console import Console

from tinybert_hf.recipes.report import RunReport, metric_through_phases, phases_that_fell, show_warning


def printed(report: RunReport, width: int = 60) -> str:
    console = Console(record=True, width=width, file=io.StringIO())
    report.show(console)
    return console.export_text()


COST = {"parameters": 1e6, "megabytes": 4.0, "latency_ms": 1.0}
REPORT = RunReport(
    folder="runs/[mine] with a name that is longer than the screen is wide",
    main_metric="accuracy",
    metrics={"teacher": {"accuracy": 0.9}, "student": {"accuracy": 0.81}},
    costs={"teacher": COST, "student": COST},
    warnings=["the teacher [bert] knows nothing"],
)


def test_the_line_that_loads_the_student_can_be_copied() -> None:
    lines = printed(REPORT).splitlines()
    assert f"The student is in {REPORT.folder}." in lines
    assert f'Load it: import tinybert_hf; pipeline("text-classification", "{REPORT.folder}")' in lines


def test_a_warning_is_a_paragraph_of_its_own() -> None:
    lines = printed(REPORT).splitlines()
    place = lines.index("WARNING: the teacher [bert] knows nothing")
    assert lines[place - 1] == lines[place + 1] == ""


def test_a_warning_that_was_given_already_is_only_counted() -> None:
    console = Console(record=True, width=60, file=io.StringIO())
    replace(REPORT, warnings=[*REPORT.warnings, "another"]).show(console, said=REPORT.warnings)
    shown = console.export_text()
    assert shown.count("WARNING") == 1
    assert "1 warning stands above, and in run.json." in shown.splitlines()


def test_a_warning_is_not_broken_where_a_log_is_searched() -> None:
    console = Console(record=True, width=20, file=io.StringIO())
    show_warning(console, "no better than always answering the most frequent label")
    assert "the most frequent label" in console.export_text()


def test_no_share_of_a_teacher_that_knows_nothing() -> None:
    report = replace(
        REPORT,
        main_metric="pearson",
        further_metrics=["spearman"],
        metrics={"teacher": {"pearson": -0.1, "spearman": 0.2}, "student": {"pearson": 0.3, "spearman": 0.4}},
    )
    assert math.isnan(report.share)
    lines = [line for line in printed(report, width=120).splitlines() if line.startswith("│ ")]
    cells = [[cell.strip() for cell in line.split("│")][2:5] for line in lines]
    assert cells == [["-0.1000", "-", "0.2000"], ["0.3000", "-", "0.4000"]]


def test_it_is_said_where_the_teacher_brought_nothing() -> None:
    said = "Trained alone, the same student is as good"
    for alone, expected in ((0.80, False), (0.81, True), (0.82, True)):
        metrics = {**REPORT.metrics, "baseline": {"accuracy": alone}}
        report = replace(REPORT, metrics=metrics, costs={**REPORT.costs, "baseline": COST})
        assert (said in printed(report, width=200)) == expected
    assert said not in printed(REPORT, width=200)


def test_an_earlier_run_is_shown_again() -> None:
    """run.json of a version that knew no further metrics."""
    content = {key: value for key, value in asdict(REPORT).items() if key not in ("folder", "further_metrics")}
    assert RunReport.read(content, REPORT.folder) == REPORT


def test_no_figure_is_cut_off_in_a_narrow_window() -> None:
    names = {"accuracy": 0.9123, "f1": 0.8234, "matthews_correlation": 0.7345}
    report = replace(
        REPORT, metrics={"teacher": names, "student": names}, further_metrics=["f1", "matthews_correlation"]
    )
    shown = printed(report, width=60)
    assert all(f"{value:.4f}" in shown for value in names.values())
    assert "1.00 M" in shown


def test_answers_are_asked_for_in_their_own_way() -> None:
    shown = printed(replace(REPORT, task="question-answering", folder="out"), width=200)
    assert 'QuestionAnswerer("out")(question, context)' in shown
    assert "AutoModelForQuestionAnswering" in shown


def phase(name: str, accuracy: float | None, head: str = "followed") -> dict[str, object]:
    return {"name": name, "metrics": {} if accuracy is None else {"accuracy": accuracy}, "head": head}


def test_the_main_metric_is_followed_through_the_phases() -> None:
    phases = [phase("intermediate", 0.75), phase("prediction", 0.9, "trained")]
    said = "Student's accuracy: 0.5000 at the start, 0.7500 after intermediate, 0.9000 after prediction"
    assert metric_through_phases("accuracy", {"accuracy": 0.5}, phases) == said
    assert metric_through_phases("accuracy", {}, phases) == ""
    assert metric_through_phases("accuracy", {"accuracy": 0.5}, [phase("intermediate", None)]) == ""
    left = metric_through_phases("accuracy", {"accuracy": 0.5}, [phase("intermediate", 0.4, "left")])
    assert left.endswith("0.4000 after intermediate, its head left as it was")


@pytest.mark.parametrize(
    ("values", "rows", "fell"),
    [
        ((0.8, 0.9, 0.95), 400, []),
        ((0.8, 0.76, 0.9), 400, []),  # two standard errors of 400 answers: 0.05
        ((0.8, 0.74, 0.9), 400, [0]),
        ((0.8, 0.76, 0.9), 10_000, [0]),
        ((0.8, 0.9, 0.7), 400, [1]),
        ((0.8, 0.7, 0.6), 400, [0, 1]),
    ],
)
def test_a_phase_that_took_knowledge_away_is_warned_of(values: tuple[float, ...], rows: int, fell: list[int]) -> None:
    names = ("intermediate", "prediction")
    phases = [phase(name, value) for name, value in zip(names, values[1:], strict=True)]
    warnings = phases_that_fell("accuracy", {"accuracy": values[0]}, phases, rows)
    assert [warning.split(" began")[0] for warning in warnings] == [f"Phase {i} ({names[i]})" for i in fell]
    for index, warning in zip(fell, warnings, strict=True):
        assert f"{values[index]:.4f}" in warning
        assert f"{values[index + 1]:.4f}" in warning


def test_a_head_that_was_left_behind_says_nothing_of_its_phase() -> None:
    phases = [phase("intermediate", 0.1, "left"), phase("prediction", 0.05, "trained")]
    assert phases_that_fell("accuracy", {"accuracy": 0.8}, phases, 400) == []
    assert phases_that_fell("accuracy", {}, [phase("intermediate", 0.1)], 400) == []
