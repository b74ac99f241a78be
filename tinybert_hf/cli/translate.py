"""The commands of translators: `translate` and `pseudo-label`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from tinybert_hf.cli.options import Cpu, fields_of, takes, trained_with
from tinybert_hf.cli.screen import answers_failures
from tinybert_hf.errors import DataError, OutputFolderError
from tinybert_hf.messages import counted, does_not_exist

if TYPE_CHECKING:
    from tinybert_hf.data.pseudo_labels import PseudoLabelReport


# What the commands that translate share: their options, and opening a model on a device with its languages.

_MODEL = "Model"
_SEARCH = "Search"

SourceLanguage = Annotated[
    str | None,
    typer.Option(
        help="Multilingual models (NLLB, M2M100, mBART): language of the texts, as eng_Latn, en or en_XX.",
        rich_help_panel=_MODEL,
    ),
]
TargetLanguage = Annotated[
    str | None,
    typer.Option(help="Multilingual models: language to translate into, likewise.", rich_help_panel=_MODEL),
]
Prefix = Annotated[
    str,
    typer.Option(
        metavar="TEXT",
        help="Put before each text, where the model wants that: '>>cmn_Hans<< ' (Marian), "
        "'translate English to German: ' (T5).",
        rich_help_panel=_MODEL,
    ),
]
MaxNewTokens = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Tokens of a translation at most. Default: 2 x the tokens of the longest text of a batch + 10.",
        rich_help_panel=_SEARCH,
    ),
]


def open_on_device(
    model: str, *, cpu: bool, source_language: str | None, target_language: str | None, bf16: bool = False
) -> tuple[Any, Any]:
    """Open a translator with its tokenizer, tell it its languages, and move it to the GPU if there is one.

    Args:
        model: a folder, or an id on the Hub.
        cpu: use no accelerator.
        source_language: of a multilingual model.
        target_language: of a multilingual model.
        bf16: hold the weights in bfloat16.

    Raises:
        TinyBertError: it is no translator, or its languages are missing.
    """
    import torch

    from tinybert_hf.checkpoints import usual_device
    from tinybert_hf.cli.screen import opens_models
    from tinybert_hf.data.translation import set_languages
    from tinybert_hf.evaluation import open_translator

    with opens_models(model):
        opened, tokenizer = open_translator(model)
    set_languages(opened, tokenizer, source_language, target_language)
    device = "cpu" if cpu else usual_device()
    # A CPU is slow with half precision, in which large checkpoints are often saved.
    dtype = torch.bfloat16 if bf16 else torch.float32 if device == "cpu" else opened.dtype
    return opened.to(device, dtype=dtype).eval(), tokenizer


# Where `tinybert translate` takes its texts from: the command line, a file, or standard input.

# Batches of texts of like length waste little on padding, so more than one batch is read at once.
_BATCHES_AT_ONCE = 32


def read_sources(
    texts: list[str] | None, input_file: str | None, column: str | None, batch_size: int, usual_column: str
) -> tuple[Iterable[str], int]:
    """Find what is to be translated.

    Args:
        texts: from the command line.
        input_file: lines, or a table.
        column: of a table.
        batch_size: texts of a batch.
        usual_column: of a table, where `column` is None.

    Returns:
        The texts; and how many of them to read before they are translated.

    Raises:
        DataError: the file cannot be used.
    """
    is_table = input_file is not None and _has_columns(input_file)
    if column is not None and not is_table:
        raise typer.BadParameter("--source-column names a column of an --input-file that has columns")
    if texts:
        return texts, batch_size * _BATCHES_AT_ONCE
    if input_file is None:
        if sys.stdin.isatty():
            print("Type a text a line; end with Ctrl-D.", file=sys.stderr)
            return _lines(sys.stdin.buffer, "standard input"), 1
        return _lines(sys.stdin.buffer, "standard input"), batch_size
    found = _column(input_file, column or usual_column) if is_table else _lines_of_file(input_file)
    return found, batch_size * _BATCHES_AT_ONCE


def _has_columns(file: str) -> bool:
    from tinybert_hf.data.files import SUFFIXES

    return file.lower().removesuffix(".gz").endswith(SUFFIXES)


def _column(file: str, column: str) -> list[str]:
    from tinybert_hf.data.files import read_file, texts_or_blank
    from tinybert_hf.data.raw_rows import columns_named_by

    with columns_named_by("Name the column with --source-column."):
        return texts_or_blank(read_file(file, [column]), column)


def _lines_of_file(file: str) -> list[str]:
    from tinybert_hf.data.raw_rows import reading

    if Path(file).is_dir():
        raise DataError(f"{file} is a folder. Give a file with a text a line, or a table.")
    if not Path(file).exists():
        raise DataError(does_not_exist(file))
    with reading(file) as handle:
        return list(_lines(handle, file))


def _lines(handle: IO[bytes], name: str) -> Iterator[str]:
    from tinybert_hf.data.raw_rows import text_lines

    return (line.rstrip("\r\n") for _, line in text_lines(handle, name))


# `tinybert translate`: texts, a file or standard input in, translations out.


@answers_failures
def translate(
    model: Annotated[str, typer.Argument(help="Folder or Hub id of a translator.")],
    texts: Annotated[
        list[str] | None,
        typer.Option("--text", help="A text to translate; any number of times.", rich_help_panel="Data"),
    ] = None,
    input_file: Annotated[
        str | None,
        typer.Option(
            help="Texts to translate: one a line, or a column of a .jsonl, .json, .csv, .tsv or .parquet; also .gz.",
            rich_help_panel="Data",
        ),
    ] = None,
    source_column: Annotated[
        str | None,
        typer.Option(
            help="Column of --input-file with the text, where the file has columns. Default: as the model was "
            "trained (run.json), else source.",
            rich_help_panel="Data",
        ),
    ] = None,
    output_file: Annotated[
        str | None,
        typer.Option(help="Where the translations go; replaced when all are there.", rich_help_panel="Data"),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="A JSON object a line: source, translation, and whether either was cut.",
            rich_help_panel="Data",
        ),
    ] = False,
    source_language: SourceLanguage = None,
    target_language: TargetLanguage = None,
    prefix: Prefix = "",
    num_beams: Annotated[
        int, typer.Option(min=1, help="Width of the search; 1 is greedy and fastest.", rich_help_panel="Search")
    ] = 1,
    max_new_tokens: MaxNewTokens = None,
    batch_size: Annotated[
        int,
        typer.Option(
            min=1,
            help="Texts at once. From standard input so many lines are read before they are answered.",
            rich_help_panel="Run",
        ),
    ] = 32,
    cpu: Cpu = False,
) -> None:
    """Translate texts, a file, or standard input: one line out for each text, in the same order.

    An empty line stays empty. `tinybert translate out --text "The train leaves at noon."`
    """
    from tinybert_hf.cli.screen import quiet_libraries

    if texts and input_file is not None:
        raise typer.BadParameter("give --text or --input-file, not both")
    quiet_libraries()
    known = trained_with(model).get("source_column")
    sources, at_once = read_sources(texts, input_file, source_column, batch_size, known or "source")
    _check_output(output_file, input_file)
    opened, tokenizer = open_on_device(
        model, cpu=cpu, source_language=source_language, target_language=target_language
    )
    search: dict[str, Any] = {"num_beams": num_beams, "max_new_tokens": max_new_tokens, "prefix": prefix}
    run = _Run(opened, tokenizer, {"batch_size": batch_size, **search}, at_once, as_json)
    if output_file is not None:
        _to_file(run, sources, Path(output_file))
    else:
        try:
            run.translate(sources, lambda line: print(line, flush=True))
        except BrokenPipeError:  # the reader has seen enough: `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    for note in run.notes():
        print(note, file=sys.stderr)


@dataclass
class _Run:
    """Translates and counts."""

    model: Any
    tokenizer: Any
    options: dict[str, Any]
    at_once: int
    as_json: bool
    texts: int = 0
    cut_off: int = 0
    truncated: int = 0
    seconds: float = 0.0

    def translate(
        self, sources: Iterable[str], write: Callable[[str], object], progress: Callable[[int], None] | None = None
    ) -> None:
        from tinybert_hf.data.generation import translate_texts

        remaining = iter(sources)
        while chunk := list(islice(remaining, self.at_once)):
            made = translate_texts(self.model, self.tokenizer, chunk, progress=progress, **self.options)
            self.texts += len(chunk)
            self.cut_off += made.cut_off_count
            self.truncated += made.truncated_count
            self.seconds += made.seconds
            for row, source in enumerate(chunk):
                write(self._line(source, made.best[row], made.cut_off[row][0], made.truncated[row]))

    def notes(self) -> Iterator[str]:
        if self.truncated:
            yield (
                f"{self.truncated:,} of {self.texts:,} texts are longer than the model can read: only their beginning "
                "was translated. Split them into sentences."
            )
        if self.cut_off:
            yield (
                f"{self.cut_off:,} of {self.texts:,} translations did not come to an end and were cut at the limit of "
                "tokens (--max-new-tokens)."
            )

    def _line(self, source: str, translation: str, cut_off: bool, truncated: bool) -> str:
        if not self.as_json:
            return " ".join(translation.splitlines())  # a line for each text
        row = {"source": source, "translation": translation, "cut_off": cut_off, "source_truncated": truncated}
        return json.dumps(row, ensure_ascii=False)


def _to_file(run: _Run, sources: Iterable[str], output: Path) -> None:
    from rich.console import Console

    from tinybert_hf.checkpoints.integrity import write_atomically
    from tinybert_hf.recipes.folder import counting, row_progress

    def write(handle: IO[bytes]) -> None:
        known = list(sources) if isinstance(sources, list) else None
        with row_progress(Console(stderr=True), "Translating") as update:
            advance = None if known is None else counting(update, len(known))
            run.translate(sources, lambda line: handle.write(f"{line}\n".encode()), advance)

    write_atomically(output, write)
    rate = f" ({run.texts / run.seconds:,.1f} a second)" if run.seconds else ""
    print(f"{counted(run.texts, 'text')} translated in {run.seconds:,.1f} s{rate}: {output}", file=sys.stderr)


def _check_output(output_file: str | None, input_file: str | None) -> None:
    if output_file is None:
        return
    output = Path(output_file)
    if output.is_dir():
        raise OutputFolderError(f"--output-file {output} is a folder; give the name of a file.")
    if not output.parent.is_dir():
        raise OutputFolderError(f"--output-file {output}: its folder {output.parent} does not exist.")
    if input_file is not None and output.exists() and Path(input_file).exists() and output.samefile(input_file):
        raise OutputFolderError(f"--output-file {output} is the file that is read; choose another name.")


# `tinybert pseudo-label`: a teacher's translations of a file, as a data set to learn from.

_DATA = "Data"
_RUN = "Run"


@answers_failures
@takes("num_beams", "select", "max_length_factor", "max_repeats", "cpu")
def pseudo_label(
    given: Mapping[str, Any],
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
    max_new_tokens: MaxNewTokens = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Texts at once; fewer where memory is short.", rich_help_panel=_RUN)
    ] = 32,
    shard_rows: Annotated[
        int, typer.Option(min=1, help="Texts of a shard: a stop loses one at most.", rich_help_panel=_RUN)
    ] = 2000,
    bf16: Annotated[
        bool, typer.Option("--bf16", help="Hold the teacher in bfloat16: faster on a GPU.", rich_help_panel=_RUN)
    ] = False,
) -> None:
    """Let a teacher translate a file, to learn from its translations: sequence-level distillation.

    The rows have the columns source and target. What is empty, cut off, repeated or of an unlikely length is left out
    and counted. A command that was stopped goes on when it is given again.
    """
    from rich.console import Console

    from tinybert_hf.checkpoints import check_writable
    from tinybert_hf.cli.screen import quiet_libraries
    from tinybert_hf.data.files import read_file
    from tinybert_hf.data.pseudo_labels import (
        PseudoLabelSettings,
        read_pseudo_labels,
        repeated_target,
        write_pseudo_labels,
    )
    from tinybert_hf.data.raw_rows import columns_named_by
    from tinybert_hf.data.shards import Share
    from tinybert_hf.recipes.augmentation import format_repetition
    from tinybert_hf.recipes.folder import row_progress

    settings = PseudoLabelSettings(
        input_file,
        source_column,
        target_column=target_column,
        max_rows=max_rows,
        max_new_tokens=max_new_tokens,
        prefix=prefix,
        shard_rows=shard_rows,
        **fields_of(given, "pseudo_labels"),
    )
    quiet_libraries()
    check_writable(output_dir)
    # A wrong name of a column is said before a large teacher is fetched.
    with columns_named_by("Name the columns with --source-column and --target-column."):
        read_file(input_file, [name for name in (source_column, target_column) if name is not None], max_rows=1)
    model, tokenizer = open_on_device(
        teacher, cpu="cpu" in given, source_language=source_language, target_language=target_language, bf16=bf16
    )
    share = Share.launched()
    with row_progress(Console(stderr=True, quiet=not share.is_first), "Translating") as progress:
        report = write_pseudo_labels(
            model,
            tokenizer,
            settings,
            output_dir,
            file_format=file_format,
            batch_size=batch_size,
            progress=progress,
            share=share,
        )
    if not share.is_first:
        return
    _print_report(report)
    if report.rows_written:
        written = Path(report.output)
        rows = (
            read_pseudo_labels(written) if written.is_dir() else read_file(str(written), ["source", "target"]).columns
        )
        repeated = repeated_target(rows)
        if repeated is not None:
            typer.echo(f"WARNING: {format_repetition(*repeated)}", err=True)


def _print_report(report: PseudoLabelReport) -> None:
    rate = f" ({report.rows_read / report.seconds:,.1f} rows/s)" if report.seconds else ""
    print(f"{report.rows_written:,} of {report.rows_read:,} rows written to {report.output}")
    for reason, count in report.filtered.items():
        print(f"  left out, {reason.replace('_', ' ')}: {count:,}")
    print(f"The teacher took {report.seconds:,.1f} s{rate}. Columns: source, target.")
