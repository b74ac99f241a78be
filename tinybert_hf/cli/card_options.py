"""What `card` and `push` ask about a model card: license and language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tinybert_hf.cards import CardSettings

License = Annotated[
    str | None,
    typer.Option(
        help="As the Hub names it: apache-2.0, mit, cc-by-sa-4.0, or other. Default: that of the recipe or of the "
        "teacher's card, or else unknown."
    ),
]
LicenseName = Annotated[str | None, typer.Option(help="With --license other: its name, such as my-license-1.0.")]
LicenseLink = Annotated[str | None, typer.Option(help="With --license other: where its text stands.")]
Languages = Annotated[
    str | None,
    typer.Option(
        "--language",
        metavar="CODE,...",
        help="Of the texts, in ISO 639: en, or en,zh. Default: that of the recipe, of the dataset, of the teacher's "
        "card, or of the training rows.",
    ),
]


def card_settings(
    license: str | None, license_name: str | None, license_link: str | None, language: str | None
) -> CardSettings:
    """The options as one value.

    Raises:
        TinyBertError: the Hub would refuse one of them.
    """
    from tinybert_hf.cards import CardSettings

    codes = tuple(code.strip() for code in (language or "").split(",") if code.strip())
    return CardSettings(license, license_name, license_link, codes or None)


def say_what_is_open(text: str) -> None:
    """A line on the standard error for each thing that the card leaves open."""
    from huggingface_hub import ModelCard

    from tinybert_hf.cards import UNDETERMINED, UNKNOWN_LICENSE

    data = ModelCard(text, ignore_metadata_errors=True).data
    for field, value, option in (
        ("license", UNKNOWN_LICENSE, "--license"), ("language", UNDETERMINED, "--language"),
    ):  # fmt: skip
        if getattr(data, field, None) == value:
            typer.echo(f"Note: nobody has named the {field} of this model; give it with {option}.", err=True)
