"""The commands that train, use or measure a model: `finetune`, `classify`, `evaluate`, `benchmark`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinybert_hf.cli.options import (
    COLUMNS,
    above_zero,
    choose_columns,
    fields_of,
    takes,
    trained_with,
    usual_rows,
    validation_settings,
)
from tinybert_hf.cli.screen import (
    AsJson,
    answers_failures,
    check_row_files,
    known_to_json,
    opens_models,
    print_json,
    said_aside,
)
from tinybert_hf.errors import OutputFolderError, TinyBertError
from tinybert_hf.messages import counted
from tinybert_hf.tasks import TEXT_CLASSIFICATION, TOKEN_CLASSIFICATION

if TYPE_CHECKING:
    from tinybert_hf.benchmark import BenchmarkReport
    from tinybert_hf.data import DataSettings


_WHICH = "Which one, of an export that holds several, such as onnx-int8. Default: the first that was asked for."

# `tinybert evaluate`: the figures of a classifier of texts or words, of answers, or of a translator.


@answers_failures
@takes(*COLUMNS, "max_length", "cpu")
def evaluate(
    given: Mapping[str, Any],
    model: Annotated[
        str,
        typer.Argument(
            help="Folder or Hub id of a text classifier, a token classifier, a model that answers questions, or a "
            "translator."
        ),
    ],
    validation_file: Annotated[
        str,
        typer.Option(
            help="Rows to measure on: .jsonl, .json, .csv, .tsv, .parquet, also .gz.", rich_help_panel="Data"
        ),
    ],
    target_language: Annotated[
        str | None,
        typer.Option(
            help="Translation: a code such as zh or de; BLEU cuts words by it. Not given: by the references' script.",
            rich_help_panel="Data",
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Rows at once; changes the speed, not the figures.", rich_help_panel="Run")
    ] = 64,
    num_beams: Annotated[
        int, typer.Option(min=1, help="Translation: width of the search; 1 is greedy.", rich_help_panel="Run")
    ] = 1,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Question answering: a file for the answers; .json as SQuAD's own evaluation reads it, or .jsonl.",
            rich_help_panel="Run",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option("--format", help=_WHICH, rich_help_panel="Run"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a checkpoint: accuracy and F1 for labels, entity F1 for tagged words, correlation for numbers, exact
    match and F1 for answers to questions, BLEU and chrF for translations.

    A model that was trained here brings its columns and its length (run.json): they need not be given.
    """
    check_row_files(validation_file)
    from tinybert_hf.checkpoints import Checkpoint, check_length
    from tinybert_hf.cli.screen import quiet_libraries
    from tinybert_hf.evaluation import evaluate_any_checkpoint

    quiet_libraries()
    columns = {"validation_file": validation_file, **fields_of(given, "data")}
    with opens_models(model):
        known = trained_with(model)
        checkpoint = Checkpoint.read(model, "a text classifier or a translator", format=format)
        if "max_length" in given:
            check_length("max_length", given["max_length"], option="--max-length", model=checkpoint.config)
        metrics = evaluate_any_checkpoint(
            checkpoint,
            validation_settings(checkpoint.task, known, columns),
            batch_size=batch_size,
            num_beams=num_beams,
            target_language=target_language,
            device="cpu" if "cpu" in given else None,
            predictions=predictions,
        )
    _say_format(model, format)
    warnings = metrics.pop("warnings", ())
    for warning in warnings if as_json else ():
        typer.echo(f"WARNING: {warning}", err=True)
    if as_json:
        print_json(metrics)
        return
    for note in metrics.pop("notes", ()):
        typer.echo(note, err=True)
    print_metrics(metrics)
    for warning in warnings:
        typer.echo(f"WARNING: {warning}", err=True)


def print_metrics(metrics: Mapping[str, float | str]) -> None:
    """A table of metrics."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("metric", show_header=True)
    table.add_column("value", justify="right", overflow="fold")
    for name, value in metrics.items():
        table.add_row(escape(name), f"{value:.4f}" if isinstance(value, float) else escape(str(value)))
    Console().print(table)


# `tinybert finetune`: train a model on labels, tagged words or sentence pairs, without a teacher.


@answers_failures
@takes("validation_file", "validation_split", "task", *COLUMNS, "label_names", "max_length", "bf16", "cpu")
def finetune(
    given: Mapping[str, Any],
    train_file: Annotated[
        str,
        typer.Option(
            help="Rows to learn from: .jsonl, .json, .csv, .tsv, .parquet, also .gz.", rich_help_panel="Data"
        ),
    ],
    output_dir: Annotated[
        str,
        typer.Option(help="Folder for the fine-tuned model: new, empty, or of the same run, which then goes on."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="Folder or Hub id of a pretrained model. Not given, with --source-column and --target-column: a "
            "small translator is made from random weights, with a tokenizer trained on the rows."
        ),
    ] = None,
    vocabulary_size: Annotated[
        int,
        typer.Option(
            min=1,
            help="Tokens of a translator that is made here: of the source, or of both languages together.",
            rich_help_panel="Training",
        ),
    ] = 8000,
    target_vocabulary_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="A vocabulary of its own for the target, which suits a language of another script.",
            rich_help_panel="Training",
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(
            callback=above_zero,
            help="How often every row is seen. Default: 3, and more where rows are few, up to 10; 10 for a translator "
            "that is made here.",
            rich_help_panel="Training",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            callback=above_zero,
            help="Highest learning rate. Default: 5e-5, or 1e-3 for a translator that is made here.",
            rich_help_panel="Training",
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Rows of a step; fewer where memory is short.", rich_help_panel="Training")
    ] = 32,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.", rich_help_panel="Run")] = 42,
    as_json: AsJson = False,
) -> None:
    """Train a model on labels, tagged words or sentence pairs: a teacher to be, or a student without a teacher.

    A run that was stopped goes on with the same command.
    """
    names_pairs = bool(given.keys() & {"source_column", "target_column"})
    if model is None and not names_pairs:
        raise typer.BadParameter(
            "give --model; only a translator (--source-column, --target-column) is made from random weights"
        )
    check_row_files(train_file, given.get("validation_file"))
    if not given.keys() & {"validation_file", "validation_split"}:
        raise typer.BadParameter(
            "give --validation-file, or hold out a share of the training rows: --validation-split 0.1"
        )
    from tinybert_hf.checkpoints import check_length, open_config
    from tinybert_hf.cli.screen import quiet_libraries
    from tinybert_hf.data import DataSettings
    from tinybert_hf.evaluation import holds_translator
    from tinybert_hf.recipes.finetuning import finetune_pretrained, finetune_translator
    from tinybert_hf.training import FinetuneSettings

    task, tags_words = given.get("task"), bool(given.keys() & {"tokens_column", "tags_column"})
    head = task or (TOKEN_CLASSIFICATION if tags_words else TEXT_CLASSIFICATION)
    quiet_libraries()
    rows = {"train_file": train_file, **fields_of(given, "data")}
    default_epochs, default_rate = (None, 5e-5) if model is not None else (10.0, 1e-3)
    settings = FinetuneSettings(
        epochs=epochs or default_epochs, learning_rate=learning_rate or default_rate, batch_size=batch_size
    )
    more: dict[str, Any] = {"seed": seed, "training_arguments": fields_of(given, "training_arguments")}
    with opens_models(model), said_aside(as_json):
        translates = names_pairs or (model is not None and holds_translator(model))
        if task is not None and translates:
            raise typer.BadParameter(f"--task {task} is for encoders; leave it out to train a translator")
        if translates:
            more |= {"vocabulary_size": vocabulary_size, "target_vocabulary_size": target_vocabulary_size}
            metrics = finetune_translator(model, DataSettings(**rows), settings, output_dir, **more)
        else:
            assert model is not None
            if "max_length" in given:
                check_length("max_length", given["max_length"], option="--max-length", model=open_config(model))
            rows = {**usual_rows(head), **rows}
            data = DataSettings(**rows)
            if head == TEXT_CLASSIFICATION:
                data = choose_columns(data, rows)
            metrics = finetune_pretrained(model, data, settings, output_dir, task=head, **more)
    if as_json:
        print_json({"metrics": metrics, "folder": output_dir})
        return
    print_metrics({name: value for name, value in metrics.items() if not isinstance(value, str)})
    for name, value in metrics.items():
        if isinstance(value, str):
            print(f"{name.replace('_', ' ')}: {value}")
    print(f"The model is in {output_dir}; give it as --teacher, or open it with transformers.")


# `tinybert classify`: the answers of a classifier to a file of texts.


@answers_failures
@takes("text_column", "text_pair_column", "cpu")
def classify(
    given: Mapping[str, Any],
    model: Annotated[
        str, typer.Argument(help="Folder or Hub id of a classifier of texts or words; an export is faster.")
    ],
    input_file: Annotated[
        str,
        typer.Option(
            help="Texts: .txt (a text a line), or a column of a .jsonl, .json, .csv, .tsv or .parquet; also .gz.",
            rich_help_panel="Data",
        ),
    ],
    output_file: Annotated[
        str, typer.Option(help="Where the answers go, a JSON object a line; .jsonl.", rich_help_panel="Data")
    ],
    keep_column: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that is written beside the answers as it stands in the file, such as an id. Repeatable.",
            rich_help_panel="Data",
        ),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Tokens of a text that are read. Default: as the model was trained (run.json), else as many as it "
            "takes.",
            rich_help_panel="Data",
        ),
    ] = None,
    top_k: Annotated[
        int,
        typer.Option(
            min=0, help="Labels of a text that are given, the likeliest first; 0: all.", rich_help_panel="Data"
        ),
    ] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace answers that are there.", rich_help_panel="Data")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Of an exported model. Default: as its runtime thinks right.", rich_help_panel="Run"),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option("--format", help=_WHICH, rich_help_panel="Run"),
    ] = None,
) -> None:
    """Answer every text of a file: its label and score, or the entities in it, in the order of the file.

    A run that was stopped goes on with the same command, behind the last block of 2,048 texts. `tinybert classify
    out-onnx-int8 --input-file texts.jsonl
    --output-file answers.jsonl`
    """
    import time

    from rich.console import Console

    from tinybert_hf.cli.screen import quiet_libraries
    from tinybert_hf.data.shards import Share
    from tinybert_hf.evaluation.classifying import classify_file
    from tinybert_hf.recipes.folder import row_progress

    quiet_libraries()
    known = {name: value for name, value in trained_with(model).items() if name in _OF_TEXTS}
    named = fields_of(given, "data")
    rows = {
        **_fitting(known, input_file, named),
        **named,
        **({} if max_length is None else {"max_length": max_length}),
    }
    options = {"device": "cpu" if given.get("cpu") else None, "format": format}
    started = time.perf_counter()
    share = Share.launched()
    with opens_models(model), row_progress(Console(stderr=True, quiet=not share.is_first), "Classifying") as update:
        count = classify_file(
            model,
            input_file,
            output_file,
            **{name: value for name, value in rows.items() if value is not None},
            keep_columns=keep_column or (),
            top_k=top_k or None,
            threads=threads,
            overwrite=overwrite,
            progress=update,
            share=share,
            **{name: value for name, value in options.items() if value is not None},
        )
    seconds = time.perf_counter() - started
    if not share.is_first:
        return
    _say_format(model, format)
    print(
        f"{counted(count, 'text')} in {seconds:,.1f} s ({count / seconds:,.0f} a second): {output_file}",
        file=sys.stderr,
    )


def _say_format(model: str, format: str | None) -> None:
    """Which of the formats of an export was opened, where it holds several."""
    from tinybert_hf.checkpoints import EXPORT_FILE
    from tinybert_hf.checkpoints.exported import formats_of_export
    from tinybert_hf.checkpoints.integrity import read_object

    file = Path(model) / EXPORT_FILE
    known = formats_of_export(read_object(file)) if file.is_file() else []
    if len(known) > 1:
        said = f"{model} holds {' and '.join(known)}; this is {format or known[0]} (--format names another)."
        typer.echo(said, err=True)


_OF_TEXTS = ("text_column", "text_pair_column", "max_length")


def _fitting(known: Mapping[str, Any], file: str, named: Mapping[str, Any]) -> dict[str, Any]:
    """What a model was trained with, but for a column that texts without columns, or these ones, do not have.

    Raises:
        TinyBertError: the model reads pairs, and the file has single texts.
    """
    from tinybert_hf.data.files import SUFFIXES, checked_suffix, file_columns, obvious_column

    kept = dict(known)
    if checked_suffix(Path(file), (".txt", *SUFFIXES)).startswith(".txt"):
        if kept.get("text_pair_column"):
            raise TinyBertError(
                f"{file} has a text a line, and the model was trained on pairs of texts. Give a file with a column "
                "for each (--text-column, --text-pair-column)."
            )
        return {name: value for name, value in kept.items() if not name.endswith("_column")}
    column = kept.get("text_column")
    if column is not None and "text_column" not in named and column not in file_columns(file):
        kept["text_column"] = obvious_column(file)
        typer.echo(
            f"The text is taken from the column {kept['text_column']!r} (--text-column names another).", err=True
        )
    return kept


# `tinybert benchmark`: size, speed, memory and quality of models side by side.

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
@takes("cpu", "text_column", "text_pair_column", "label_column", "tokens_column", "tags_column", "max_length")
def benchmark(
    given: Mapping[str, Any],
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
    validation_file: Annotated[
        str | None,
        typer.Option(help="Labelled rows to measure all models on, as `evaluate` does.", rich_help_panel=_DATA),
    ] = None,
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
    from tinybert_hf.benchmark.settings import BenchmarkSettings

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
        device="cpu" if "cpu" in given else None,
    )
    columns = {"validation_file": validation_file, **fields_of(given, "data")}
    with opens_models(*_folders(models)):
        from tinybert_hf.benchmark import benchmark_models
        from tinybert_hf.cli.screen import quiet_libraries

        quiet_libraries()
        validation = _validation(models, columns) if validation_file is not None else None
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
    from tinybert_hf.benchmark.models import is_shape, is_teacher_of_run

    return [name for name in models if not is_shape(name) and not is_teacher_of_run(name)]


def _validation(models: list[str], given: dict[str, object]) -> DataSettings:
    """The rows, with the columns and the length that the first model with a run.json was trained with."""
    from tinybert_hf.evaluation import task_of_checkpoint

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
    from tinybert_hf.benchmark.report import plot as draw
    from tinybert_hf.checkpoints.integrity import write_atomically

    if json_file is not None:
        text = json.dumps(known_to_json(report.to_json()), indent=1, allow_nan=False, ensure_ascii=False)
        write_atomically(json_file, f"{text}\n")
    if plot is not None:
        drawn = draw(report)
        if drawn is None:
            typer.echo("WARNING: no picture was drawn: no model has both a figure and a time.", err=True)
        else:
            write_atomically(plot, drawn)
    for file in (json_file, plot):
        if file is not None and file.exists():
            _say(f"Written: {file}")


def _print(report: BenchmarkReport) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from tinybert_hf.benchmark.report import caption, tables

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
