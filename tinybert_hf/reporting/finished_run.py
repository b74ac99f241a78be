"""What a finished run has left in its folder, read for its report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening.json_files import read_object

RUN_FILE = "run.json"
DISTANCES_FILE = "layer_distances.json"
WORST_ROWS = "worst_sentences.jsonl"
_NEEDED = ("main_metric", "metrics", "costs", "phases", "recipe", "versions")


@dataclass(frozen=True)
class FinishedRun:
    """A run's folder.

    Attributes:
        folder: of the run.
        content: of run.json.
        logs: of each phase its log.json; None where there is none.
        distances: layer_distances.json; None where there is none.
        config: of the student.
    """

    folder: Path
    content: dict[str, Any]
    logs: list[dict[str, Any] | None]
    distances: dict[str, Any] | None
    config: dict[str, Any]

    @property
    def recipe(self) -> dict[str, Any]:
        """With which it was made."""
        return dict(self.content["recipe"])

    @property
    def is_translation(self) -> bool:
        """Whether the models read one language and write another."""
        return bool(self.recipe["task"] == "translation")

    @property
    def is_general(self) -> bool:
        """Whether the student learned from plain text, before any task."""
        return bool(self.recipe["task"] == "general")

    @property
    def teachers(self) -> list[dict[str, Any]]:
        """Settings of each teacher; `place` is its folder or Hub id, that of one that was trained here included."""
        first = self.recipe["teacher"]
        trained_here = first["model"] is None or first["finetune"] is not None
        place = str(self.folder / "teacher") if trained_here else first["model"]
        further = self.recipe.get("further_teachers") or ()
        return [{**first, "place": place}, *({**one, "place": one["model"]} for one in further)]

    @property
    def teacher_names(self) -> list[str]:
        """As they can be shown to others: the last part of a folder."""
        names = [one["model"] for one in self.teachers]
        return [_short(name) if name else "a teacher that was trained in the same run" for name in names]


def read_run(folder: str | Path) -> FinishedRun:
    """Read what a run has left.

    Raises:
        TinyBertError: there is no such folder, it holds no finished run, or a file of it is damaged.
    """
    place = Path(folder)
    if not place.is_dir():
        what = "is a file" if place.exists() else f"does not exist (looked from {Path.cwd()})"
        raise TinyBertError(f"{place} {what}. Give the output folder of `tinybert distill`.")
    if not (place / RUN_FILE).is_file():
        if (place / ".run").is_dir():
            raise TinyBertError(
                f"The run in {place} is not finished: there is no {RUN_FILE} yet. Give the command that began it "
                "again; it goes on where it was."
            )
        raise TinyBertError(
            f"{place} holds no run: there is no {RUN_FILE}. Give the output folder of `tinybert distill`."
        )
    content = read_object(place / RUN_FILE)
    absent = [name for name in _NEEDED if name not in content]
    if absent or not isinstance(content["recipe"], dict) or "phases" not in content["recipe"]:
        what = ", ".join(absent) or "the recipe"
        raise TinyBertError(
            f"{place / RUN_FILE} is not that of a distillation: it lacks {what}. Give the output folder of "
            "`tinybert distill`."
        )
    phases = content["recipe"]["phases"]
    logs = [
        _read_if_there(place / "phases" / f"{index}-{Path(str(one['name'])).name}" / "log.json")
        for index, one in enumerate(phases)
    ]
    config = _read_if_there(place / "config.json") or {}
    return FinishedRun(place, content, logs, _read_if_there(place / DISTANCES_FILE), config)


def _read_if_there(file: Path) -> dict[str, Any] | None:
    return read_object(file) if file.is_file() else None


def _short(name: str) -> str:
    return Path(name).name if Path(name).exists() or name.startswith((".", "/", "~")) else name
