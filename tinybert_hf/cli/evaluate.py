"""`tinybert evaluate`: the figures of a classifier of texts or words, of answers, or of a translator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from tinybert_hf.cli.early_checks import check_row_files
from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.json_output import AsJson, print_json
from tinybert_hf.cli.model_folders import opens_models
from tinybert_hf.cli.options import (
    Cpu,
    LabelColumn,
    LabelSeparator,
    MaxLength,
    ProblemType,
    SourceColumn,
    TagsColumn,
    TargetColumn,
    TextColumn,
    TextPairColumn,
    TokensColumn,
    data_overrides,
)
from tinybert_hf.cli.trained_with import trained_with


@answers_failures
def evaluate(
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
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    label_column: LabelColumn = None,
    label_separator: LabelSeparator = None,
    problem_type: ProblemType = None,
    source_column: SourceColumn = None,
    target_column: TargetColumn = None,
    tokens_column: TokensColumn = None,
    tags_column: TagsColumn = None,
    target_language: Annotated[
        str | None,
        typer.Option(
            help="Translation: a code such as zh or de; BLEU cuts words by it. Not given: by the references' script.",
            rich_help_panel="Data",
        ),
    ] = None,
    max_length: MaxLength = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Rows at once; changes the speed, not the figures.", rich_help_panel="Run")
    ] = 64,
    beams: Annotated[
        int, typer.Option(min=1, help="Translation: width of the search; 1 is greedy.", rich_help_panel="Run")
    ] = 1,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Question answering: a file for the answers; .json as SQuAD's own evaluation reads it, or .jsonl.",
            rich_help_panel="Run",
        ),
    ] = None,
    cpu: Cpu = False,
    as_json: AsJson = False,
) -> None:
    """Measure a checkpoint: accuracy and F1 for labels, entity F1 for tagged words, correlation for numbers, exact
    match and F1 for answers to questions, BLEU and chrF for translations.

    A model that was trained here brings its columns and its length (run.json): they need not be given.
    """
    check_row_files(validation_file)
    from tinybert_hf.cli.quiet import quiet_libraries
    from tinybert_hf.cli.validation_rows import validation_settings
    from tinybert_hf.evaluation import evaluate_any_checkpoint, holds_translator, task_of_checkpoint
    from tinybert_hf.opening import check_length, open_config

    quiet_libraries()
    given = data_overrides(
        None,
        validation_file,
        text_column,
        text_pair_column,
        label_column,
        max_length,
        source_column=source_column,
        target_column=target_column,
        tokens_column=tokens_column,
        tags_column=tags_column,
        label_separator=label_separator,
        problem_type=problem_type,
    )
    with opens_models(model):
        known = trained_with(model)
        task = None if holds_translator(model) else task_of_checkpoint(model)
        if max_length is not None:
            check_length("max_length", max_length, option="--max-length", model=open_config(model))
        metrics = evaluate_any_checkpoint(
            model,
            validation_settings(task, known, given),
            batch_size=batch_size,
            beams=beams,
            target_language=target_language,
            device="cpu" if cpu else None,
            predictions=predictions,
        )
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
