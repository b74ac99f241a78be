"""What a demonstration needs to know of the run that made a student: its teacher, its columns, its languages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening.json_files import read_object

RUN_FILE = "run.json"
# Where a run leaves a teacher that it has trained itself.
TEACHER_FOLDER = "teacher"


@dataclass(frozen=True)
class RunFacts:
    """What run.json says; all of it is unknown where there is none.

    Attributes:
        teacher: folder or Hub id of the teacher, None where none is known.
        teachers: how many the run had.
        dataset: what the rows came from, where that was no file.
        pairs: the rows have two texts.
        source: language, or else column, of the texts that a translator reads.
        prefix: stands before each text that the teacher translates.
        languages: source and target of a multilingual teacher.
    """

    teacher: str | None = None
    teachers: int = 0
    dataset: str | None = None
    pairs: bool = False
    source: str | None = None
    prefix: str = ""
    languages: tuple[str | None, str | None] = (None, None)


def facts_of_run(student: str) -> RunFacts:
    """Reads the run.json that lies beside a student.

    Args:
        student: a folder, or an id on the Hub.

    Raises:
        TinyBertError: run.json is damaged, or of another version.
    """
    file = Path(student) / RUN_FILE
    if not file.is_file():
        return RunFacts()
    run = read_object(file)
    try:
        recipe = run["recipe"]
        data: dict[str, Any] = recipe["data"]
        teacher: dict[str, Any] | None = recipe.get("teacher")  # a fine-tuned teacher's own run had none
        columns = {name: data.get(name) for name in ("dataset", "text_pair_column", "source_column")}
        facts = RunFacts(
            dataset=columns["dataset"], pairs=columns["text_pair_column"] is not None, source=columns["source_column"]
        )
        if teacher is None:
            return facts
        source, target = teacher.get("source_language"), teacher.get("target_language")
        return RunFacts(
            teacher=_place(Path(student), teacher["model"]),
            teachers=1 + len(recipe.get("further_teachers") or ()),
            dataset=facts.dataset,
            pairs=facts.pairs,
            source=source or facts.source,
            prefix=teacher.get("prefix") or "",
            languages=(source, target),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise TinyBertError(
            f"{file} is of another version, or damaged ({type(error).__name__}: {error}). Move it away to see the "
            "student without it; --teacher names the teacher."
        ) from error


def _place(student: Path, named: str | None) -> str | None:
    """Where the teacher is: one that the run has trained or fine-tuned lies beside the student."""
    own = student / TEACHER_FOLDER
    if named is None or (own / "config.json").is_file():
        return str(own)
    # A relative folder may have been meant from where the run was started, or from beside the student.
    beside = student.resolve().parent / named
    return str(beside) if not Path(named).exists() and beside.is_dir() else named
