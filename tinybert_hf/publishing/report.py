"""The report of a run as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tinybert_hf.checkpoints.card_parts import format_speed
from tinybert_hf.checkpoints.integrity import write_atomically
from tinybert_hf.checkpoints.run_record import (
    LOSSES,
    MODELS,
    FinishedRun,
    metric_name,
    metric_value,
    parameters,
    read_run,
    setting,
    starts_from_teacher,
)
from tinybert_hf.errors import TinyBertError
from tinybert_hf.messages import counted, counted_layers, share_kept
from tinybert_hf.publishing.report_pictures import BarGroup, bar_picture, heat_map, mapped_cells, phase_picture
from tinybert_hf.publishing.report_rows import (
    Comparison,
    Moved,
    NotThereError,
)
from tinybert_hf.tasks import TASKS, found
from tinybert_hf.training import Phase

# What was distilled from what, and how the models stand beside each other.

_SIGNATURES = ("bleu_signature", "chrf_signature")


def summary(run: FinishedRun) -> str:
    """One sentence: student, teachers, rows."""
    costs, config = run.content["costs"], run.config
    layers = counted_layers(config.get("num_hidden_layers", "?"), config.get("num_decoder_layers"))
    student = f"A TinyBERT of {layers} of width {config.get('hidden_size', '?')}"
    teachers = " and ".join(run.teacher_names)
    several = len(run.teachers) > 1
    joint = " together" if several else ""
    return (
        f"{student} ({parameters(costs['student']['parameters'])} parameters) was distilled from {teachers} "
        f"({parameters(costs['teacher']['parameters'])} parameters{joint}), on {_rows(run)}{_copies(run)}."
        f"{_pruning(run.content.get('pruning'))}"
    )


def _pruning(sizes: Mapping[str, Any] | None) -> str:
    if not sizes:
        return ""
    before, after = sizes["pieces_before"], sizes["pieces_after"]
    return f" Its vocabulary was then pruned from {before:,} to {after:,} word pieces."


def _copies(run: FinishedRun) -> str:
    made = (run.content.get("augmentation") or {}).get("augmented_rows")
    copies = (
        f" and {counted(made, 'augmented copy', 'augmented copies')} of them, without their labels" if made else ""
    )
    further = run.content.get("unlabelled_rows")
    return copies + (f" and {counted(further, 'further row')} without labels" if further else "")


def _rows(run: FinishedRun) -> str:
    if run.spec.of_plain_text:
        text = run.recipe["corpus"]
        names = text["dataset"] or ", ".join(dict.fromkeys(Path(file).name for file in text["files"]))
        return f"{counted(run.content['corpus']['train_tokens'], 'token')} of plain text ({names})"
    data = run.recipe["data"]
    if data.get("train_file"):
        return f"the rows of {Path(data['train_file']).name}"
    named = " ".join(str(data[name]) for name in ("dataset", "dataset_config") if data.get(name))
    return f"the data set {named}" if named else "its rows"


def tiles(run: FinishedRun) -> list[tuple[str, str]]:
    """The three numbers that matter most, each with what it says."""
    metrics, main = run.content["metrics"], run.content["main_metric"]
    if run.spec.of_plain_text:
        before, after = metrics["student"]["before"][main], metrics["student"][main]
        left = f"{after / before:.0%}" if before else f"{after:.4g}"
        return [(left, "of the loss on held-out text is left" if before else "is the loss"), *_cheaper(run)]
    return [_quality(run), *_cheaper(run)]


def _quality(run: FinishedRun) -> tuple[str, str]:
    """What was kept of the teacher's figure; both figures where a share of it says nothing."""
    metrics, main = run.content["metrics"], run.content["main_metric"]
    teacher, student = (float(metrics[who][main]) for who in ("teacher", "student"))
    trivial = run.content.get("trivial", ())
    share = share_kept(main, student, teacher)
    if share is None or "teacher" in trivial or "student" in trivial:
        words = f"{metric_name(main)}; the teacher has {metric_value(main, teacher)}"
        known = "; the student knows no more of the task than the counts of the labels say"
        return metric_value(main, student), words + known * ("student" in trivial)
    alone = metrics.get("baseline", {}).get(main)
    kept = None if alone is None else share_kept(main, float(alone), teacher)
    beside = f" (the same student alone: {kept:.1%})" if kept is not None else ""
    return f"{share:.1%}", f"of the teacher's {metric_name(main)} kept{beside}"


def _cheaper(run: FinishedRun) -> list[tuple[str, str]]:
    costs = run.content["costs"]
    where = "CPU" if run.content.get("device", "cpu") == "cpu" else run.content["device"]
    smaller = costs["teacher"]["megabytes"] / costs["student"]["megabytes"]
    size = (_times(smaller), "smaller than the teacher")
    if smaller < 1:
        size = (_times(1 / smaller), "as large as the teacher")
    return [size, (_times(_speed_ratio(run)), f"as fast as the teacher, one text at a time ({where})")]


def _times(ratio: float) -> str:
    return f"{ratio:.1f} ×"


def _speed_ratio(run: FinishedRun) -> float:
    costs, speed = run.content["costs"], _speed_of(run)
    student, teacher = (speed.value(costs[who]) for who in ("student", "teacher"))
    return student / teacher if speed.longer_is_better else teacher / student


class _Speed(NamedTuple):
    """How the speed of a model is said, one text at a time.

    Attributes:
        name: heads its column.
        title: stands over its bars.
        value: of what a run has measured of a model.
        form: of the value in a text.
        longer_is_better: of its bars.
    """

    name: str
    title: str
    value: Callable[[Mapping[str, Any]], float]
    form: str
    longer_is_better: bool


_LATENCY = _Speed("latency", "time for one text", lambda cost: float(cost["latency_ms"]), "{:.2f} ms", False)
_SENTENCES = _Speed(
    "sentences per second",
    "sentences per second",
    lambda cost: float(cost["sentences_per_second"]["1"]["median"]),
    "{:.1f}",
    True,
)


def _speed_of(run: FinishedRun) -> _Speed:
    return _SENTENCES if run.spec.has_decoder else _LATENCY


def metrics_table(run: FinishedRun) -> tuple[list[str], list[list[str]]]:
    """The table of all models: its heads and its rows."""
    metrics, costs = run.content["metrics"], run.content["costs"]
    main = run.content["main_metric"]
    names = [
        name for name, value in metrics["student"].items() if isinstance(value, float) and name not in _SIGNATURES
    ]
    names.sort(key=lambda name: name != main)
    further = [
        (part, name)
        for part in metrics["student"].get("further", ())
        for name in (main, *run.content.get("further_metrics", ()))
    ]
    speed = _speed_of(run)
    apart = [f"{metric_name(name)}, {part}" for part, name in further]
    heads = ["model", *(metric_name(name) for name in names), *apart, "parameters", "MB", speed.name]
    rows = []
    for who, own in metrics.items():
        cost = costs[who]
        fast = speed.form.format(speed.value(cost))
        each = [metric_value(name, own[name]) if name in own else "–" for name in names]
        each += [metric_value(name, own["further"][part][name]) for part, name in further]
        rows.append([MODELS[who], *each, parameters(cost["parameters"]), f"{cost['megabytes']:.2f}", fast])
    return heads, rows


def comparison_picture(run: FinishedRun) -> str:
    """Quality, speed and size of all models as bars."""
    metrics, costs, main = run.content["metrics"], run.content["costs"], run.content["main_metric"]
    models = list(metrics)
    groups = []
    if not run.spec.of_plain_text:  # a teacher without a task has no figure of its own
        quality = [float(metrics[who][main]) for who in models]
        title = f"{metric_name(main)} (longer is better)"
        groups.append(BarGroup(title, tuple(quality), tuple(metric_value(main, v) for v in quality)))
    speed = _speed_of(run)
    each = [speed.value(costs[who]) for who in models]
    title = f"{speed.title} ({'longer' if speed.longer_is_better else 'shorter'} is better)"
    groups.append(BarGroup(title, tuple(each), tuple(map(speed.form.format, each))))
    size = [float(costs[who]["megabytes"]) for who in models]
    groups.append(BarGroup("size (shorter is better)", tuple(size), tuple(f"{v:.2f} MB" for v in size)))
    return bar_picture([MODELS[who] for who in models], groups, "Quality, speed and size of the models")


# How a run was made: its phases, its recipe, and how to make it again.

_HEADS = ["phase", "losses", "epochs", "steps", "batch", "learning rate", "layer map", "minutes"]


def phases_table(run: FinishedRun) -> tuple[list[str], list[list[str]]]:
    """A line a phase: its heads and its rows."""
    rows = []
    for settings, done in zip(run.recipe["phases"], run.content["phases"], strict=True):
        phase = Phase(**settings)
        weights = phase.loss_weights(has_decoder=run.spec.has_decoder)
        losses = [LOSSES[name] + ("" if weight == 1 else f" × {weight:g}") for name, weight in weights.items()]
        batch = f"{phase.batch_size}"
        if phase.gradient_accumulation_steps > 1:
            batch += f" × {phase.gradient_accumulation_steps}"
        rows.append(
            [
                phase.name,
                ", ".join(losses),
                setting(phase.epochs),
                f"{done['steps']:,}",
                batch,
                setting(phase.learning_rate),
                setting(phase.layer_map if weights.keys() - {"prediction_loss", "label_loss"} else "none"),
                f"{done['seconds'] / 60:.1f}",
            ]
        )
    return _HEADS, rows


def compares_layers(run: FinishedRun, index: int) -> bool:
    """Whether a phase has a loss between layers."""
    losses = Phase(**run.recipe["phases"][index]).loss_weights(has_decoder=run.spec.has_decoder)
    return bool(losses.keys() - {"prediction_loss", "label_loss"})


def recipe_text(run: FinishedRun) -> str:
    """The recipe as a YAML file that `tinybert distill` takes; where it writes is left to the command."""
    recipe: dict[str, Any] = {name: value for name, value in run.recipe.items() if name != "output_dir"}
    return str(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=100))


def start_of(run: FinishedRun) -> str:
    """Where the student's first weights came from, in a sentence."""
    model = run.recipe["student"].get("model")
    if model:
        return f"The student began as {model}."
    taken = "weights taken from the teacher" if starts_from_teacher(run.recipe) else "random weights"
    return f"The student began with {taken}."


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
    write_atomically(target, text.encode(errors="replace").decode())
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
            "metrics_table": metrics_table(run),
            "speed": format_speed(run.content),
            "comparison_picture": comparison_picture(run),
            "phases": _phases(run),
            "distances": _distances(run),
            "making": phases_table(run),
            "start": start_of(run),
            "ends_apart": not compares_layers(run, -1),
            "starts_near": starts_from_teacher(run.recipe),
            "recipe": recipe_text(run),
            "seed": run.recipe["seed"],
            "warnings": run.content.get("warnings") or [],
            "versions": run.content["versions"],
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
    """Name and picture of each phase; None where it kept no log. The main metric begins where the phase began."""
    metric, found = run.content["main_metric"], []
    began = run.content.get("start", {}).get(metric)
    for index, (settings, log) in enumerate(zip(run.recipe["phases"], run.logs, strict=True)):
        title = f"Phase {index}: {settings['name']}"
        picture = None
        if log is not None:
            measured = began is not None and any(metric in one for one in log["evaluation"])
            start = [{"step": 0, metric: began}] if measured else []
            picture = phase_picture({**log, "evaluation": [*start, *log["evaluation"]]}, metric, title)
        found.append({"title": title, "picture": picture})
        began = run.content["phases"][index]["metrics"].get(metric)
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
        "title": title if run.spec.has_decoder else None,
        "pictures": pictures,
        "mapped": bool(mapped),
        "means": means,
    }


def _mean(matrix: list[list[float]], cells: set[tuple[int, int]]) -> float | None:
    values = [matrix[row][column] for row, column in cells]
    return sum(values) / len(values) if values else None


def _compared(run: FinishedRun, moved: Moved) -> tuple[Comparison | None, str | None]:
    """Student and teacher on the validation rows, or why they cannot be compared."""
    spec = TASKS[run.recipe["task"]]
    if spec.compare is None:
        return None, spec.not_compared
    try:
        return found(spec.compare)(run, moved), None
    except NotThereError as error:
        return None, str(error)
