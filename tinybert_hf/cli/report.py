"""`tinybert report`: a finished run as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.model_folders import opens_models
from tinybert_hf.cli.options import Cpu


@answers_failures
def report(
    folder: Annotated[str, typer.Argument(help="Output folder of a finished run, as distill has left it.")],
    output: Annotated[Path | None, typer.Option(help="The file to write. Default: FOLDER/report.html.")] = None,
    validation_file: Annotated[
        str | None,
        typer.Option(help="The rows that the run was measured on, where they have moved.", rich_help_panel="Moved"),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder or Hub id of the teacher, where it has moved; of several teachers once for each, in their "
            "order.",
            rich_help_panel="Moved",
        ),
    ] = None,
    cpu: Cpu = False,
) -> None:
    """Write one HTML page about a run: its figures, its course, how near the layers came, where the models differ.

    Student and teacher are opened again and compared on the validation rows, which takes seconds on most data. What
    is not there any more is said on the page, and the rest is written.
    """
    from tinybert_hf.cli.quiet import quiet_libraries
    from tinybert_hf.reporting import write_report

    quiet_libraries()
    teachers = tuple(teacher or ())
    with opens_models(*teachers):
        written = write_report(
            folder,
            output,
            validation_file=validation_file,
            teachers=teachers,
            device="cpu" if cpu else None,
        )
    typer.echo(f"The report is in {written}.")
