"""`tinybert convert`: a published TinyBERT, or any checkpoint that is built like BERT, becomes one of ours."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.options import LabelNames, names_of
from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from tinybert_hf.conversion import Conversion

_MODEL = "Model"


@answers_failures
def convert(
    checkpoint: Annotated[
        str, typer.Argument(help="Folder, weights file beside its config.json, or Hub id of the checkpoint.")
    ],
    output_dir: Annotated[str, typer.Option(help="Folder for the TinyBERT: new or empty.", rich_help_panel="Run")],
    head: Annotated[
        str | None,
        typer.Option(
            help="encoder, sequence-classification, token-classification, question-answering or masked-lm. Not given: "
            "what the checkpoint holds.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    label_names: LabelNames = None,
    lower_case: Annotated[
        bool | None,
        typer.Option(
            "--lower-case/--keep-case",
            help="Whether the tokenizer lowers letters. Not given: as the checkpoint says.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option(help="Draw at random what the checkpoint lacks.", rich_help_panel=_MODEL)
    ] = False,
    allow_unexpected: Annotated[
        bool, typer.Option(help="Leave out tensors that belong to no part of a BERT.", rich_help_panel=_MODEL)
    ] = False,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit on the Hub.", rich_help_panel=_MODEL)
    ] = None,
) -> None:
    """Convert a published TinyBERT (general, fine-tuned, Chinese), or any checkpoint that is built like BERT.

    The result opens with AutoModel...from_pretrained, is a student for `tinybert distill --student FOLDER`, and brings
    the projections of the general distillation with it, where the checkpoint has them.
    """
    from tinybert_hf.cli.quiet import quiet_libraries
    from tinybert_hf.conversion import convert_checkpoint

    quiet_libraries()
    converted = convert_checkpoint(
        checkpoint,
        output_dir,
        head=head,
        label_names=None if label_names is None else names_of(label_names),
        lower_case=lower_case,
        allow_missing=allow_missing,
        allow_unexpected=allow_unexpected,
        revision=revision,
    )
    for line in described(converted):
        typer.echo(line)
    typer.echo(f"It stands in {output_dir}.")


def described(converted: Conversion) -> list[str]:
    """What a checkpoint has become, a line each."""
    config = converted.model.config
    kind = "a published TinyBERT" if converted.is_published else "a BERT"
    lines = [
        f"{type(converted.model).__name__} of {counted(config.num_hidden_layers, 'layer')} x {config.hidden_size}, "
        f"{converted.model.num_parameters() / 1e6:.1f} M parameters, from {kind}; vocabulary of "
        f"{len(converted.tokenizer):,}."
    ]
    if converted.head.endswith("classification"):
        lines.append(f"Labels: {', '.join(config.id2label.values())}.")
    if config.classifier_activation == "relu":
        lines.append("Its classifier is the published one: Linear(relu(pooled)).")
    if converted.projections is not None:
        width = next(converted.projections.parameters()).shape[0]
        how = "one for all layers" if converted.projections.mode == "shared" else "one for each layer"
        lines.append(f"Projections to a teacher of width {width}, {how}: projections.safetensors.")
    for reason, count in Counter(converted.left_out.values()).items():
        lines.append(f"Left out, {counted(count, 'tensor')}: {reason}.")
    return [*lines, *(f"Note: {note}." for note in converted.notes)]
