"""The command `tinybert`: one file per command, and nothing heavy is imported before a command runs."""

from typing import Annotated

import typer

from tinybert_hf.cli.augment import augment
from tinybert_hf.cli.benchmark import benchmark
from tinybert_hf.cli.card import card
from tinybert_hf.cli.convert import convert
from tinybert_hf.cli.demo import demo
from tinybert_hf.cli.distill import distill
from tinybert_hf.cli.evaluate import evaluate
from tinybert_hf.cli.export import export
from tinybert_hf.cli.failures import show_traceback
from tinybert_hf.cli.finetune import finetune
from tinybert_hf.cli.interruption import EXIT_INTERRUPTED, answers_ctrl_c
from tinybert_hf.cli.prune_vocabulary import prune_vocabulary
from tinybert_hf.cli.pseudo_label import pseudo_label
from tinybert_hf.cli.push import push
from tinybert_hf.cli.quiet import quiet_imports
from tinybert_hf.cli.recipes import recipes
from tinybert_hf.cli.report import report
from tinybert_hf.cli.several_values import SeveralValues
from tinybert_hf.cli.translate import translate

COMMANDS = (
    distill,
    finetune,
    evaluate,
    benchmark,
    translate,
    pseudo_label,
    augment,
    convert,
    prune_vocabulary,
    export,
    report,
    demo,
    card,
    push,
    recipes,
)

app = typer.Typer(
    name="tinybert",
    help="Turn a Hugging Face transformer into a TinyBERT that is an ordinary Hugging Face model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    app.command(cls=SeveralValues)(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from tinybert_hf.recipes.report import versions

        own, *others = versions().items()
        print(" ".join(own))
        print(", ".join(" ".join(one) for one in others))
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Print the versions of this package and of those it stands on.",
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="TINYBERT_DEBUG", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Options that stand before the command."""
    show_traceback(debug)
    quiet_imports()


def main() -> None:
    """Entry point of the command `tinybert`."""
    try:
        with answers_ctrl_c():
            app()
    except KeyboardInterrupt:  # before a command has begun
        raise SystemExit(EXIT_INTERRUPTED) from None
