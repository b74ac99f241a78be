"""`tinybert prune-vocabulary`: a saved model without the word pieces that a corpus does not use."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.json_output import AsJson, print_json
from tinybert_hf.cli.model_folders import opens_models

_CORPUS = "Corpus"


@answers_failures
def prune_vocabulary(
    model: Annotated[str, typer.Argument(help="Folder or Hub id of an encoder with any head.")],
    corpus: Annotated[
        list[str],
        typer.Option(
            help="Text of the kind that will come: .txt (a text on each line), .jsonl, .json, .csv, .tsv or .parquet, "
            "also .gz; any size, any number of times.",
            rich_help_panel=_CORPUS,
        ),
    ],
    text_column: Annotated[
        list[str] | None,
        typer.Option(
            help="Column with text; any number of times, as for pairs. Not named: text, or else sentence.",
            rich_help_panel=_CORPUS,
        ),
    ] = None,
    min_count: Annotated[
        int,
        typer.Option(help="How often the corpus has to use a piece.", rich_help_panel=_CORPUS),
    ] = 1,
    margin: Annotated[
        float,
        typer.Option(
            help="Share of the other pieces that stays as well, the lowest ids (the most frequent in general) first.",
            rich_help_panel=_CORPUS,
        ),
    ] = 0.1,
    output_dir: Annotated[
        str | None, typer.Option(help="Folder for the result: new or empty.", rich_help_panel="Run")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come out, write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Leave out the word pieces that a corpus does not use: a smaller file, the same answers on such text.

    All special and added tokens and all single characters stay. Before anything is saved, outputs on texts of the
    corpus are compared with those of the whole model, bit for bit.
    """
    from tinybert_hf.cli.quiet import quiet_libraries
    from tinybert_hf.data.text_files import TextFiles
    from tinybert_hf.pruning import prune_checkpoint

    if output_dir is None and not dry_run:
        raise typer.BadParameter("give --output-dir FOLDER for the result, or --dry-run to see the sizes alone")
    quiet_libraries()
    texts = TextFiles(tuple(corpus), tuple(text_column or ()))
    texts.check()
    with opens_models(model):
        pruned = prune_checkpoint(model, texts, None if dry_run else output_dir, min_count=min_count, margin=margin)
    for warning in pruned.report.warnings():
        typer.echo(f"WARNING: {warning}", err=True)
    if as_json:
        print_json({**asdict(pruned.report), "folder": None if dry_run else output_dir})
        return
    for line in pruned.report.lines():
        typer.echo(line)
    typer.echo("Nothing was written (--dry-run)." if dry_run else f"It stands in {output_dir}.")
