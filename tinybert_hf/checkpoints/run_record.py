"""What a finished run has left in its folder: run.json, read once and handed on, and what is called how in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinybert_hf.checkpoints.integrity import read_object
from tinybert_hf.errors import TinyBertError
from tinybert_hf.messages import does_not_exist
from tinybert_hf.tasks import TaskSpec, spec_of

# What metrics, losses and models are called on the page.

LOSSES = {
    "attention_loss": "attention",
    "hidden_state_loss": "hidden states",
    "embedding_loss": "embeddings",
    "decoder_attention_loss": "decoder: own attention",
    "cross_attention_loss": "decoder: attention to source",
    "decoder_hidden_state_loss": "decoder: hidden states",
    "prediction_loss": "prediction (teacher's answers)",
    "label_loss": "labels",
}
MODELS = {"teacher": "teacher", "student": "student", "baseline": "student alone"}
_METRICS = {"bleu": "BLEU", "chrf": "chrF", "f1": "F1", "f1_micro": "F1 (micro)", "f1_macro": "F1 (macro)",
            "matthews_correlation": "Matthews correlation", "pearson": "Pearson correlation",
            "spearman": "Spearman correlation", "mse": "mean squared error", "exact_match": "exact match"}  # fmt: skip
# Shares of rows, which everybody reads as a percentage.
_SHARES = ("accuracy", "exact_match")


def metric_name(name: str) -> str:
    """A metric in words."""
    return _METRICS.get(name, name.replace("_", " "))


def metric_value(name: str, value: float) -> str:
    """A metric as it is written."""
    if name in ("bleu", "chrf"):
        return f"{value:.1f}"
    return f"{value:.1%}" if name in _SHARES else f"{value:.3f}"


def parameters(count: float) -> str:
    """A number of parameters."""
    return f"{count / 1e6:.2f} M" if count < 1e7 else f"{count / 1e6:,.0f} M"


def setting(value: Any) -> str:
    """A value of a recipe."""
    if value is None:
        return "as usual"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


# What a finished run has left in its folder.

RUN_FILE = "run.json"
DISTANCES_FILE = "layer_distances.json"
WORST_ROWS = "worst_sentences.jsonl"
_NEEDED = ("main_metric", "metrics", "costs", "phases", "recipe", "versions")


@dataclass(frozen=True)
class RunRecord:
    """run.json of a finished run; a KeyError tells that another version has written it (see `understood`).

    Attributes:
        folder: of the run, where its student lies.
        content: of run.json.
    """

    folder: Path
    content: dict[str, Any]

    @classmethod
    def beside(cls, model: str | Path) -> RunRecord | None:
        """The record of the run that made a model; None where nothing is known of it.

        Args:
            model: a folder, or an id on the Hub.

        Raises:
            TinyBertError: run.json is damaged.
        """
        file = Path(model) / RUN_FILE
        return cls(Path(model), with_present_names(read_object(file))) if file.is_file() else None

    @property
    def file(self) -> Path:
        """Its path, for messages."""
        return self.folder / RUN_FILE

    @contextmanager
    def understood(self, remedy: str) -> Iterator[None]:
        """Around what reads the fields: one that is not there, or of another type, becomes an error of this package.

        Args:
            remedy: the last sentence of the message.

        Raises:
            TinyBertError: naming the file and what was not found.
        """
        try:
            yield
        except TinyBertError:
            raise
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise TinyBertError(
                f"{self.file} is of another version, or damaged ({type(error).__name__}: {error}). {remedy}"
            ) from error

    @property
    def recipe(self) -> dict[str, Any]:
        """With which it was made."""
        return dict(self.content["recipe"])

    @property
    def data(self) -> dict[str, Any]:
        """Its rows and their columns, as the recipe says; empty where it names none."""
        return dict(self.recipe.get("data") or {})

    @property
    def spec(self) -> TaskSpec:
        """What its task is."""
        return spec_of(self.recipe.get("task"))

    @property
    def teachers(self) -> list[dict[str, Any]]:
        """Settings of each teacher; `place` is its folder or Hub id, that of one that was trained here included."""
        first = self.recipe["teacher"]
        trained_here = first["model"] is None or first["finetune"] is not None
        place = str(self.folder / "teacher") if trained_here else first["model"]
        extra = self.recipe.get("extra_teachers") or ()
        return [{**first, "place": place}, *({**one, "place": one["model"]} for one in extra)]

    @property
    def teacher_names(self) -> list[str]:
        """As they can be shown to others: the last part of a folder."""
        names = [one["model"] for one in self.teachers]
        return [_short(name) if name else "a teacher that was trained in the same run" for name in names]


_EARLIER_NAMES = {"further_teachers": "extra_teachers"}


EARLIER_PHASES = {"follow_head": False}
"""Settings of a phase that earlier versions did not name, and what they did."""


def with_present_names(content: Any) -> Any:
    """What an earlier version has written into run.json, its fields called as they are called now."""
    if isinstance(content, list):
        return [with_present_names(one) for one in content]
    if not isinstance(content, dict):
        return content
    renamed = {}
    for name, value in content.items():
        first, dot, rest = str(name).partition(".")
        renamed[_EARLIER_NAMES.get(first, first) + dot + rest] = with_present_names(value)
    if isinstance(renamed.get("phases"), list):
        # Those of a recipe: the results of phases stand under the same name, and have no learning rate.
        renamed["phases"] = [
            {**EARLIER_PHASES, **one} if isinstance(one, dict) and "learning_rate" in one else one
            for one in renamed["phases"]
        ]
    return renamed


def starts_from_teacher(recipe: Mapping[str, Any]) -> bool:
    """Whether the student's first weights were computed from the teacher's: of encoders, unless told otherwise.

    Args:
        recipe: of a run.
    """
    student = recipe["student"]
    start = student.get("init") or ("random" if spec_of(recipe.get("task")).has_decoder else "teacher")
    return not student.get("model") and bool(start == "teacher")


@dataclass(frozen=True)
class FinishedRun(RunRecord):
    """The record of a distillation, with the files beside it that its report shows.

    Attributes:
        logs: of each phase its log.json; None where there is none.
        distances: layer_distances.json; None where there is none.
        config: of the student.
    """

    logs: list[dict[str, Any] | None]
    distances: dict[str, Any] | None
    config: dict[str, Any]


def read_run(folder: str | Path) -> FinishedRun:
    """Read what a run has left.

    Raises:
        TinyBertError: there is no such folder, it holds no finished run, or a file of it is damaged.
    """
    place = Path(folder)
    if not place.is_dir():
        what = f"{place} is a file." if place.exists() else does_not_exist(place, folders=True)
        raise TinyBertError(f"{what} Give the output folder of `tinybert distill`.")
    record = RunRecord.beside(place)
    if record is None:
        if (place / ".run").is_dir():
            raise TinyBertError(
                f"The run in {place} is not finished: there is no {RUN_FILE} yet. Give the command that began it "
                "again; it goes on where it was."
            )
        raise TinyBertError(
            f"{place} holds no run: there is no {RUN_FILE}. Give the output folder of `tinybert distill`."
        )
    content = record.content
    absent = [name for name in _NEEDED if name not in content]
    if absent or not isinstance(content["recipe"], dict) or "phases" not in content["recipe"]:
        what = ", ".join(absent) or "the recipe"
        raise TinyBertError(
            f"{record.file} is not that of a distillation: it lacks {what}. Give the output folder of "
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


# What a demonstration needs to know of the run that made a student: its teacher, its columns, its languages.

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
    record = RunRecord.beside(student)
    if record is None:
        return RunFacts()
    with record.understood("Move it away to see the student without it; --teacher names the teacher."):
        recipe = record.recipe
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
            teachers=1 + len(recipe.get("extra_teachers") or ()),
            dataset=facts.dataset,
            pairs=facts.pairs,
            source=source or facts.source,
            prefix=teacher.get("prefix") or "",
            languages=(source, target),
        )


def _place(student: Path, named: str | None) -> str | None:
    """Where the teacher is: one that the run has trained or fine-tuned lies beside the student."""
    own = student / TEACHER_FOLDER
    if named is None or (own / "config.json").is_file():
        return str(own)
    # A relative folder may have been meant from where the run was started, or from beside the student.
    beside = student.resolve().parent / named
    return str(beside) if not Path(named).exists() and beside.is_dir() else named
