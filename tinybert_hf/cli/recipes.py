"""`tinybert recipes`: what can be run as it is."""

from __future__ import annotations

from tinybert_hf.cli.failures import answers_failures


@answers_failures
def recipes() -> None:
    """List the recipes that come with the package."""
    from tinybert_hf.recipes.loader import shipped_recipes

    for name, description in shipped_recipes().items():
        print(f"{name:22} {description}")
    print("\nRun one with `tinybert distill NAME`, look at it with --dry-run, change it with --set PATH=VALUE.")
