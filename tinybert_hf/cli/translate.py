"""`tinybert translate`: texts, a file or standard input in, translations out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.options import Cpu
from tinybert_hf.cli.source_texts import read_sources
from tinybert_hf.cli.trained_with import trained_with
from tinybert_hf.cli.translators import MaxNewTokens, Prefix, SourceLanguage, TargetLanguage, open_on_device
from tinybert_hf.errors import OutputFolderError
from tinybert_hf.wording import counted


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
    beams: Annotated[
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
    from tinybert_hf.cli.quiet import quiet_libraries

    if texts and input_file is not None:
        raise typer.BadParameter("give --text or --input-file, not both")
    quiet_libraries()
    known = trained_with(model).get("source_column")
    sources, at_once = read_sources(texts, input_file, source_column, batch_size, known or "source")
    _check_output(output_file, input_file)
    opened, tokenizer = open_on_device(
        model, cpu=cpu, source_language=source_language, target_language=target_language
    )
    search: dict[str, Any] = {"beams": beams, "max_new_tokens": max_new_tokens, "prefix": prefix}
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

    from tinybert_hf.data.shard_folder import replace_file
    from tinybert_hf.recipes.progress import counting, row_progress

    def write(handle: IO[bytes]) -> None:
        known = list(sources) if isinstance(sources, list) else None
        with row_progress(Console(stderr=True), "Translating") as update:
            advance = None if known is None else counting(update, len(known))
            run.translate(sources, lambda line: handle.write(f"{line}\n".encode()), advance)

    replace_file(output, write)
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
