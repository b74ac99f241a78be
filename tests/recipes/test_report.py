"""What a run prints at its end."""

import io

from rich.console import Console

from tinybert_hf.recipes.report import RunReport, show_warning


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


def test_a_warning_is_not_broken_where_a_log_is_searched() -> None:
    console = Console(record=True, width=20, file=io.StringIO())
    show_warning(console, "no better than always answering the most frequent label")
    assert "the most frequent label" in console.export_text()
