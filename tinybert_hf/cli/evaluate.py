"""`tinybert evaluate`: the metrics of a checkpoint on a file of rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.options import LabelColumn, MaxLength, TextColumn, TextPairColumn, data_overrides

_OBVIOUS = {"text_column": ("text", "sentence"), "label_column": ("label", "labels")}


@answers_failures
def evaluate(
    model: Annotated[str, typer.Argument(help="Folder or Hub id of a sequence classifier.")],
    validation_file: Annotated[str, typer.Option(help="Rows to measure on.")],
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    label_column: LabelColumn = None,
    max_length: MaxLength = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows at once.")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a checkpoint: accuracy and F1 for labels, correlation for numbers.

    Columns that are not named are those the model was trained with (its run.json), or text or sentence, and label.
    """
    from tinybert_hf.cli.quiet import quiet_libraries
    from tinybert_hf.data import DataSettings
    from tinybert_hf.evaluation import evaluate_checkpoint

    quiet_libraries()
    given = data_overrides(None, validation_file, text_column, text_pair_column, label_column, max_length)
    settings = DataSettings(**{**_columns_of(model, validation_file, given), **given})
    metrics = evaluate_checkpoint(model, settings, batch_size=batch_size)
    print(json.dumps(metrics)) if as_json else print_metrics(metrics)


def print_metrics(metrics: Mapping[str, float]) -> None:
    """A table of metrics."""
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", show_header=True)
    table.add_column("value", justify="right")
    for name, value in metrics.items():
        table.add_row(name, f"{value:.4f}")
    Console().print(table)


def _columns_of(model: str, file: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that the model was trained with, or the first of the obvious names that the file has."""
    run = Path(model) / "run.json"
    if run.is_file():
        known = json.loads(run.read_text(encoding="utf-8")).get("recipe", {}).get("data", {})
        kept = ("text_column", "text_pair_column", "label_column", "max_length", "problem_type")
        return {name: known[name] for name in kept if known.get(name) is not None}
    return {name: _first_there(file, names) for name, names in _OBVIOUS.items() if name not in given}


def _first_there(file: str, names: tuple[str, ...]) -> str:
    from tinybert_hf.data.files import read_file
    from tinybert_hf.errors import DataError

    for name in names:
        try:
            read_file(file, [name], max_rows=1)
        except DataError:
            continue
        return name
    return names[0]  # the loader's own message then names the columns that are there
