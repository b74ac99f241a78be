"""`tinybert demo`: a page with teacher and student side by side, or the folder of a Space."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.model_folders import opens_models
from tinybert_hf.cli.options import Cpu
from tinybert_hf.cli.translators import SourceLanguage, TargetLanguage
from tinybert_hf.wording import counted


@answers_failures
def demo(
    model: Annotated[str, typer.Argument(help="Folder or Hub id of a student: a text classifier or a translator.")],
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Folder or Hub id of the model to show beside it. Default: the teacher that run.json names, if it is "
            "there."
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where the page is served.", rich_help_panel="Page")
    ] = 7860,
    host: Annotated[
        str,
        typer.Option(help="Address to listen at; 0.0.0.0 lets other machines see the page.", rich_help_panel="Page"),
    ] = "127.0.0.1",
    pairs: Annotated[
        bool | None,
        typer.Option("--pairs/--no-pairs", help="Two boxes: the models read two texts. Default: as run.json says."),
    ] = None,
    source_language: SourceLanguage = None,
    target_language: TargetLanguage = None,
    prefix: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Put before each text for the teacher, where it wants that: '>>cmn_Hans<< ' (Marian). Default: as "
            "run.json says.",
            rich_help_panel="Model",
        ),
    ] = None,
    beams: Annotated[
        int, typer.Option(min=1, help="Width of both translators' search; 1 is greedy.", rich_help_panel="Search")
    ] = 1,
    cpu: Cpu = False,
    space: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Serve nothing, but write a Hugging Face Space that shows the student: absent, empty, or one that "
            "was written so.",
            rich_help_panel="Space",
        ),
    ] = None,
    repo_id: Annotated[
        str | None,
        typer.Option(
            help="With --space: the student's id on the Hub. Not given: the model is copied into the folder.",
            rich_help_panel="Space",
        ),
    ] = None,
) -> None:
    """Serve a page that shows teacher and student side by side: their answers to a text, and how fast they come.

    Nothing leaves this machine. Ctrl-C ends it. With --space, the folder of a Hugging Face Space is written instead.
    """
    from tinybert_hf.cli.quiet import quiet_libraries
    from tinybert_hf.demonstration import check_address, check_gradio, check_space_folder, open_contest

    if repo_id is not None and space is None:
        raise typer.BadParameter("--repo-id is for --space")
    if teacher is not None and space is not None:
        raise typer.BadParameter("--space shows the student alone: leave --teacher out")
    quiet_libraries()
    check_gradio()
    if space is not None:
        check_space_folder(space.absolute())
    else:
        check_address(host, port)
    with opens_models(model, teacher):
        contest = open_contest(
            model,
            teacher,
            with_teacher=space is None,
            pairs=pairs,
            beams=beams,
            languages=(source_language, target_language),
            prefix=prefix,
            device="cpu" if cpu or space is not None else None,
        )
    if space is not None:
        from tinybert_hf.demonstration import write_space

        on_hub = None if Path(model).exists() else model
        written = write_space(contest, space, repo_id or on_hub)
        typer.echo(f"{counted(len(written), 'file is', 'files are')} in {space}. Try it: python {space / 'app.py'}")
        typer.echo(f"Send it: hf upload me/my-space {space} --repo-type space")
        return
    from tinybert_hf.demonstration import serve

    for note in contest.notes:
        typer.echo(f"note: {note}", err=True)

    def ready(url: str) -> None:
        typer.echo(f"The page is at {url} (Ctrl-C ends it)")

    serve(contest, host, port, ready)
