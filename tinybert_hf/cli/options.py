"""The options that several commands share."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinybert_hf.errors import TinyBertError, check_number

if TYPE_CHECKING:
    from tinybert_hf.data import DataSettings

_DATA = "Data"
_RUN = "Run"
_TRAINING = "Training"


def above_zero(value: float | None) -> float | None:
    """Refuse what no training could do."""
    return _checked(value, "a finite number above 0")


def zero_or_more(value: float | None) -> float | None:
    """Refuse what is no amount."""
    return _checked(value, "a finite number of 0 or more", zero=True)


def _checked(value: float | None, expected: str, *, zero: bool = False) -> float | None:
    try:
        check_number(value, "it", zero=zero)
    except TinyBertError as error:
        raise typer.BadParameter(f"{value:g} is not {expected}.") from error
    return value


TASK_NAMES = {
    "text-classification": "text-classification",
    "token-classification": "token-classification",
    "ner": "token-classification",
    "question-answering": "question-answering",
    "qa": "question-answering",
}


def task_name(value: str | None) -> str | None:
    """The name of a task in full."""
    if value is None or value in TASK_NAMES:
        return TASK_NAMES.get(value or "")
    raise typer.BadParameter(f"there is no task {value!r}; known are {', '.join(TASK_NAMES)}")


def problem_type_name(value: str | None) -> str | None:
    """The name of a problem type, if there is such."""
    from tinybert_hf.data.settings import PROBLEM_TYPES

    if value is None or value in PROBLEM_TYPES:
        return value
    raise typer.BadParameter(f"there is no problem type {value!r}; known are {', '.join(PROBLEM_TYPES)}")


Task = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        callback=task_name,
        help="What the model is to do: text-classification; ner (token-classification): a tag for each word; qa "
        "(question-answering): rows with question, context and answers. Not given: text-classification, or ner where "
        "--tokens-column or --tags-column is given.",
        rich_help_panel=_TRAINING,
    ),
]
TrainFile = Annotated[
    str | None,
    typer.Option(help="Rows to learn from: .jsonl, .json, .csv, .tsv, .parquet, also .gz.", rich_help_panel=_DATA),
]
ValidationFile = Annotated[str | None, typer.Option(help="Rows to measure on, likewise.", rich_help_panel=_DATA)]
TextColumn = Annotated[
    str | None,
    typer.Option(help="Column with the text. Not named: text, or else sentence.", rich_help_panel=_DATA),
]
TextPairColumn = Annotated[
    str | None, typer.Option(help="Column with the second text, where rows are pairs.", rich_help_panel=_DATA)
]
LabelColumn = Annotated[
    str | None,
    typer.Option(help="Column with the label. Not named: label, or else labels.", rich_help_panel=_DATA),
]
LabelNames = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME,...",
        help="All labels, in order; numbers in the data are places in this list, from 0, unless the names are these "
        'numbers (-1,0,1). A name with a comma stands in quotation marks, or all in a JSON list: \'["a, b", "c"]\'. '
        "Not given: those of the rows.",
        rich_help_panel=_DATA,
    ),
]
LabelSeparator = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help='What stands between the labels of a row that has several, where they are one text: "|" for '
        '"sports|politics".',
        rich_help_panel=_DATA,
    ),
]
ProblemType = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        callback=problem_type_name,
        help="What the labels are, as transformers calls it: single_label_classification, "
        "multi_label_classification or regression. Not given: what a trained model or the labels say.",
        rich_help_panel=_DATA,
    ),
]
SourceColumn = Annotated[
    str | None, typer.Option(help="Translation: column with the text to translate.", rich_help_panel=_DATA)
]
TargetColumn = Annotated[
    str | None, typer.Option(help="Translation: column with its translation.", rich_help_panel=_DATA)
]
TokensColumn = Annotated[
    str | None,
    typer.Option(help="Named entities: column with the list of words. Default: tokens.", rich_help_panel=_DATA),
]
TagsColumn = Annotated[
    str | None,
    typer.Option(
        help="Named entities: column with a tag for each word (B-person, I-person, O). Default: ner_tags.",
        rich_help_panel=_DATA,
    ),
]
UnlabelledFile = Annotated[
    str | None,
    typer.Option(
        help="Further rows without labels (without translations): the student learns what the teacher says of them.",
        rich_help_panel=_DATA,
    ),
]
UnlabelledColumn = Annotated[
    str | None,
    typer.Option(help="Translation: their column. Default: as --source-column.", rich_help_panel=_DATA),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Tokens of a row that are read; the rest is cut off. Default: 128, or what the recipe or the trained "
        "model says.",
        rich_help_panel=_DATA,
    ),
]
OutputDir = Annotated[
    str | None,
    typer.Option(
        help="Folder for the result: new, empty, or of the same run, which then goes on. Default: runs/RECIPE.",
        rich_help_panel=_RUN,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(min=0, help="Seed of every random choice. Default: the recipe's, else 42.", rich_help_panel=_RUN),
]
Cpu = Annotated[bool, typer.Option("--cpu", help="Use no accelerator.", rich_help_panel=_RUN)]
Bf16 = Annotated[bool, typer.Option("--bf16", help="Train in bfloat16 mixed precision.", rich_help_panel=_TRAINING)]


# Names of HEADS, and shorter ones.
def data_overrides(
    train_file: str | None = None,
    validation_file: str | None = None,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
    max_length: int | None = None,
    label_names: str | None = None,
    source_column: str | None = None,
    target_column: str | None = None,
    tokens_column: str | None = None,
    tags_column: str | None = None,
    label_separator: str | None = None,
    problem_type: str | None = None,
) -> dict[str, Any]:
    """The fields of DataSettings that were given on the command line."""
    given = {
        "train_file": train_file,
        "validation_file": validation_file,
        "text_column": text_column,
        "text_pair_column": text_pair_column,
        "label_column": label_column,
        "max_length": max_length,
        "label_names": None if label_names is None else names_of(label_names),
        "source_column": source_column,
        "target_column": target_column,
        "tokens_column": tokens_column,
        "tags_column": tags_column,
        "label_separator": label_separator,
        "problem_type": problem_type,
    }
    return {name: value for name, value in given.items() if value is not None}


def training_overrides(cpu: bool, bf16: bool) -> dict[str, Any]:
    """The fields of TrainingArguments that were given on the command line."""
    return {name: True for name, given in (("use_cpu", cpu), ("bf16", bf16)) if given}


def choose_columns(settings: DataSettings, named: Collection[str]) -> DataSettings:
    """Take the obvious columns where none are named, and say which, so that nothing happens in silence."""
    from tinybert_hf.data.columns import OBVIOUS_COLUMNS, with_obvious_columns

    chosen = with_obvious_columns(settings, named)
    for field in OBVIOUS_COLUMNS:
        column = getattr(chosen, field)
        if column != getattr(settings, field):
            kind = field.removesuffix("_column")
            typer.echo(f"The {kind} is taken from the column {column!r} (--{kind}-column names another).", err=True)
    return chosen


def names_of(text: str) -> tuple[str, ...]:
    """The labels that --label-names gives: a JSON list, or names between commas, quoted where they hold one."""
    try:
        if text.strip().startswith("["):
            found = json.loads(text)
        else:
            (found,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (ValueError, csv.Error):
        found = []
    names = tuple(str(name).strip() for name in found)
    if len(names) < 2 or not all(names):
        raise typer.BadParameter(
            f'--label-names {text!r}: give two names or more, separated by commas: "negative,positive"; a name with '
            'a comma in quotation marks, or all of them as a JSON list: \'["Health, Sport", "World"]\''
        )
    if len(set(names)) < len(names):
        raise typer.BadParameter(f"--label-names {text!r} holds a name twice: {', '.join(names)}")
    return names
