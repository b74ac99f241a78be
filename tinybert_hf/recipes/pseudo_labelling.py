"""The stage in which the teacher translates what the student will learn from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.pseudo_label_rows import BEST, PseudoLabelSettings
from tinybert_hf.data.pseudo_labels import read_pseudo_labels, repeated_target, write_pseudo_labels
from tinybert_hf.data.shard_folder import replace_file
from tinybert_hf.recipes.progress import row_progress

if TYPE_CHECKING:
    from datasets import Dataset
    from rich.console import Console
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tinybert_hf.recipes.schema import PseudoLabels, Recipe

REFERENCES, UNLABELLED = "references", "unlabelled"
TITLES = {REFERENCES: "Training sources", UNLABELLED: "Unlabelled sources"}
# More than this share left out says that the teacher does not fit the text, or the filters do not.
MANY_LEFT_OUT = 0.2


def write_rows(
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
    inputs = {REFERENCES: _own(labels, _pairs_file(pairs, folder), recipe.teacher.prefix)}
    if labels.unlabelled_file is not None:
        column = labels.unlabelled_column or recipe.data.source_column
        inputs[UNLABELLED] = _settings(
            labels, labels.unlabelled_file, column, recipe.teacher.prefix, target_column=None, select=BEST
        )
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


def read_rows(folder: Path, reports: Mapping[str, Any]) -> Dataset:
    """What `write_rows` has written: columns source and target."""
    from datasets import concatenate_datasets

    return concatenate_datasets([read_pseudo_labels(folder / name) for name in reports])


def in_words(name: str, report: Mapping[str, Any]) -> str:
    """The counts as a line."""
    seconds = report["seconds"]
    rate = f" ({report['rows_read'] / seconds:,.0f} rows/s)" if seconds else ""
    left_out = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in report["filtered"].items())
    return (
        f"{TITLES[name]}: {report['rows_written']:,} of {report['rows_read']:,} translations kept, made in "
        f"{seconds:,.0f} s{rate}; left out: {left_out or 'none'}."
    )


def warnings(reports: Mapping[str, Mapping[str, Any]]) -> list[str]:
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
            found.append(f"{TITLES[name]}: {repetition_in_words(*report['repeated'])}")
    return found


def repetition_in_words(target: str, count: int) -> str:
    """What a translation of many sources says about the teacher."""
    return (
        f"the teacher writes the same for {count:,} different texts ({target[:60]!r}): it hardly looks at what it "
        "reads, and nothing can be learnt from it. Train it longer or on more pairs."
    )


def _own(labels: PseudoLabels, file: Path, prefix: str) -> PseudoLabelSettings:
    return _settings(labels, str(file), "source", prefix, target_column="target", select=labels.select)


def _settings(
    labels: PseudoLabels, file: str, column: str, prefix: str, *, target_column: str | None, select: str
) -> PseudoLabelSettings:
    return PseudoLabelSettings(
        file,
        column,
        target_column=target_column,
        beams=labels.beams,
        select=select,
        prefix=prefix,
        max_length_factor=labels.max_length_factor,
        max_repeats=labels.max_repeats,
    )


def _pairs_file(pairs: Dataset, folder: Path) -> Path:
    """The checked rows as a file: they may come from the Hub, or from a generator."""
    file = folder / "pairs.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"source": row["source"], "target": row["target"]}) + "\n" for row in pairs)
    content = "".join(lines).encode()
    replace_file(file, lambda handle: handle.write(content))
    return file
