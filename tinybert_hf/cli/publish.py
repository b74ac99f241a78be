"""The commands for others to see a model: `report`, `demo`, `card`, `push`; and `recipes`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tinybert_hf.cli.options import (
    Cpu,
    Languages,
    License,
    LicenseLink,
    LicenseName,
    card_settings,
    recipe_names,
    say_what_is_open,
)
from tinybert_hf.cli.screen import AsJson, answers_failures, opens_models, print_json
from tinybert_hf.cli.translate import SourceLanguage, TargetLanguage
from tinybert_hf.messages import counted

# `tinybert report`: a finished run as one HTML page.


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
    from tinybert_hf.cli.screen import quiet_libraries
    from tinybert_hf.publishing import write_report

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


# `tinybert demo`: a page with teacher and student side by side, or the folder of a Space.


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
    num_beams: Annotated[
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
    from tinybert_hf.cli.screen import quiet_libraries
    from tinybert_hf.publishing import check_address, check_gradio, check_space_folder, open_contest

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
            num_beams=num_beams,
            languages=(source_language, target_language),
            prefix=prefix,
            device="cpu" if cpu or space is not None else None,
        )
    if space is not None:
        from tinybert_hf.publishing import write_space

        on_hub = None if Path(model).exists() else model
        written = write_space(contest, space, repo_id or on_hub)
        typer.echo(f"{counted(len(written), 'file is', 'files are')} in {space}. Try it: python {space / 'app.py'}")
        typer.echo(f"Send it: hf upload me/my-space {space} --repo-type space")
        return
    from tinybert_hf.publishing import serve

    for note in contest.notes:
        typer.echo(f"note: {note}", err=True)

    def ready(url: str) -> None:
        typer.echo(f"The page is at {url} (Ctrl-C ends it)")

    serve(contest, host, port, ready)


# `tinybert card`: the model card of a folder, printed or written into it.


@answers_failures
def card(
    folder: Annotated[str, typer.Argument(help="Folder of a model, as distill or convert has left it.")],
    repo_id: Annotated[str | None, typer.Option(help="Where it is going to be. Default: the folder.")] = None,
    license: License = None,
    license_name: LicenseName = None,
    license_link: LicenseLink = None,
    language: Languages = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write, FOLDER/README.md for example. Not given: the screen.")
    ] = None,
) -> None:
    """Write the model card of a folder: what it is, what it reaches beside its teacher, how it was made.

    Every figure is taken from the run (run.json). `tinybert distill` and `tinybert push` do this by themselves.
    """
    from tinybert_hf.checkpoints.integrity import write_atomically
    from tinybert_hf.checkpoints.model_card import card_of

    text = card_of(folder, repo_id, settings=card_settings(license, license_name, license_link, language))
    say_what_is_open(text)
    if output is None:
        typer.echo(text, nl=False)
        return
    write_atomically(output, text)
    typer.echo(f"The card is in {output}.")


# `tinybert push`: a model to the Hub, in one commit, with a card that was written from its run.


@answers_failures
def push(
    folder: Annotated[str, typer.Argument(help="Folder of a model, as distill or convert has left it.")],
    repo_id: Annotated[str, typer.Option(help="Repository on the Hub: owner/name, made where it is not there.")],
    private: Annotated[bool, typer.Option("--private", help="Make the repository private.")] = False,
    revision: Annotated[str | None, typer.Option(help="Branch; made where it is not there. Default: main.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that no push of this package has put there.")
    ] = False,
    license: License = None,
    license_name: LicenseName = None,
    license_link: LicenseLink = None,
    language: Languages = None,
    message: Annotated[str, typer.Option(help="Of the commit.")] = "Upload a TinyBERT",
    as_json: AsJson = False,
) -> None:
    """Push a model, its tokenizer, its code, a card and its figures to the Hub, in one commit.

    A README.md of your own in the folder is taken as the card. The training rows, the teacher and run.json stay here.
    """
    from tinybert_hf.cli.screen import quiet_libraries
    from tinybert_hf.publishing import push as push_folder

    quiet_libraries()
    done = push_folder(
        folder,
        repo_id,
        private=private,
        revision=revision,
        overwrite=overwrite,
        settings=card_settings(license, license_name, license_link, language),
        message=message,
    )
    if as_json:
        print_json(asdict(done))
        return
    if done.files:
        typer.echo(f"Pushed {counted(len(done.files), 'file')} ({len(done.unchanged)} were there already): {done.url}")
    else:
        typer.echo(f"Nothing to push: {done.url} holds these files already.")
    if done.left:
        typer.echo(
            f"Note: {', '.join(done.left)} there is not of this folder, and was left. If it is another model's, "
            "delete it on the Hub: a program that looks for it would read it beside this model's config.json.",
            err=True,
        )
    at = "" if revision is None else f', revision="{revision}"'
    typer.echo(f'Load it anywhere: AutoModel...from_pretrained("{done.repo_id}"{at}, trust_remote_code=True)')


# `tinybert recipes`: what can be run as it is.


@answers_failures
def recipes(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Print this recipe's YAML, to copy and change: tinybert recipes sst2 > my.yaml",
            autocompletion=recipe_names,
        ),
    ] = None,
) -> None:
    """List the recipes that come with the package, or print one of them."""
    from tinybert_hf.recipes.loader import recipe_text, shipped_recipes

    if name is not None:
        print(recipe_text(name), end="")
        return

    for name, description in shipped_recipes().items():
        print(f"{name:22} {description}")
    print(
        "\nRun one with `tinybert distill NAME`, look at it with --dry-run, change it with --set PATH=VALUE.\n"
        "`tinybert recipes NAME > my.yaml` makes a recipe of your own."
    )
