"""The command `tinybert`: a file holds a few commands, and nothing heavy is imported before a command runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from tinybert_hf.cli.distill import distill
from tinybert_hf.cli.models import augment, convert, export, prune_vocabulary
from tinybert_hf.cli.publish import card, demo, push, recipes, report
from tinybert_hf.cli.screen import EXIT_INTERRUPTED, answers_ctrl_c, quiet_imports, show_traceback
from tinybert_hf.cli.train import benchmark, classify, evaluate, finetune
from tinybert_hf.cli.translate import pseudo_label, translate

# An option that takes all that follows it, as the shell writes a pattern such as text/*.txt out.


def spread(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """`--corpus a b` as `--corpus a --corpus b`, up to the next option.

    Args:
        words: of a command line.
        options: that take several values.
    """
    spread_out: list[str] = []
    current: str | None = None
    for word in words:
        if word.startswith("-") and word != "-":
            current = word if word in options else None
            first = True
        elif current is not None:
            if not first:
                spread_out.append(current)
            first = False
        spread_out.append(word)
    return spread_out


class SeveralValues(TyperCommand):
    """A command with the option --corpus, which takes several values."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As in typer, after the values were spread."""
        return super().parse_args(ctx, spread(args, ("--corpus",)))


COMMANDS = (
    distill,
    finetune,
    evaluate,
    classify,
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
