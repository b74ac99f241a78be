"""The report of a run as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinybert_hf.cards import latency_in_words
from tinybert_hf.data.shard_folder import replace_text
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening import QUESTION_ANSWERING
from tinybert_hf.reporting.curves import phase_picture
from tinybert_hf.reporting.disagreements import Comparison, compare_classifiers
from tinybert_hf.reporting.finished_run import FinishedRun, read_run
from tinybert_hf.reporting.headline import comparison_picture, figures, summary, tiles
from tinybert_hf.reporting.heat_maps import heat_map, mapped_cells
from tinybert_hf.reporting.making import compares_layers, phases_table, recipe_text, start_of, starts_from_teacher
from tinybert_hf.reporting.opened_run import Moved, NotThereError
from tinybert_hf.reporting.translations import compare_translators
from tinybert_hf.wording import counted

REPORT_FILE = "report.html"
_TEMPLATE = "page.html"


def write_report(
    folder: str | Path,
    output: str | Path | None = None,
    *,
    validation_file: str | None = None,
    teachers: tuple[str, ...] = (),
    device: str | None = None,
) -> Path:
    """Write the report of a finished run.

    Args:
        folder: of the run, as `tinybert distill` leaves it.
        output: the file; None: report.html in the folder of the run.
        validation_file: the validation rows, where they are not any more where the run had them.
        teachers: likewise folder or Hub id of each teacher.
        device: where the models run; None takes the GPU if there is one.

    Returns:
        The file.

    Raises:
        TinyBertError: the folder holds no finished run, what was named cannot be used, or the file cannot be written.
    """
    run = read_run(folder)
    target = run.folder / REPORT_FILE if output is None else Path(output)
    if target.is_dir() or not target.parent.is_dir():
        what = "is a folder" if target.is_dir() else f"cannot be written: {target.parent} is no folder"
        raise TinyBertError(f"{target} {what}. Give the name of a file in a folder that is there (--output).")
    text = report_page(run, Moved(validation_file, teachers, device))
    replace_text(target, text.encode(errors="replace").decode())
    return target


def report_page(run: FinishedRun, moved: Moved) -> str:
    """The page as text.

    Args:
        run: from `read_run`.
        moved: what lies elsewhere now.

    Raises:
        TinyBertError: run.json is damaged, or what the user named cannot be used.
    """
    template = _template()
    try:
        content = {
            "title": run.recipe.get("name") or run.folder.resolve().name,
            "summary": summary(run),
            "tiles": tiles(run),
            "figures": figures(run),
            "speed": latency_in_words(run.content["costs"], run.content.get("device", "cpu")),
            "comparison_picture": comparison_picture(run),
            "phases": _phases(run),
            "distances": _distances(run),
            "making": phases_table(run),
            "start": start_of(run),
            "ends_apart": not compares_layers(run, -1),
            "starts_near": starts_from_teacher(run),
            "recipe": recipe_text(run),
            "seed": run.recipe["seed"],
            "warnings": run.content.get("warnings") or [],
            "versions": run.content["versions"],
            "is_translation": run.is_translation,
        }
    except (LookupError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        if isinstance(error, TinyBertError):
            raise
        raise TinyBertError(
            f"{run.folder}: run.json or a log beside it is of another version, or damaged "
            f"({type(error).__name__}: {error})."
        ) from error
    content["comparison"], content["comparison_missing"] = _compared(run, moved)
    return str(template.render(content))


def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["counted"] = counted
    return environment.get_template(_TEMPLATE)


def _phases(run: FinishedRun) -> list[dict[str, Any]]:
    """Name and picture of each phase; None where it kept no log."""
    found = []
    for index, (settings, log) in enumerate(zip(run.recipe["phases"], run.logs, strict=True)):
        title = f"Phase {index}: {settings['name']}"
        picture = None if log is None else phase_picture(log, run.content["main_metric"], title)
        found.append({"title": title, "picture": picture})
    return found


def _distances(run: FinishedRun) -> dict[str, Any]:
    """The pictures of each half, or the reason why there are none."""
    if run.distances is None:
        return {
            "missing": "This run kept no layer distances: an earlier version of tinybert_hf made it.",
            "halves": [],
        }
    before, after = run.distances["before"], run.distances["after"]
    for one in (before, after):
        if "missing" in one:
            return {"missing": f"The layers could not be compared: {one['missing']}.", "halves": []}
    halves = [_half(run, half, before, after) for half in ("encoder", "decoder") if half in before and half in after]
    return {"missing": None, "halves": halves, "rows": after["rows"], "tokens": after["tokens"]}


def _half(run: FinishedRun, half: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    matrix = after[half]
    mapped = mapped_cells(run.recipe, half, len(matrix) - 1, len(matrix[0]) - 1)
    pictures = [heat_map(one[half], mapped, when) for one, when in ((before, "before"), (after, "after"))]
    means = [_mean(one[half], mapped) for one in (before, after)]
    title = "Encoder" if half == "encoder" else "Decoder"
    return {
        "title": title if run.is_translation else None,
        "pictures": pictures,
        "mapped": bool(mapped),
        "means": means,
    }


def _mean(matrix: list[list[float]], cells: set[tuple[int, int]]) -> float | None:
    values = [matrix[row][column] for row, column in cells]
    return sum(values) / len(values) if values else None


def _compared(run: FinishedRun, moved: Moved) -> tuple[Comparison | None, str | None]:
    """Student and teacher on the validation rows, or why they cannot be compared."""
    if run.recipe["task"] == TOKEN_CLASSIFICATION:
        return None, "Answers to single words are not compared here; `tinybert evaluate` measures a model on its rows."
    if run.recipe["task"] == QUESTION_ANSWERING:
        return None, (
            "Rows are not compared one by one for question answering. `tinybert evaluate FOLDER --validation-file "
            "FILE --predictions answers.jsonl` writes the answers of each model."
        )
    if run.is_general:
        return None, "Neither model answers anything yet: this is a general distillation, before any task."
    compare = compare_translators if run.is_translation else compare_classifiers
    try:
        return compare(run, moved), None
    except NotThereError as error:
        return None, str(error)
