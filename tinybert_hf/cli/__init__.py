"""The command `tinybert`: one file per command, and nothing heavy is imported before a command runs."""

from typing import Annotated

import typer

from tinybert_hf.cli.distill import distill
from tinybert_hf.cli.evaluate import evaluate
from tinybert_hf.cli.failures import EXIT_INTERRUPTED, show_traceback
from tinybert_hf.cli.finetune import finetune
from tinybert_hf.cli.recipes import recipes

COMMANDS = (distill, finetune, evaluate, recipes)

app = typer.Typer(
    name="tinybert",
    help="Turn a Hugging Face transformer into a TinyBERT that is an ordinary Hugging Face model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    app.command()(command)


@app.callback()
def common(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="TINYBERT_DEBUG", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Options that stand before the command."""
    show_traceback(debug)


def main() -> None:
    """Entry point of the command `tinybert`."""
    try:
        app()
    except KeyboardInterrupt:  # before a command has begun
        raise SystemExit(EXIT_INTERRUPTED) from None
