"""The stage in which the training rows get copies with other words."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.augmentation import (
    FileToAugment,
    ReplacementSettings,
    open_source,
    source_of,
    write_augmented,
)
from tinybert_hf.data.augmentation.augmented_file import IS_AUGMENTED
from tinybert_hf.data.files import read_whole_file
from tinybert_hf.data.shard_folder import replace_file
from tinybert_hf.data.tasks.base import dataset_of
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.errors import TeacherError
from tinybert_hf.recipes.progress import row_progress
from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from datasets import Dataset, Features
    from rich.console import Console
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tinybert_hf.data.augmentation import OpenedSource
    from tinybert_hf.recipes.run_base import RunBase
    from tinybert_hf.recipes.schema import AugmentationSettings, Recipe

AUGMENTATION = "augmentation"
TEXT_COLUMNS = ("text", "text_pair", "tokens")
"""Those of checked rows in which words can be replaced."""
_ROWS, _AUGMENTED = "rows.jsonl", "augmented.parquet"


def augment_stage(run: RunBase[Any], settings: AugmentationSettings, folder: Path) -> None:
    """Make the copies of the training rows of a run, in a folder of its own."""
    if run.folder.result_of(AUGMENTATION) is None:
        copies = counted(settings.copies, "copy", "copies")
        with run.stage(AUGMENTATION, f"Augmenting the rows ({copies} of each)"):
            source = open_words(run.recipe, run.teacher, run.tokenizer)
            run.say_notes(source.notes)
            report = write_copies(source, run.recipe, run.plan.data.part("train"), folder, run.console)
        run.folder.finish_stage(AUGMENTATION, report)
    run.say(in_words(run.folder.result_of(AUGMENTATION)))


def open_words(recipe: Recipe, teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> OpenedSource:
    """Where words come from: the model that is named, the teacher's own masked-LM head, or its embeddings.

    Args:
        recipe: its augmentation says how.
        teacher: on its device.
        tokenizer: of the teacher.

    Raises:
        TinyBertError: a model that is named, or the file of word vectors, cannot be used.
    """
    settings = recipe.augmentation
    assert settings is not None
    options: dict[str, Any] = {"glove_file": settings.glove_file, "batch_size": settings.batch_size}
    device = teacher.device.type
    if settings.model is not None:
        return open_source(settings.model, neighbours_only=settings.neighbours_only, device=device, **options)
    reason = "as the recipe says (neighbours_only)"
    if recipe.teacher.model is None:
        reason = "since a teacher that was made here has no masked-LM head"
    elif not settings.neighbours_only:
        try:
            return open_source(recipe.teacher.model, device=device, **options)
        except TeacherError:
            reason = f"since {recipe.teacher.model} has no masked-LM head that could predict words"
    source = source_of(teacher, tokenizer, neighbours_only=True, **options)
    source.notes.append(
        f"Augmentation: every word gives way to one of its neighbours in the teacher's own embeddings, {reason}. To "
        "have words predicted, name a masked-LM: augmentation.model (--augmentation-model)."
    )
    return source


def write_copies(
    source: OpenedSource, recipe: Recipe, train: Dataset, folder: Path, console: Console
) -> dict[str, Any]:
    """Make the copies of the training rows.

    Args:
        source: of words.
        recipe: its augmentation says how many.
        train: the checked rows.
        folder: where the copies go; begun before, it goes on.
        console: where the progress is shown.

    Returns:
        rows, augmented_rows, and what was left as it is.
    """
    settings = recipe.augmentation
    assert settings is not None
    columns = [name for name in TEXT_COLUMNS if name in train.column_names]
    pair = columns[1] if len(columns) > 1 else None
    file = FileToAugment(_rows_file(train, columns, folder), columns[0], pair)
    # Rows of words are read in windows to their end; other texts are cut off.
    in_windows = recipe.task == TOKEN_CLASSIFICATION
    replacement = ReplacementSettings(
        copies=settings.copies,
        probability=settings.probability,
        candidates=settings.candidates,
        seed=recipe.seed,
        max_length=sys.maxsize if in_windows else recipe.data.max_length,
    )
    with row_progress(console, "Training rows") as progress:
        report = write_augmented(
            source.words, file, replacement, folder / _AUGMENTED, words_of=source.identity, progress=progress
        )
    copies = report.rows_written - report.rows_read
    return {"rows": report.rows_read, "augmented_rows": copies, "left": report.notes}


def read_copies(features: Features, folder: Path) -> Dataset:
    """The copies that `write_copies` made, without their rows.

    Args:
        features: the columns of texts or words; no label is among them, since a copy has not earned one.
        folder: of the copies.
    """

    written = read_whole_file(str(folder / _AUGMENTED)).columns
    copies = [place for place, is_copy in enumerate(written[IS_AUGMENTED]) if is_copy]
    columns = {name: [written[name][place] for place in copies] for name in features}
    return dataset_of(columns, features)


def in_words(report: Mapping[str, Any]) -> str:
    """The counts as a line."""
    left = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in report["left"].items() if count)
    return (
        f"The phases learn from {counted(report['rows'], 'training row')} and "
        f"{counted(report['augmented_rows'], 'copy', 'copies')}, without their labels{f' ({left})' if left else ''}."
    )


def _rows_file(train: Dataset, columns: list[str], folder: Path) -> str:
    """The checked rows as a file: they may come from the Hub, or from a generator."""
    file = folder / _ROWS
    folder.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps(row) + "\n" for row in train.select_columns(columns)).encode()
    replace_file(file, lambda handle: handle.write(content))
    return str(file)
