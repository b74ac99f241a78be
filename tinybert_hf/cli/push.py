"""`tinybert push`: a model to the Hub, in one commit, with a card that was written from its run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tinybert_hf.cli.card_options import Languages, License, LicenseLink, LicenseName, card_settings
from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.json_output import AsJson, print_json
from tinybert_hf.wording import counted


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
    from tinybert_hf.cli.quiet import quiet_libraries
    from tinybert_hf.hub import push as push_folder

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
    at = "" if revision is None else f', revision="{revision}"'
    typer.echo(f'Load it anywhere: AutoModel...from_pretrained("{done.repo_id}"{at}, trust_remote_code=True)')
