"""The stages in which the training rows get copies with other words, or translations by the teacher."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints.integrity import write_atomically
from tinybert_hf.data.augmentation import IS_AUGMENTED, FileToAugment, write_augmented
from tinybert_hf.data.augmentation_candidates import open_source, source_of
from tinybert_hf.data.augmentation_words import ReplacementSettings
from tinybert_hf.data.files import read_whole_file
from tinybert_hf.data.pseudo_labels import (
    PseudoLabelSettings,
    read_pseudo_labels,
    repeated_target,
    write_pseudo_labels,
)
from tinybert_hf.data.settings import BEST, CopySettings, SearchSettings, common_values
from tinybert_hf.data.tasks import dataset_of
from tinybert_hf.errors import TeacherError
from tinybert_hf.messages import counted
from tinybert_hf.recipes.folder import row_progress
from tinybert_hf.recipes.schema import AugmentationSettings
from tinybert_hf.tasks import TOKEN_CLASSIFICATION

if TYPE_CHECKING:
    from datasets import Dataset, Features
    from rich.console import Console
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tinybert_hf.data.augmentation_candidates import OpenedSource
    from tinybert_hf.recipes.run import Run
    from tinybert_hf.recipes.schema import Recipe


# The stage in which the training rows get copies with other words.

AUGMENTATION = "augmentation"
TEXT_COLUMNS = ("text", "text_pair", "tokens")
"""Those of checked rows in which words can be replaced."""
_ROWS, _AUGMENTED = "rows.jsonl", "augmented.parquet"


def with_copies(recipe: Recipe, rows: int, unlabelled: int) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with as many copies as its rows need, where it says how many rows there shall be.

    Args:
        recipe: of the run.
        rows: that have labels.
        unlabelled: further rows, which count as much.

    Returns:
        The recipe, without an augmentation where none is needed; and what to say about it.
    """
    settings = recipe.augmentation
    if settings is None or settings.up_to_rows is None:
        return recipe, ()
    copies = min(settings.copies, round((settings.up_to_rows - unlabelled) / max(rows, 1)) - 1)
    taught = any(phase.train_rows is not None or "label_loss" in phase.loss_weights() for phase in recipe.phases)
    reason = (
        "a phase learns from labels, or from its first rows alone" if taught
        else f"with {rows + unlabelled:,} rows and augmentation.up_to_rows {settings.up_to_rows:,}" if copies < 1
        else ""
    )  # fmt: skip
    if reason:
        named = replace(settings, copies=0, up_to_rows=None) != AugmentationSettings(copies=0)
        said = f"No copies of the rows are made: {reason}. To have them all the same, say how many (--augment)."
        return replace(recipe, augmentation=None), (said,) if named or taught else ()
    said = (
        f"The rows are few, so the phases learn from {counted(copies, 'copy', 'copies')} of each with other words: "
        f"{rows * (1 + copies) + unlabelled:,} rows an epoch. --augment 0 leaves the copies out; texts of yours "
        "(--unlabelled-file) are better, and take their place."
    )
    return replace(recipe, augmentation=replace(settings, copies=copies, up_to_rows=None)), (said,)


def augment_stage(run: Run, settings: AugmentationSettings, folder: Path) -> None:
    """Make the copies of the training rows of a run, in a folder of its own."""
    if run.folder.result_of(AUGMENTATION) is None:
        copies = counted(settings.copies, "copy", "copies")
        with run.stage(AUGMENTATION, f"Augmenting the rows ({copies} of each)"):
            source = open_words(run.recipe, run.teacher, run.tokenizer)
            run.say_notes(source.notes)
            report = write_copies(source, run.recipe, run.plan.data.part("train"), folder, run.console)
        run.folder.finish_stage(AUGMENTATION, report)
    run.say(format_copies(run.folder.result_of(AUGMENTATION)))


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
        **common_values(CopySettings, settings),
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


def format_copies(report: Mapping[str, Any]) -> str:
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
    write_atomically(file, "".join(json.dumps(row) + "\n" for row in train.select_columns(columns)))
    return str(file)


# The stage in which the teacher translates what the student will learn from.

REFERENCES, UNLABELLED = "references", "unlabelled"
TITLES = {REFERENCES: "Training sources", UNLABELLED: "Unlabelled sources"}
# More than this share left out says that the teacher does not fit the text, or the filters do not.
MANY_LEFT_OUT = 0.2


def write_translated_rows(
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    recipe: Recipe,
    pairs: Dataset,
    folder: Path,
    console: Console,
) -> dict[str, dict[str, Any]]:
    """Let the teacher translate the training sources, and the unlabelled ones where there are any.

    Args:
        teacher: on its device.
        tokenizer: of the teacher.
        recipe: its pseudo_labels say how.
        pairs: the checked training rows.
        folder: where the rows go; begun before, it goes on.
        console: where the progress is shown.

    Returns:
        For each of the two the counts of a PseudoLabelReport.

    Raises:
        TinyBertError: a file or a translation that cannot be used.
    """
    labels = recipe.pseudo_labels
    assert labels is not None
    search = {**common_values(SearchSettings, labels), "prefix": recipe.teacher.prefix}
    file = str(_pairs_file(pairs, folder))
    inputs = {REFERENCES: PseudoLabelSettings(file, "source", target_column="target", **search)}
    if labels.unlabelled_file is not None:
        column = labels.unlabelled_column or recipe.data.source_column
        inputs[UNLABELLED] = PseudoLabelSettings(labels.unlabelled_file, column, **{**search, "select": BEST})
    reports = {}
    for name, settings in inputs.items():
        with row_progress(console, TITLES[name]) as progress:
            report = write_pseudo_labels(
                teacher, tokenizer, settings, folder / name, batch_size=labels.batch_size, progress=progress
            )
        reports[name] = {key: value for key, value in asdict(report).items() if key != "output"}
        if report.rows_written:
            reports[name]["repeated"] = repeated_target(read_pseudo_labels(folder / name))
    return reports


def read_translated_rows(folder: Path, reports: Mapping[str, Any]) -> Dataset:
    """What `write_rows` has written: columns source and target."""
    from datasets import concatenate_datasets

    return concatenate_datasets([read_pseudo_labels(folder / name) for name in reports])


def format_pseudo_labels(name: str, report: Mapping[str, Any]) -> str:
    """The counts as a line."""
    seconds = report["seconds"]
    rate = f" ({report['rows_read'] / seconds:,.0f} rows/s)" if seconds else ""
    left_out = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in report["filtered"].items())
    return (
        f"{TITLES[name]}: {report['rows_written']:,} of {report['rows_read']:,} translations kept, made in "
        f"{seconds:,.0f} s{rate}; left out: {left_out or 'none'}."
    )


def pseudo_label_warnings(reports: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the counts say about the teacher."""
    found = []
    for name, report in reports.items():
        if report["rows_written"] < (1 - MANY_LEFT_OUT) * report["rows_read"]:
            share = 1 - report["rows_written"] / report["rows_read"]
            found.append(
                f"{TITLES[name]}: {share:.0%} of the teacher's translations were left out "
                f"({', '.join(report['filtered'])}). Look at the teacher, or at the filters of pseudo_labels."
            )
        if report.get("repeated"):
            found.append(f"{TITLES[name]}: {format_repetition(*report['repeated'])}")
    return found


def format_repetition(target: str, count: int) -> str:
    """What a translation of many sources says about the teacher."""
    return (
        f"the teacher writes the same for {count:,} different texts ({target[:60]!r}): it hardly looks at what it "
        "reads, and nothing can be learnt from it. Train it longer or on more pairs."
    )


def _pairs_file(pairs: Dataset, folder: Path) -> Path:
    """The checked rows as a file: they may come from the Hub, or from a generator."""
    file = folder / "pairs.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"source": row["source"], "target": row["target"]}) + "\n" for row in pairs)
    write_atomically(file, "".join(lines))
    return file
