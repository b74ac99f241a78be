"""What was distilled from what, and how the models stand beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinybert_hf.reporting.bars import BarGroup, bar_picture
from tinybert_hf.reporting.finished_run import FinishedRun
from tinybert_hf.reporting.words import MODELS, metric_name, metric_value, parameters
from tinybert_hf.wording import counted, counted_layers, share_kept

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
    if run.is_general:
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
    if run.is_general:
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
    costs = run.content["costs"]
    if run.is_translation:
        return _sentences(costs["student"]) / _sentences(costs["teacher"])
    return float(costs["teacher"]["latency_ms"]) / float(costs["student"]["latency_ms"])


def _sentences(cost: Mapping[str, Any]) -> float:
    """Sentences per second, one at a time."""
    return float(cost["sentences_per_second"]["1"]["median"])


def figures(run: FinishedRun) -> tuple[list[str], list[list[str]]]:
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
    speed = "sentences per second" if run.is_translation else "latency"
    apart = [f"{metric_name(name)}, {part}" for part, name in further]
    heads = ["model", *(metric_name(name) for name in names), *apart, "parameters", "MB", speed]
    rows = []
    for who, own in metrics.items():
        cost = costs[who]
        fast = f"{_sentences(cost):.1f}" if run.is_translation else f"{cost['latency_ms']:.2f} ms"
        each = [metric_value(name, own[name]) if name in own else "–" for name in names]
        each += [metric_value(name, own["further"][part][name]) for part, name in further]
        rows.append([MODELS[who], *each, parameters(cost["parameters"]), f"{cost['megabytes']:.2f}", fast])
    return heads, rows


def comparison_picture(run: FinishedRun) -> str:
    """Quality, speed and size of all models as bars."""
    metrics, costs, main = run.content["metrics"], run.content["costs"], run.content["main_metric"]
    models = list(metrics)
    groups = []
    if not run.is_general:  # a teacher without a task has no figure of its own
        quality = [float(metrics[who][main]) for who in models]
        title = f"{metric_name(main)} (longer is better)"
        groups.append(BarGroup(title, tuple(quality), tuple(metric_value(main, v) for v in quality)))
    if run.is_translation:
        speed = [_sentences(costs[who]) for who in models]
        groups.append(
            BarGroup("sentences per second (longer is better)", tuple(speed), tuple(f"{v:.1f}" for v in speed))
        )
    else:
        speed = [float(costs[who]["latency_ms"]) for who in models]
        groups.append(
            BarGroup("time for one text (shorter is better)", tuple(speed), tuple(f"{v:.2f} ms" for v in speed))
        )
    size = [float(costs[who]["megabytes"]) for who in models]
    groups.append(BarGroup("size (shorter is better)", tuple(size), tuple(f"{v:.2f} MB" for v in size)))
    return bar_picture([MODELS[who] for who in models], groups, "Quality, speed and size of the models")
