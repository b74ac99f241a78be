"""The options that several commands share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

_DATA = "Data"
_RUN = "Run"

TrainFile = Annotated[
    str | None,
    typer.Option(help="Rows to learn from: .jsonl, .json, .csv, .tsv, .parquet, also .gz.", rich_help_panel=_DATA),
]
ValidationFile = Annotated[str | None, typer.Option(help="Rows to measure on.", rich_help_panel=_DATA)]
TextColumn = Annotated[str | None, typer.Option(help="Column with the text.", rich_help_panel=_DATA)]
TextPairColumn = Annotated[
    str | None, typer.Option(help="Column with the second text of a pair.", rich_help_panel=_DATA)
]
LabelColumn = Annotated[str | None, typer.Option(help="Column with the label.", rich_help_panel=_DATA)]
MaxLength = Annotated[int | None, typer.Option(help="Tokens of a row that are read.", rich_help_panel=_DATA)]
OutputDir = Annotated[str | None, typer.Option(help="Folder for the result; new or empty.", rich_help_panel=_RUN)]
Seed = Annotated[int | None, typer.Option(help="Of every random choice.", rich_help_panel=_RUN)]
Cpu = Annotated[bool, typer.Option("--cpu", help="Use no accelerator.", rich_help_panel=_RUN)]
Bf16 = Annotated[bool, typer.Option("--bf16", help="Train in bfloat16 mixed precision.", rich_help_panel=_RUN)]


def data_overrides(
    train_file: str | None = None,
    validation_file: str | None = None,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
    max_length: int | None = None,
) -> dict[str, Any]:
    """The fields of DataSettings that were given on the command line."""
    given = {
        "train_file": train_file,
        "validation_file": validation_file,
        "text_column": text_column,
        "text_pair_column": text_pair_column,
        "label_column": label_column,
        "max_length": max_length,
    }
    return {name: value for name, value in given.items() if value is not None}


def training_overrides(cpu: bool, bf16: bool) -> dict[str, Any]:
    """The fields of TrainingArguments that were given on the command line."""
    return {name: True for name, given in (("use_cpu", cpu), ("bf16", bf16)) if given}
