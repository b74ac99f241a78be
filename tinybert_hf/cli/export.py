"""`tinybert export`: a trained model in the format of another program, compared with the model itself."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinybert_hf.cli.early_checks import check_row_files
from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.json_output import AsJson, print_json
from tinybert_hf.cli.model_folders import opens_models
from tinybert_hf.cli.options import (
    LabelColumn,
    MaxLength,
    SourceColumn,
    TagsColumn,
    TargetColumn,
    TextColumn,
    TextPairColumn,
    TokensColumn,
    data_overrides,
    zero_or_more,
)
from tinybert_hf.cli.trained_with import trained_with

if TYPE_CHECKING:
    from tinybert_hf.data import DataSettings
    from tinybert_hf.export import ExportReport

EXIT_LOST_TOO_MUCH = 3


@answers_failures
def export(
    model: Annotated[
        str, typer.Argument(help="Folder or Hub id of an encoder with any head or none, or of a translator.")
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help="onnx or onnx-int8 (pip extra onnx), openvino (extra openvino), tflite (extra tflite), or bert.",
        ),
    ],
    output_dir: Annotated[
        str | None,
        typer.Option(
            "--output-dir",
            "--output",
            help="Folder for the export: new or empty. Default: MODEL-FORMAT beside the model.",
            rich_help_panel="Run",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an export that stands there.", rich_help_panel="Run")
    ] = False,
    validation_file: Annotated[
        str | None,
        typer.Option(
            help="Rows to measure the model on, before and after: .jsonl, .json, .csv, .tsv, .parquet, also .gz.",
            rich_help_panel="Data",
        ),
    ] = None,
    allowed_loss: Annotated[
        float,
        typer.Option(
            callback=zero_or_more,
            help="Points of the metric that the export may lose. One that loses more is kept, and the exit status is "
            "3.",
            rich_help_panel="Run",
        ),
    ] = 0.5,
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    label_column: LabelColumn = None,
    source_column: SourceColumn = None,
    target_column: TargetColumn = None,
    tokens_column: TokensColumn = None,
    tags_column: TagsColumn = None,
    max_length: MaxLength = None,
    as_json: AsJson = False,
) -> None:
    """Export a model to a format that other programs run: ONNX in fp32 or int8, OpenVINO, TensorFlow
    Lite, or a stock BERT.

    Every export is opened again and compared with the model on text: its largest difference and the share of equal
    answers are printed, with --validation-file also the metric before and after.
    """
    from tinybert_hf.export.formats import format_named

    format_named(to)
    check_row_files(validation_file)
    columns = {
        "text_column": text_column,
        "text_pair_column": text_pair_column,
        "label_column": label_column,
        "source_column": source_column,
        "target_column": target_column,
        "tokens_column": tokens_column,
        "tags_column": tags_column,
        "max_length": max_length,
    }
    with opens_models(model):
        from tinybert_hf.cli.quiet import quiet_libraries
        from tinybert_hf.export import export_model

        quiet_libraries()
        report = export_model(
            model,
            output_dir or f"{_local(model)}-{to}",
            to,
            validation=None if validation_file is None else _settings(model, validation_file, columns),
            allowed_loss=allowed_loss,
            overwrite=overwrite,
            progress=lambda line: typer.echo(line, err=True),
        )
    if as_json:
        print_json(asdict(report))
    else:
        for line in report.lines():
            typer.echo(line)
        if report.metric is None:
            typer.echo("No metric was measured: --validation-file.")
        typer.echo(f"It stands in {report.folder}. {_opened_by(report)}")
    for warning in report.warnings():
        typer.secho(f"WARNING: {warning}", err=True, fg="red", bold=True)
    if report.lost_too_much:
        raise typer.Exit(EXIT_LOST_TOO_MUCH)


def _opened_by(report: ExportReport) -> str:
    """How the export is opened."""
    if report.format == "bert":
        return f"Open it: {report.model_class.replace('TinyBert', 'Bert')}.from_pretrained({report.folder!r})"
    return f"Open it: from tinybert_hf.opening import open_exported; open_exported({report.folder!r})"


def _local(model: str) -> str:
    """Where the default folder stands: beside the model, or here for one of the Hub."""
    path = Path(model)
    return str(path).rstrip("/") if path.exists() else path.name


def _settings(model: str, file: str, columns: dict[str, Any]) -> DataSettings:
    """Where the validation rows are, as for `tinybert evaluate`."""
    from tinybert_hf.cli.validation_rows import validation_settings
    from tinybert_hf.evaluation import holds_translator, task_of_checkpoint

    task = None if holds_translator(model) else task_of_checkpoint(model)
    return validation_settings(task, trained_with(model), data_overrides(validation_file=file, **columns))
