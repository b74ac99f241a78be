"""`tinybert augment`: a file with copies of its rows in which some words are replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.options import Cpu
from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from tinybert_hf.data.augmentation import AugmentationReport, FileToAugment, OpenedSource, ReplacementSettings

_DATA = "Data"
_WORDS = "Words"
_RUN = "Run"


@answers_failures
def augment(
    train_file: Annotated[
        str,
        typer.Option(help="Rows: .jsonl, .json, .csv, .tsv, .parquet, also .gz.", rich_help_panel=_DATA),
    ],
    model: Annotated[
        str,
        typer.Option(help="Folder or Hub id of the masked-LM that finds words.", rich_help_panel=_WORDS),
    ],
    output: Annotated[
        str,
        typer.Option(
            help="File to write, .parquet, .jsonl or .jsonl.gz: new, or of the same command, which then goes on.",
            rich_help_panel=_DATA,
        ),
    ],
    text_column: Annotated[
        str,
        typer.Option(help="Column with the text, or with a list of words.", rich_help_panel=_DATA),
    ] = "text",
    text_pair_column: Annotated[
        str | None,
        typer.Option(
            help="Column with the second text of a pair: a copy changes one of the two.", rich_help_panel=_DATA
        ),
    ] = None,
    max_rows: Annotated[
        int | None, typer.Option(min=1, help="Take only the first rows.", rich_help_panel=_DATA)
    ] = None,
    copies: Annotated[int, typer.Option(min=1, help="Copies of each row.", rich_help_panel=_WORDS)] = 20,
    probability: Annotated[
        float,
        typer.Option(help="With which a word is replaced; stop words never are.", rich_help_panel=_WORDS),
    ] = 0.4,
    candidates: Annotated[int, typer.Option(min=1, help="Words that one is drawn from.", rich_help_panel=_WORDS)] = 15,
    glove: Annotated[
        str | None,
        typer.Option(
            help="Text file of word vectors, for words of several pieces. Default: the model's own embeddings.",
            rich_help_panel=_WORDS,
        ),
    ] = None,
    neighbours_only: Annotated[
        bool,
        typer.Option(
            "--neighbours-only",
            help="Take the nearest words for every word: the model needs no masked-LM head.",
            rich_help_panel=_WORDS,
        ),
    ] = False,
    max_length: Annotated[
        int,
        typer.Option(min=1, help="Words behind so many tokens of a text stay as they are.", rich_help_panel=_WORDS),
    ] = 512,
    context: Annotated[
        int,
        typer.Option(min=8, help="Tokens around a word that the masked-LM reads at most.", rich_help_panel=_WORDS),
    ] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.", rich_help_panel=_RUN)] = 42,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Masked texts at once; changes no row. Default: 32 on a CPU, else 512.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    shard_rows: Annotated[
        int, typer.Option(min=1, help="Rows of a shard: a stop loses one at most.", rich_help_panel=_RUN)
    ] = 500,
    cpu: Cpu = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Count the rows and show a few copies; write nothing.", rich_help_panel=_RUN),
    ] = False,
) -> None:
    """Write a file's rows, each followed by copies in which some words are replaced: TinyBERT's data augmentation.

    A word that is one piece of the vocabulary gives way to a prediction of the masked-LM, another one to one of its
    nearest words. The columns is_augmented and source_row are added; the label of a copy is that of its row, which it
    may not deserve: let a teacher speak for the copies.

    A command that was stopped goes on when it is given again.
    """
    from tinybert_hf.cli.quiet import quiet_libraries
    from tinybert_hf.data.augmentation import FileToAugment, ReplacementSettings
    from tinybert_hf.data.augmentation.augmented_file import check_output, read_rows
    from tinybert_hf.opening import check_writable

    settings = ReplacementSettings(copies, probability, candidates, seed, max_length, context)
    file = FileToAugment(train_file, text_column, text_pair_column, max_rows, shard_rows)
    quiet_libraries()
    # What is wrong with the rows is said before a large model is fetched.
    read_rows(file)
    check_output(output)
    if not dry_run:
        check_writable(output)
    source = _open(model, neighbours_only=neighbours_only, glove=glove, batch_size=batch_size, cpu=cpu)
    for note in source.notes:
        typer.echo(f"Note: {note}", err=True)
    if dry_run:
        _show(source, file, settings)
    else:
        _write(source, file, settings, output)


def _write(source: OpenedSource, file: FileToAugment, settings: ReplacementSettings, output: str) -> None:
    from rich.console import Console

    from tinybert_hf.data.augmentation import write_augmented
    from tinybert_hf.recipes.progress import row_progress

    with row_progress(Console(stderr=True), "Augmenting") as progress:
        report = write_augmented(source.words, file, settings, output, words_of=source.identity, progress=progress)
    rows, own = counted(report.rows_written, "row"), f"{report.rows_read:,} and their copies"
    if report.was_there:
        print(f"Nothing to do: {report.output} is complete, {rows}: {own}. Delete it to write it again.")
    else:
        print(f"{rows} written to {report.output}: {own}.")
    _print_notes(report)


def _show(source: OpenedSource, file: FileToAugment, settings: ReplacementSettings) -> None:
    from tinybert_hf.data.augmentation import dry_run

    report, examples = dry_run(source.words, file, settings)
    rows = counted(report.rows_written, "row")
    print(f"{rows} would be written: {report.rows_read:,} and their copies.")
    _print_notes(report)
    for texts, copies in examples:
        print()
        print(*(f"  {text}" for text in texts), sep="\n")
        for copy in copies[:3]:
            print(f"    -> {copy.text}")


def _print_notes(report: AugmentationReport) -> None:
    for reason, count in report.notes.items():
        if count:
            print(f"  {reason.replace('_', ' ')}: {count:,}")


def _open(model: str, *, neighbours_only: bool, glove: str | None, batch_size: int | None, cpu: bool) -> OpenedSource:
    """The model on its device."""
    import torch

    from tinybert_hf.cli.model_folders import opens_models
    from tinybert_hf.data.augmentation import open_source

    device = "cuda" if torch.cuda.is_available() and not cpu else "cpu"
    with opens_models(model):
        return open_source(
            model, glove_file=glove, neighbours_only=neighbours_only, batch_size=batch_size, device=device
        )
