"""The tables of docs/results/tasks.md, from the runs of benchmarks/tasks.py."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from typing import Any

from task_settings import (
    ABLATED,
    EPOCHS,
    EVERY_TASK,
    FEW_ROWS,
    RATED,
    RATES,
    RECIPE,
    STUDENTS,
    TASKS,
    TEACHER_EPOCHS,
    TUNED_RATES,
    VARIANTS,
    WIDE,
    WITHOUT,
)


def _values(results: dict[str, Any], task: str, student: str, variant: str, who: str) -> list[float]:
    name = f"{task}/{student}-{variant}-"
    of_seeds = [one["metrics"] for key, one in results.items() if key.removeprefix(name).isdigit()]
    return [metrics[who] for metrics in of_seeds if who in metrics]


def _strict(results: dict[str, Any]) -> dict[str, Any]:
    """The same with the figures that are 0 where nothing was learnt, of tasks that have others."""
    return {name: {**one, "metrics": one.get("strict", one["metrics"])} for name, one in results.items()}


def _trivial(results: dict[str, Any], tasks: list[str]) -> str:
    """The line of a model that always says the commonest label."""
    found = [list(results.get(f"{task}/trivial", {"metrics": {}})["metrics"].values()) or [0.0] for task in tasks]
    return f"| always the commonest label | {' | '.join(_cell(values) for values in found)} | | |"


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"


def _row(title: str, cells: list[list[float]], teachers: list[list[float]]) -> str:
    """A line of a table, with the mean share of the teachers' figures where no task is missing."""
    means = [statistics.mean(values) for values in cells if values]
    whole = len(means) == len(cells)
    share = ""
    if whole:
        pairs = zip(means, (statistics.mean(one) for one in teachers), strict=True)
        share = f"{100 * statistics.mean(own / theirs for own, theirs in pairs):.1f} %"
    average = f"{statistics.mean(means):.1f}" if whole else ""
    return f"| {title} | {' | '.join(_cell(values) for values in cells)} | {average} | {share} |"


def _rates(student: str) -> str:
    return f"{' and '.join(f'{rate:g}' for rate in TUNED_RATES[student])} ({student})"


def tables(results: dict[str, Any]) -> Iterator[str]:
    """Markdown: students beside their teachers, and what each part brings."""
    tasks = [task for task in TASKS if any(name.startswith(f"{task}/") for name in results)]
    teachers = [_values(results, task, STUDENTS[0], "whole", "teacher")[:1] for task in tasks]
    yield "# Every task"
    yield ""
    yield "Written by `python benchmarks/tasks.py --data FOLDER`; every run stands in tasks.json."
    yield "Percent on the validation rows; ± is the standard deviation over seeds, without it there is one seed. The"
    yield "last column is the mean over the tasks of the share of the teacher's figure."
    yield ""
    yield "Tuned: the general student has read three collections of text, two (4l-312d) or three times, not one of"
    yield "them once; and the two phases learn at the rates"
    yield f"{_rates('4l-312d')}, {_rates('2l-192d')}, not 0.0004 and 0.0002, chosen on STS-B's validation rows and"
    yield "taken for every task. Tuned students are trained in mixed precision."
    yield ""
    yield from _head(tasks)
    yield f"| rows learnt from | {' | '.join(f'{EVERY_TASK[task].rows:,}' for task in tasks)} | | |"
    yield _trivial(results, tasks)
    yield _row("teacher, 6 layers x 384", teachers, teachers)
    for student in STUDENTS:
        for title, variant, who in (
            ("distilled on these rows", "whole", "student"),
            ("distilled on these rows and 10 copies of each", "copies", "student"),
            ("on these rows alone for as many steps as with copies", "long", "student"),
            ("on the labels alone from the same start", "whole", "baseline"),
            ("tuned, on these rows", "tuned", "student"),
            ("tuned but for the rates, on these rows", "tuned-slow", "student"),
            ("tuned, on these rows and 10 copies of each", "tuned-copies", "student"),
        ):
            yield from _lines(results, tasks, teachers, f"{student}, {title}", (student, variant), who)
    yield from _all_rows_table(results)
    ablated = [task for task in ABLATED if task in tasks]
    named = [teachers[tasks.index(task)] for task in ablated]
    yield ""
    yield f"## What each part brings ({STUDENTS[0]})"
    yield ""
    yield f"| | {' | '.join(ablated)} | mean | of teacher |"
    yield f"| --- |{' ---: |' * (len(ablated) + 2)}"
    for name, variant in VARIANTS.items():
        cells = [_values(results, task, STUDENTS[0], name, "student") for task in ablated]
        if any(cells):
            yield _row(variant.title, cells, named)
    cells = [_values(results, task, STUDENTS[0], "whole", "baseline") for task in ablated]
    if any(cells):
        yield _row("without task distillation: the general student on the labels alone", cells, named)
    yield from _rates_table(results)
    yield from _epochs_tables(results)


def _lines(
    results: dict[str, Any],
    tasks: list[str],
    teachers: list[list[float]],
    title: str,
    which: tuple[str, str],
    who: str = "student",
) -> Iterator[str]:
    """The line of a student and a variant; of one with copies, which some tasks lack, another without gaps."""
    student, variant = which
    cells = [_values(results, task, student, variant, who) for task in tasks]
    if any(cells):
        yield _row(title, cells, teachers)
    if any(cells) and variant in WITHOUT and not all(cells):
        plain = [_values(results, task, student, WITHOUT[variant], who) for task in tasks]
        both = [further or without for further, without in zip(cells, plain, strict=True)]
        yield _row(f"{student}, the line above, and where it is empty without them", both, teachers)


def _all_rows_table(results: dict[str, Any]) -> Iterator[str]:
    """Teachers and students that have learnt from all training rows."""
    tasks = [task for task in WIDE if any(_values(results, task, one, "wide", "student") for one in STUDENTS)]
    learnt = f"| rows learnt from | {' | '.join(f'{EVERY_TASK[task].rows:,}' for task in tasks)} | | |"
    said = (
        "Teacher and student learn from all training rows of the task (of SQuAD from every second question); the",
        "general student has read all texts once, reviews and news among them; rates as of the tuned. The Chinese",
        "students start from their teacher, projected down.",
    )
    variants = {"wide": "", "wide-copies": ", and 10 copies of each row"}
    yield from _section("All rows", said, results, tasks, variants, (learnt, _trivial(results, tasks)))


def _rates_table(results: dict[str, Any]) -> Iterator[str]:
    """What the rates do where there is no general student."""
    tasks = [task for task in RATED if any(_values(results, task, one, "rates-low", "student") for one in STUDENTS)]
    said = (
        "The recipe text-classification with these rates of its two phases; the start is the teacher, projected",
        f"down. At most {RECIPE['most_rows']:,} rows. The teachers have seen all.",
    )
    titles = {name: f", {variant.title}" for name, variant in RATES.items()}
    yield from _section("Learning rates without a general student", said, _strict(results), tasks, titles, strict=True)


def _epochs_tables(results: dict[str, Any]) -> Iterator[str]:
    """What more epochs do where there are few rows."""
    first, results = next(iter(EPOCHS)), _strict(results)
    tasks = [task for task in RATED if any(_values(results, task, one, first, "student") for one in STUDENTS)]
    said = ("As above, at the rates that the recipe leaves to the student's width. The teachers have seen all rows.",)
    titles = {name: f", {variant.title}" for name, variant in EPOCHS.items()}
    yield from _section("Epochs of few rows", said, results, tasks, titles, strict=True)
    alone = {epochs: [_alone(results, task, epochs) for task in RATED] for epochs in TEACHER_EPOCHS}
    if any(any(cells) for cells in alone.values()):
        yield from ("", f"The pretrained model itself, fine-tuned on {FEW_ROWS:,} rows at 5e-5:", "")
        yield from _head(list(RATED), strict=True)
        for epochs, cells in alone.items():
            yield _row(f"{epochs} epochs", cells, [_teacher(results, task) for task in RATED])


def _alone(results: dict[str, Any], task: str, epochs: int) -> list[float]:
    run = results.get(f"{task}/teacher-epochs-{epochs}-of-{FEW_ROWS}-1")
    return [] if run is None else [run["metrics"]["alone"]]


def _section(
    title: str,
    said: Iterable[str],
    results: dict[str, Any],
    tasks: list[str],
    variants: dict[str, str],
    first: Iterable[str] = (),
    *,
    strict: bool = False,
) -> Iterator[str]:
    """A table of teachers and students; nothing where no task has a run."""
    if not tasks:
        return
    teachers = [_teacher(results, task) for task in tasks]
    yield from ("", f"## {title}", "", *said, "", *_head(tasks, strict=strict), *first)
    yield _row("teacher, 6 layers x 384", teachers, teachers)
    for student in STUDENTS:
        for variant, title in variants.items():
            yield from _lines(results, tasks, teachers, f"{student}{title}", (student, variant))


def _head(tasks: list[str], *, strict: bool = False) -> Iterator[str]:
    which = [(strict and EVERY_TASK[task].strict_metric) or EVERY_TASK[task].metric for task in tasks]
    named = (f"{task.removesuffix('-all')} ({metric})" for task, metric in zip(tasks, which, strict=True))
    yield f"| | {' | '.join(named)} | mean | of teacher |"
    yield f"| --- |{' ---: |' * (len(tasks) + 2)}"


def _teacher(results: dict[str, Any], task: str) -> list[float]:
    """The figure of a task's teacher, from any run beside it."""
    runs = (one["metrics"] for name, one in results.items() if name.startswith(f"{task}/"))
    return [metrics["teacher"] for metrics in runs if "teacher" in metrics][:1]
