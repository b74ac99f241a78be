"""`tinybert recipes`: what can be run as it is."""

from __future__ import annotations

from typing import Annotated

import typer

from tinybert_hf.cli.completion import recipe_names
from tinybert_hf.cli.failures import answers_failures


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
