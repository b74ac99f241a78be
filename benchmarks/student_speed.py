"""A 4-layer student in int8 against BERT-base in PyTorch: how much smaller and faster, on the CPU.

    python benchmarks/student_speed.py --student FOLDER [--validation-file FILE] [--rounds N]

FOLDER holds a `4l-312d` classifier, FILE its validation rows: with them, what int8 costs in accuracy is measured.
BERT-base is its shape with random weights: what it answers is not needed, only what it costs. Each number of threads
is a benchmark of its own, with interleaved rounds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tinybert_hf import quiet_libraries
from tinybert_hf.benchmark import BenchmarkReport, BenchmarkSettings, Entry, benchmark_models
from tinybert_hf.benchmark.report import caption, format_ratio, tables
from tinybert_hf.cli.options import trained_with
from tinybert_hf.cli.screen import known_to_json
from tinybert_hf.conversion.export import export_model
from tinybert_hf.data import DataSettings

BASE, SIZE = Entry("bert-base", "eager"), (1, 128)
FASTER, SMALLER, POINTS = 20, 29, 0.5


def measure(
    student: str, exported: str, validation: DataSettings | None, threads: int, rounds: int
) -> BenchmarkReport:
    """BERT-base and the student in PyTorch, and the student in int8."""
    settings = BenchmarkSettings(
        backends=("eager",), batch_sizes=(SIZE[0],), lengths=(SIZE[1],), threads=threads, rounds=rounds, device="cpu"
    )
    say = lambda text: print(f"{threads} threads: {text}", flush=True)  # noqa: E731
    return benchmark_models([BASE.model, student, exported], settings, validation=validation, say=say)


def goals(reports: dict[int, BenchmarkReport]) -> list[tuple[str, str, str, bool]]:
    """What was to be reached, what it is, and whether it is reached."""
    one, two = reports[1], reports[2]
    int8 = one.models[-1]
    entry = Entry(int8.model, int8.backend)
    cpu, wall = one.measurement(entry, *SIZE).cpu, two.measurement(entry, *SIZE).wall
    assert cpu is not None
    assert wall is not None
    assert cpu.faster is not None
    assert wall.faster is not None
    found = [
        (f"CPU time of one thread: {FASTER}x", format_ratio(cpu.faster), cpu.faster.median >= FASTER),
        (f"wall time on 2 cores: {FASTER}x", format_ratio(wall.faster), wall.faster.median >= FASTER),
        (f"smaller on disk: {SMALLER}x", f"{int8.smaller:.1f}x", int8.smaller >= SMALLER),
    ]
    metric = one.main_metric
    if metric:
        lost = 100 * (one.models[1].metrics[metric] - int8.metrics[metric])  # type: ignore[index]
        found.append((f"{metric} lost by int8: at most {POINTS} points", f"{lost:.2f}", lost <= POINTS))
    return [(what, said, "yes" if reached else "no", reached) for what, said, reached in found]


def page(reports: dict[int, BenchmarkReport]) -> list[str]:
    """Markdown."""
    rows = " --validation-file FILE" if reports[1].main_metric else ""
    unknown = ["What int8 costs in accuracy is measured with `--validation-file FILE` only."]
    lines = [
        "# A 4-layer student in int8 against BERT-base",
        "",
        f"Written by `python benchmarks/student_speed.py --student FOLDER{rows}`: the student is a `4l-312d`",
        "that was distilled on SST-2, BERT-base is its shape with random weights in PyTorch (eager, fp32).",
        f"Batch {SIZE[0]} x {SIZE[1]} tokens. Ratios are medians over interleaved rounds, with their interval in",
        "brackets. The machine may be shared: then a long forward on several threads waits more often than a short",
        "one, so the wall time flatters the small model, and the ratio of the CPU time is the one to trust.",
        *([] if reports[1].main_metric else unknown),
        "",
        "| to be reached, against BERT-base | measured | reached |",
        "| --- | ---: | --- |",
        *(f"| {what} | {said} | {reached} |" for what, said, reached, _ in goals(reports)),
    ]
    for threads, report in reports.items():
        lines += ["", f"## {threads} thread{'s' if threads > 1 else ''}", ""]
        models, size = tables(report)
        lines += [*(models.markdown() if threads == 1 else []), *([""] if threads == 1 else []), *size.markdown()]
        lines += ["", caption(report)]
        lines += ["", *(f"Note: {note}" for note in report.notes)] if report.notes else []
    return lines


def main() -> None:
    """Measure with one thread and with two, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", required=True)
    parser.add_argument("--validation-file")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    arguments = parser.parse_args()
    quiet_libraries()
    validation = None
    if arguments.validation_file:
        known: dict[str, Any] = {**trained_with(arguments.student), "validation_file": arguments.validation_file}
        validation = DataSettings(**known)
    with TemporaryDirectory() as folder:
        exported = str(Path(folder) / f"{Path(arguments.student).name}-int8")
        print("exporting", flush=True)
        export_model(arguments.student, exported, "onnx-int8")
        reports = {
            threads: measure(arguments.student, exported, validation if threads == 1 else None, threads, rounds)
            for threads, rounds in ((1, arguments.rounds), (2, arguments.rounds))
        }
    arguments.output.mkdir(parents=True, exist_ok=True)
    content = {f"{threads} threads": _without_places(report) for threads, report in reports.items()}
    text = json.dumps(known_to_json(content), indent=1, ensure_ascii=False)
    (arguments.output / "student_speed.json").write_text(text + "\n", encoding="utf-8")
    (arguments.output / "student_speed.md").write_text("\n".join(page(reports)) + "\n", encoding="utf-8")
    print(*page(reports), sep="\n")


def _without_places(report: BenchmarkReport) -> dict[str, Any]:
    """The figures without the folders of this machine."""
    content = report.to_json()
    for one in content["models"]:
        one["given"] = Path(one["given"]).name
    return content


if __name__ == "__main__":
    main()
