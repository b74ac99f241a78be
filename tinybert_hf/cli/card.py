"""`tinybert card`: the model card of a folder, printed or written into it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinybert_hf.cli.card_options import Languages, License, LicenseLink, LicenseName, card_settings, say_what_is_open
from tinybert_hf.cli.failures import answers_failures


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
    from tinybert_hf.cards import card_of
    from tinybert_hf.data.shard_folder import replace_text

    text = card_of(folder, repo_id, settings=card_settings(license, license_name, license_link, language))
    say_what_is_open(text)
    if output is None:
        typer.echo(text, nl=False)
        return
    replace_text(output, text)
    typer.echo(f"The card is in {output}.")
