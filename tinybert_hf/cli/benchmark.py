"""`tinybert benchmark`: size, speed, memory and quality of models side by side."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinybert_hf.cli.early_checks import check_row_files
from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.json_output import AsJson, known_to_json, print_json
from tinybert_hf.cli.model_folders import opens_models
from tinybert_hf.cli.options import (
    Cpu,
    LabelColumn,
    MaxLength,
    TagsColumn,
    TextColumn,
    TextPairColumn,
    TokensColumn,
    above_zero,
    data_overrides,
)
from tinybert_hf.cli.trained_with import trained_with
from tinybert_hf.errors import OutputFolderError, TinyBertError

if TYPE_CHECKING:
    from tinybert_hf.benchmarking import BenchmarkReport
    from tinybert_hf.data import DataSettings

_WIDE = 160
_MEASURED, _FILES, _DATA = "What is measured", "Files", "Quality"


def numbers(text: str) -> str:
    """Refuse what is no list of whole numbers; the text is read by `_numbers`."""
    try:
        _numbers(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: give whole numbers, separated by commas, such as 1,8,32") from None
    return text


@answers_failures
def benchmark(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Folders, Hub ids, exported folders, RUN/teacher, or shapes without weights, such as bert-base, "
            "bert-large, distilbert-base, 4l-312d, 6l-768d. The first one is what the others are compared with.",
        ),
    ],
    backends: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME,...",
            help="Of eager, compiled, onnx, onnx-int8. Default: all that can run here.",
            rich_help_panel=_MEASURED,
        ),
    ] = None,
    batch_sizes: Annotated[
        str, typer.Option(metavar="N,N,...", callback=numbers, help="Rows of a forward.", rich_help_panel=_MEASURED)
    ] = "1,8,32",
    lengths: Annotated[
        str, typer.Option(metavar="N,N,...", callback=numbers, help="Tokens of a row.", rich_help_panel=_MEASURED)
    ] = "32,128,512",
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL[@BACKEND]",
            help="What the ratios compare with. Default: the first model in its first backend.",
            rich_help_panel=_MEASURED,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Threads of the CPU; with 1, CPU time is shown as well. Default: as many as PyTorch uses.",
            rich_help_panel=_MEASURED,
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            callback=above_zero, help="Time for the rounds of each size; at least 3 rounds.", rich_help_panel=_MEASURED
        ),
    ] = 10.0,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="Exactly so many rounds, whatever they take.", rich_help_panel=_MEASURED),
    ] = None,
    memory: Annotated[
        bool, typer.Option("--memory/--no-memory", help="Measure peak memory.", rich_help_panel=_MEASURED)
    ] = True,
    cpu: Cpu = False,
    validation_file: Annotated[
        str | None,
        typer.Option(help="Labelled rows to measure all models on, as `evaluate` does.", rich_help_panel=_DATA),
    ] = None,
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    label_column: LabelColumn = None,
    tokens_column: TokensColumn = None,
    tags_column: TagsColumn = None,
    max_length: MaxLength = None,
    json_file: Annotated[
        Path | None, typer.Option(help="Write every figure to this file as JSON.", rich_help_panel=_FILES)
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw quality against latency, with size as area, to this file: .svg. Needs --validation-file.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure models side by side: latency, throughput, size, FLOPs, peak memory, and quality on rows if you like.

    Every round gives each model in each backend its turn, so a busy machine slows all alike: trust the ratios more
    than the milliseconds. Inputs are random tokens without padding.
    """
    from tinybert_hf.benchmarking.settings import BenchmarkSettings

    if plot is not None and validation_file is None:
        raise TinyBertError("--plot shows how good the models are: give --validation-file FILE with it.")
    for file, suffix in ((json_file, ".json"), (plot, ".svg")):
        _check_writable(file, suffix)
    check_row_files(validation_file)
    settings = BenchmarkSettings(
        backends=tuple(name.strip() for name in backends.split(",")) if backends is not None else (),
        batch_sizes=_numbers(batch_sizes),
        lengths=_numbers(lengths),
        baseline=baseline,
        threads=threads,
        seconds=seconds,
        rounds=rounds,
        memory=memory,
        device="cpu" if cpu else None,
    )
    given = data_overrides(
        None,
        validation_file,
        text_column,
        text_pair_column,
        label_column,
        max_length,
        tokens_column=tokens_column,
        tags_column=tags_column,
    )
    with opens_models(*_folders(models)):
        from tinybert_hf.benchmarking import benchmark_models
        from tinybert_hf.cli.quiet import quiet_libraries

        quiet_libraries()
        validation = _validation(models, given) if validation_file is not None else None
        report = benchmark_models(models, settings, validation=validation, say=_say)
    if all(one.skipped is not None for one in report.measurements):
        raise TinyBertError(f"Every size was skipped, so nothing was measured: {' '.join(report.notes)}")
    _write(report, json_file, plot)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in text.split(","))


def _folders(models: list[str]) -> list[str]:
    """Those that have to be there as a folder, or on the Hub."""
    from tinybert_hf.benchmarking.contestants import is_shape, is_teacher_of_run

    return [name for name in models if not is_shape(name) and not is_teacher_of_run(name)]


def _validation(models: list[str], given: dict[str, object]) -> DataSettings:
    """The rows, with the columns and the length that the first model with a run.json was trained with."""
    from tinybert_hf.cli.validation_rows import validation_settings
    from tinybert_hf.evaluation import task_of_checkpoint
    from tinybert_hf.opening import TEXT_CLASSIFICATION

    known = next((found for found in map(trained_with, models) if found), {})
    folders = _folders(models)
    return validation_settings(task_of_checkpoint(folders[0]) if folders else TEXT_CLASSIFICATION, known, given)


def _check_writable(file: Path | None, suffix: str) -> None:
    """Refuse a file that could not be written at the end, before minutes are spent."""
    if file is None:
        return
    if file.suffix != suffix:
        raise OutputFolderError(f"{file}: the name of this file has to end in {suffix}.")
    if file.is_dir():
        raise OutputFolderError(f"{file} is a folder. Give the name of a file.")
    if not file.parent.is_dir():
        raise OutputFolderError(f"{file} cannot be written: there is no folder {file.parent}.")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise OutputFolderError(f"{file} cannot be written: you may not write there.")


def _write(report: BenchmarkReport, json_file: Path | None, plot: Path | None) -> None:
    from tinybert_hf.benchmarking.plot import plot as draw
    from tinybert_hf.data.shard_folder import replace_text

    if json_file is not None:
        text = json.dumps(known_to_json(report.to_json()), indent=1, allow_nan=False, ensure_ascii=False)
        replace_text(json_file, f"{text}\n")
    if plot is not None:
        drawn = draw(report)
        if drawn is None:
            typer.echo("WARNING: no picture was drawn: no model has both a figure and a time.", err=True)
        else:
            replace_text(plot, drawn)
    for file in (json_file, plot):
        if file is not None and file.exists():
            _say(f"Written: {file}")


def _print(report: BenchmarkReport) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from tinybert_hf.benchmarking.tables import caption, tables

    console = Console()
    if not console.is_terminal:  # a file or a pipe: no line needs to be broken
        console = Console(width=_WIDE)
    for one in tables(report):
        table = Table(title=one.title, title_justify="left", title_style="bold")
        for number, column in enumerate(one.columns):
            table.add_column(column, justify="left" if number < 2 else "right", overflow="fold")
        for row in one.rows:
            table.add_row(*map(escape, row))
        console.print(table)
    console.print(caption(report), highlight=False, markup=False)
    for note in report.notes:
        typer.echo(f"note: {note}", err=True)


def _say(text: str) -> None:
    typer.echo(text, err=True)
