"""`tinybert pseudo-label`: a teacher's translations of a file, as a data set to learn from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.options import Cpu, zero_or_more
from tinybert_hf.cli.translators import MaxNewTokens, Prefix, SourceLanguage, TargetLanguage, open_on_device

if TYPE_CHECKING:
    from tinybert_hf.data.pseudo_labels import PseudoLabelReport

_DATA = "Data"
_MODEL = "Model"
_SEARCH = "Search"
_FILTERS = "Filters"
_RUN = "Run"


@answers_failures
def pseudo_label(
    teacher: Annotated[str, typer.Option(help="Folder or Hub id of a translator.", rich_help_panel=_MODEL)],
    input_file: Annotated[
        str,
        typer.Option(help="Texts to translate: .jsonl, .json, .csv, .tsv, .parquet, also .gz.", rich_help_panel=_DATA),
    ],
    output_dir: Annotated[
        str,
        typer.Option(
            "--output-dir",
            "--output",
            help="Folder for the rows: new, empty, or of the same command, which then goes on. A name that ends in "
            ".jsonl, .jsonl.gz or .parquet makes one file.",
            rich_help_panel=_DATA,
        ),
    ],
    source_column: Annotated[
        str, typer.Option(help="Column with the text to translate.", rich_help_panel=_DATA)
    ] = "source",
    target_column: Annotated[
        str | None,
        typer.Option(
            help="Column with a reference translation, if there is one: for --select nearest, and to know how long a "
            "translation usually is.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    max_rows: Annotated[
        int | None, typer.Option(min=1, help="Take only the first rows.", rich_help_panel=_DATA)
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="jsonl|parquet",
            help="Of the shards in a folder. Default: jsonl (.jsonl.gz).",
            rich_help_panel=_DATA,
        ),
    ] = None,
    source_language: SourceLanguage = None,
    target_language: TargetLanguage = None,
    prefix: Prefix = "",
    beams: Annotated[
        int, typer.Option(min=1, help="Width of the teacher's search; 1 is greedy.", rich_help_panel=_SEARCH)
    ] = 5,
    select: Annotated[
        str,
        typer.Option(
            metavar="best|nearest",
            help="Which hypothesis of the beam: the best, or the nearest to the reference (sentence chrF).",
            rich_help_panel=_SEARCH,
        ),
    ] = "best",
    max_new_tokens: MaxNewTokens = None,
    max_length_factor: Annotated[
        float,
        typer.Option(
            callback=zero_or_more,
            help="Leave out translations this many times longer or shorter than is usual in the data (without "
            "references: than their source, in tokens); 0: any length.",
            rich_help_panel=_FILTERS,
        ),
    ] = 2.0,
    max_repeats: Annotated[
        int,
        typer.Option(
            min=0,
            help="Leave out translations that repeat four words (or characters, as in Chinese) more often than this, "
            "and than their source does; 0: any number.",
            rich_help_panel=_FILTERS,
        ),
    ] = 3,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Texts at once; fewer where memory is short.", rich_help_panel=_RUN)
    ] = 32,
    shard_rows: Annotated[
        int, typer.Option(min=1, help="Texts of a shard: a stop loses one at most.", rich_help_panel=_RUN)
    ] = 2000,
    cpu: Cpu = False,
    bf16: Annotated[
        bool, typer.Option("--bf16", help="Hold the teacher in bfloat16: faster on a GPU.", rich_help_panel=_RUN)
    ] = False,
) -> None:
    """Let a teacher translate a file, to learn from its translations: sequence-level distillation.

    The rows have the columns source and target. What is empty, cut off, repeated or of an unlikely length is left out
    and counted. A command that was stopped goes on when it is given again.
    """
    from rich.console import Console

    from tinybert_hf.cli.quiet import quiet_libraries
    from tinybert_hf.data.files import read_file
    from tinybert_hf.data.pseudo_label_rows import PseudoLabelSettings
    from tinybert_hf.data.pseudo_labels import read_pseudo_labels, repeated_target, write_pseudo_labels
    from tinybert_hf.data.raw_rows import columns_named_by
    from tinybert_hf.opening import check_writable
    from tinybert_hf.recipes.progress import row_progress
    from tinybert_hf.recipes.pseudo_labelling import repetition_in_words

    settings = PseudoLabelSettings(
        input_file,
        source_column,
        target_column=target_column,
        max_rows=max_rows,
        beams=beams,
        select=select,
        max_new_tokens=max_new_tokens,
        prefix=prefix,
        max_length_factor=max_length_factor,
        max_repeats=max_repeats,
        shard_rows=shard_rows,
    )
    quiet_libraries()
    check_writable(output_dir)
    # A wrong name of a column is said before a large teacher is fetched.
    with columns_named_by("Name the columns with --source-column and --target-column."):
        read_file(input_file, [name for name in (source_column, target_column) if name is not None], max_rows=1)
    model, tokenizer = open_on_device(
        teacher, cpu=cpu, source_language=source_language, target_language=target_language, bf16=bf16
    )
    with row_progress(Console(stderr=True), "Translating") as progress:
        report = write_pseudo_labels(
            model, tokenizer, settings, output_dir, file_format=file_format, batch_size=batch_size, progress=progress
        )
    _print_report(report)
    if report.rows_written:
        written = Path(report.output)
        rows = (
            read_pseudo_labels(written) if written.is_dir() else read_file(str(written), ["source", "target"]).columns
        )
        repeated = repeated_target(rows)
        if repeated is not None:
            typer.echo(f"WARNING: {repetition_in_words(*repeated)}", err=True)


def _print_report(report: PseudoLabelReport) -> None:
    rate = f" ({report.rows_read / report.seconds:,.1f} rows/s)" if report.seconds else ""
    print(f"{report.rows_written:,} of {report.rows_read:,} rows written to {report.output}")
    for reason, count in report.filtered.items():
        print(f"  left out, {reason.replace('_', ' ')}: {count:,}")
    print(f"The teacher took {report.seconds:,.1f} s{rate}. Columns: source, target.")
