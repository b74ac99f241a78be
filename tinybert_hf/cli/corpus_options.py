"""The options of a general distillation, and which options do not belong to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

GENERAL_RECIPE = "general"
USUAL_MASKED_SHARE = 0.15
_PANEL = "Text of a general distillation"

Corpus = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE ...",
        help="Text files, .jsonl, .csv, .parquet with a text column, also .gz; patterns, folders; several at once.",
        rich_help_panel=_PANEL,
    ),
]
Dataset = Annotated[
    str | None, typer.Option(help="Instead of --corpus: id of a dataset on the Hub.", rich_help_panel=_PANEL)
]
DatasetConfig = Annotated[str | None, typer.Option(help="Name of its configuration.", rich_help_panel=_PANEL)]
Streaming = Annotated[
    bool,
    typer.Option(
        "--streaming", help="Keep only the tokens of the dataset on the disk, not its text.", rich_help_panel=_PANEL
    ),
]
BlockLength = Annotated[
    int | None,
    typer.Option(min=8, help="Tokens of a block at most. Default: 128.", rich_help_panel=_PANEL),
]
MaskedLm = Annotated[
    bool,
    typer.Option(
        "--masked-lm",
        help="Mask 15 % of the tokens for both models, and learn to find them as well (masked-LM loss).",
        rich_help_panel=_PANEL,
    ),
]
CorpusCache = Annotated[
    str | None,
    typer.Option(
        help="Folder that keeps the tokenised text for further runs. Default: in the cache folder of Hugging Face.",
        rich_help_panel=_PANEL,
    ),
]

# The option of each field of the corpus.
_OPTIONS = {
    "files": "--corpus",
    "dataset": "--dataset",
    "dataset_config": "--dataset-config",
    "streaming": "--streaming",
    "block_length": "--block-length",
    "masked_share": "--masked-lm",
    "cache": "--corpus-cache",
}
# Fields of other tasks, each with its option, and what to say instead.
_REFUSED = {
    "data.train_file": ("--train-file", "its text is given with --corpus"),
    "data.max_length": ("--max-length", "its length is that of a block, --block-length"),
    "data.problem_type": ("--problem-type", "plain text has no labels"),
    "teacher.finetune": ("--finetune-teacher", "there are no labels to fine-tune a teacher on"),
    "further_teachers": ("--further-teacher", "it has one teacher"),
    **{
        f"data.{name}": (f"--{name.replace('_', '-')}", "plain text has no such column")
        for name in (
            *("text_pair_column", "label_column", "label_names", "label_separator"),
            *("source_column", "target_column"),
        )
    },
    **{
        f"pseudo_labels.{name}": (f"--{name.replace('_', '-')}", "its text is given with --corpus")
        for name in ("unlabelled_file", "unlabelled_column")
    },
}


def corpus_overrides(
    corpus: list[str] | None,
    dataset: str | None,
    dataset_config: str | None,
    streaming: bool,
    block_length: int | None,
    masked_lm: bool,
    corpus_cache: str | None,
) -> dict[str, Any]:
    """The fields of the corpus that were given on the command line, by dotted path."""
    given = {
        "files": tuple(corpus) if corpus else None,
        "dataset": dataset,
        "dataset_config": dataset_config,
        "streaming": streaming or None,
        "block_length": block_length,
        "masked_share": USUAL_MASKED_SHARE if masked_lm else None,
        "cache": corpus_cache,
    }
    return {f"corpus.{name}": value for name, value in given.items() if value is not None}


def of_the_task(recipe: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The changes to a recipe under the names of its task; what is of another task is refused.

    Args:
        recipe: name or file.
        overrides: by dotted path, of all options.

    Raises:
        BadParameter: an option does not belong to the task; naming both.
    """
    from tinybert_hf.recipes.loader import read_recipe

    mapping, changed = read_recipe(recipe), dict(overrides)
    if mapping.get("task") != GENERAL_RECIPE:
        for name, option in _OPTIONS.items():
            if f"corpus.{name}" in changed:
                raise typer.BadParameter(
                    f"{option} is for plain text (tinybert distill general), and the task of {recipe} is "
                    f"{mapping.get('task', 'text-classification')}."
                )
        return changed if mapping.get("task") == "translation" else _unlabelled_rows(changed)
    for path, (option, reason) in _REFUSED.items():
        if changed.get(path) is not None:
            raise typer.BadParameter(f"{option} does not belong to a general distillation: {reason}.")
    if "data.validation_file" in changed:
        changed["corpus.validation_files"] = (changed.pop("data.validation_file"),)
    if "data.text_column" in changed:
        changed["corpus.text_column"] = changed.pop("data.text_column")
    if "corpus.masked_share" in changed:
        phases = mapping.get("phases")
        for index in range(len(phases) if isinstance(phases, list) else 0):
            changed[f"phases.{index}.label_loss_weight"] = 1.0
    return changed


def _unlabelled_rows(changed: dict[str, Any]) -> dict[str, Any]:
    """The file without labels under the name that it has where nothing is translated."""
    if "pseudo_labels.unlabelled_column" in changed:
        raise typer.BadParameter(
            "--unlabelled-column is for translation. Here the file of --unlabelled-file has its texts in columns of "
            "the same names as the training rows (--text-column, --text-pair-column, --tokens-column)."
        )
    if "pseudo_labels.unlabelled_file" in changed:
        changed["data.unlabelled_file"] = changed.pop("pseudo_labels.unlabelled_file")
    return changed
