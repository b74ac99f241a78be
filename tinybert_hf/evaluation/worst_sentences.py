"""Writes the sentences on which a student loses most against its teacher, side by side."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from tinybert_hf.data.shard_folder import replace_text
from tinybert_hf.errors import DataError
from tinybert_hf.evaluation.translation_scores import check_lengths, sentence_chrf

COLUMNS = ("row", "loss", "teacher_chrf", "student_chrf", "source", "reference", "teacher", "student")


def worst_sentences(
    sources: Sequence[str],
    references: Sequence[str],
    teacher: Sequence[str],
    student: Sequence[str],
    count: int | None = 50,
) -> list[dict[str, Any]]:
    """Sorts sentences by what the student loses.

    Args:
        sources: the texts that were translated.
        references: their translations.
        teacher: the teacher's translations.
        student: the student's translations.
        count: how many sentences at most; None takes all.

    Returns:
        For each sentence its row (from 1), the loss (chrF of the teacher - chrF of the student, each 0 to 100, against
        the reference), both chrF, and the four texts; the largest loss first, equal ones in the order of the rows.

    Raises:
        DataError: there is no sentence, or the lists are not of the same length.
    """
    check_lengths(sources=sources, references=references, teacher=teacher, student=student)
    scores = zip(sentence_chrf(teacher, references), sentence_chrf(student, references), strict=True)
    texts = zip(sources, references, teacher, student, strict=True)
    rows: list[dict[str, Any]] = [
        dict(zip(COLUMNS, (row, round(above - below, 2), round(above, 2), round(below, 2), *four), strict=True))
        for row, ((above, below), four) in enumerate(zip(scores, texts, strict=True), start=1)
    ]
    return sorted(rows, key=lambda entry: -entry["loss"])[:count]


def write_worst_sentences(
    path: str | Path,
    sources: Sequence[str],
    references: Sequence[str],
    teacher: Sequence[str],
    student: Sequence[str],
    count: int | None = 50,
) -> Path:
    """Writes the sentences of `worst_sentences` into a file; one that is there is replaced.

    Args:
        path: .jsonl and .tsv hold one sentence per line, .md one table per sentence. Its folder is made if need be.
        sources: the texts that were translated.
        references: their translations.
        teacher: the teacher's translations.
        student: the student's translations.
        count: how many sentences at most; None takes all.

    Returns:
        The path.

    Raises:
        DataError: an unknown suffix, no sentence, or lists of unequal length.
    """
    file = Path(path)
    if file.suffix.lower() not in _WRITERS:
        raise DataError(f"{file}: the suffix {file.suffix!r} is unknown; known are {', '.join(_WRITERS)}.")
    rows = worst_sentences(sources, references, teacher, student, count)
    file.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    _WRITERS[file.suffix.lower()](text, rows)
    replace_text(file, text.getvalue())
    return file


def _write_json_lines(handle: IO[str], rows: list[dict[str, Any]]) -> None:
    handle.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_tsv(handle: IO[str], rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(handle, COLUMNS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _write_markdown(handle: IO[str], rows: list[dict[str, Any]]) -> None:
    for row in rows:
        handle.write(f"### Row {row['row']}: {row['loss']} chrF lost\n\n| | text | chrF |\n| --- | --- | --- |\n")
        for name in ("source", "reference", "teacher", "student"):
            handle.write(f"| {name} | {_cell(row[name])} | {row.get(f'{name}_chrf', '')} |\n")
        handle.write("\n")


def _cell(text: str) -> str:
    """The text as it stands, where Markdown would see a table's border, markup or a new line."""
    escaped = "".join(f"\\{sign}" if sign in "\\`*_[]<>|" else sign for sign in text)
    return " ".join(escaped.split())


_WRITERS: dict[str, Callable[[IO[str], list[dict[str, Any]]], None]] = {
    ".jsonl": _write_json_lines,
    ".tsv": _write_tsv,
    ".md": _write_markdown,
}
