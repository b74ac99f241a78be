"""What --teacher, --student and their like change in a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer


def model_overrides(
    teacher: str | None, finetune_teacher: bool, student: str | None, start: str | None
) -> dict[str, Any]:
    """The fields of the teacher and the student that were given, by dotted path."""
    overrides: dict[str, Any] = {}
    if teacher is not None:
        # A teacher that is named takes the place of one that the recipe would make or fine-tune.
        overrides |= {"teacher.model": teacher, "teacher.config": None, "teacher.finetune": None}
    if finetune_teacher:
        overrides["teacher.finetune"] = {}
    if student is not None:
        is_model = (Path(student).exists() or "/" in student) and not _is_preset(student)
        overrides |= {"student.model": student if is_model else None, "student.preset": None if is_model else student}
        overrides["student.overrides"] = {}
    if start is not None:
        overrides["student.start"] = start
    return overrides


def _is_preset(name: str) -> bool:
    from tinybert_hf.model import PRESETS  # loads torch, which a wrong name elsewhere does not need

    return name in PRESETS


def joint_overrides(further: list[str], weights: str | None) -> dict[str, Any]:
    """The further teachers, and how much each teacher counts."""
    if weights is None:
        return {"further_teachers": [{"model": model} for model in further]} if further else {}
    if not further:
        raise typer.BadParameter(
            "--teacher-weights goes with --further-teacher. To change the weights of a recipe: "
            "--set teacher.weight=2 --set further_teachers.0.weight=1"
        )
    given = [text.strip() for text in weights.split(",")]
    if len(given) != 1 + len(further):
        raise typer.BadParameter(
            f"--teacher-weights {weights!r} has {len(given)} numbers, and there are {1 + len(further)} teachers: one "
            "for --teacher and one for each --further-teacher, separated by commas"
        )
    teachers = [{"model": model, "weight": weight} for model, weight in zip(further, given[1:], strict=True)]
    return {"teacher.weight": given[0], "further_teachers": teachers}
