"""A run in words: its plan for a dry run, what it came to, run.json, and the table at the end."""

from __future__ import annotations

import json
import platform
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import yaml

from tinybert_hf.distillation import Objective
from tinybert_hf.distillation.architecture import encoder_shape
from tinybert_hf.distillation.losses import ANSWER_LOSSES
from tinybert_hf.messages import counted, counted_epochs, counted_layers, share_kept
from tinybert_hf.recipes.models import describe_pruning, describe_start
from tinybert_hf.recipes.plan import Plan
from tinybert_hf.recipes.schema import Recipe
from tinybert_hf.tasks import TASKS, TEXT_CLASSIFICATION, TaskSpec, found
from tinybert_hf.training import Phase
from tinybert_hf.training.settings import LEFT

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from tinybert_hf.recipes.steps import Steps


# A plan in words: what a dry run prints.


def describe_plan(plan: Plan) -> str:
    """What a dry run prints: the resolved recipe as YAML, the two shapes, and the layer maps of each phase."""
    steps: type[Steps] = found(plan.spec.steps)
    recipe = _said(_of_the_task(json.loads(json.dumps(plan.recipe.as_dict())), plan.spec))
    lines = [yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True).rstrip(), ""]
    for name, config in (*(("teacher", one.config) for one in plan.teachers), ("student", plan.student_config)):
        encoder = encoder_shape(config)
        layers, vocabulary = steps.shape(config, counted_layers(encoder.layers))
        shape = f"{layers} of width {encoder.width}, {counted(encoder.heads, 'head')}, vocabulary {vocabulary}"
        lines.append(f"{name}: {config.model_type}, {shape}")
    lines += [*steps.describe(plan), *(f"note: {note}" for note in plan.notes)]
    return "\n".join([*lines, f"output folder: {plan.folder.path}"])


def describe_rows(plan: Plan) -> str:
    """How many there are."""
    train, validation, unlabelled = plan.data.part("train"), plan.data.part("validation"), plan.data.unlabelled
    without = f", {len(unlabelled):,} without labels" if unlabelled is not None else ""
    return f"rows: {len(train):,} train, {len(validation):,} validation{without}"


def describe_phases(plan: Plan, start: str | None = None) -> Iterator[str]:
    """The trainings, in their order.

    Args:
        plan: of the run.
        start: what stands before the phases; None: where the student starts.
    """
    recipe = plan.recipe
    yield from _before(recipe)
    yield from describe_start(plan) if start is None else (start,)
    for index, (phase, objective) in enumerate(zip(recipe.phases, plan.objectives, strict=True)):
        losses = phase.loss_weights(has_decoder=recipe.spec.has_decoder)
        yield _phase(index, phase, losses)
        yield from _maps(objective)
        if not _kept_answers(plan) or phase.teacher_cache is not None:
            continue
        if "prediction_loss" in losses and set(losses) <= set(ANSWER_LOSSES):
            if index and _notes_answers(recipe.phases[index - 1], phase):
                yield "  the teacher is not run again: its answers are noted in the phase before"
            elif phase.known_epochs > 1:
                yield "  the teacher is asked once a row, its answers are kept in the output folder"
    yield from _after(recipe)
    yield from describe_pruning(recipe)


def _kept_answers(plan: Plan) -> bool:
    """Whether a teacher's answers are noted: of one that reads the student's tokens, and no translator's."""
    return not plan.recipe.spec.has_decoder and len(plan.teachers) == 1 and not plan.other_tokens


def _maps(objective: Objective) -> Iterator[str]:
    """The layer maps of the (first) teacher that a loss goes by."""
    first = objective.each[0]
    if not objective.translates:
        hidden, attention = (first.layer_map(loss) for loss in ("hidden_state_loss", "attention_loss"))
        if hidden.pairs or attention.pairs:
            other = f"; attention: {attention}" if attention.pairs and attention != hidden else ""
            yield f"  layer map (student<-teacher): {hidden if hidden.pairs else 'no hidden states'}{other}"
        return
    by_loss = {
        "hidden_state_loss": "encoder",
        "attention_loss": "encoder attention",
        "decoder_hidden_state_loss": "decoder",
        "decoder_attention_loss": "decoder attention",
        "cross_attention_loss": "cross-attention",
    }
    used = "; ".join(f"{half}: {first.layer_map(loss)}" for loss, half in by_loss.items() if loss in objective.losses)
    if used:
        yield f"  layer maps (student<-teacher): {used}"


def _notes_answers(phase: Phase, behind: Phase) -> bool:
    """Whether a phase runs the teacher over all rows of the one behind."""
    looks = set(phase.loss_weights()) != {"label_loss"} and not phase.teacher_cache
    return (
        looks
        and phase.known_epochs >= 1
        and phase.train_rows == behind.train_rows
        and not behind.teacher_cache_limit_gb
    )


def _before(recipe: Recipe) -> Iterator[str]:
    """The training in front of the phases: with it and `_after` a reader sees the epochs of all three."""
    if recipe.teacher.finetune is not None:
        tuning = recipe.teacher.finetune
        epochs = counted_epochs(tuning.known_epochs, tuning.learning_rate)
        yield f"the teacher is fine-tuned first: {epochs} (--teacher-epochs)"


def _after(recipe: Recipe) -> Iterator[str]:
    """The training behind the phases."""
    if recipe.baseline is not None:
        epochs = counted_epochs(recipe.baseline.known_epochs, recipe.baseline.learning_rate)
        yield f"to compare, the same student is trained without the teacher: {epochs} (--baseline-epochs)"


def _phase(index: int, phase: Phase, losses: dict[str, float]) -> str:
    said = " + ".join(f"{weight:g} x {name}" for name, weight in losses.items())
    rows = "" if phase.train_rows is None else f" over the first {counted(phase.train_rows, 'row')}"
    epochs = counted_epochs(phase.known_epochs, phase.learning_rate)
    patience, stops = phase.early_stopping_patience, ""
    if patience is not None:
        stops = f"; it stops early after {counted(patience, 'evaluation')} without a better one"
    return f"phase {index} ({phase.name}): {said}; {epochs}{rows}{stops}"


def _of_the_task(recipe: dict[str, Any], spec: TaskSpec) -> dict[str, Any]:
    """Without the fields of the other tasks."""
    if spec.rows is None:
        recipe.pop("data")
    if not spec.named_labels:
        recipe.get("data", {}).pop("label_names", None)
    others = [other for other in TASKS.values() if other is not spec]
    for section, names in (item for one in others for item in (("data", one.columns), *one.fields.items())):
        place = recipe if not section else recipe.get(section, {})
        for one in place if isinstance(place, list) else [place]:
            for name in set(names) - set(spec.columns):
                one.pop(name, None)
    return recipe


def _said(value: Any) -> Any:
    """Without the fields that say nothing."""
    if isinstance(value, dict):
        return {name: _said(one) for name, one in value.items() if one is not None and one not in ({}, "", [])}
    return [_said(one) for one in value] if isinstance(value, list) else value


# What a run came to: its figures, run.json, and the table at the end.

# Four lines of losses for each training, and a progress bar, which transformers would leave out where it is quiet.
SCREEN = {"logging_steps": 0.25, "disable_tqdm": False}
TEACHER, STUDENT, BASELINE = "teacher", "student", "baseline"
TITLES = {TEACHER: "teacher", STUDENT: "student, distilled", BASELINE: "student, alone"}
METRIC_WIDTH = len("22.90 M")


def models_table(caption: str | None, titles: Iterable[str], **column: Any) -> Table:
    """A table without rows: a row will be a model, with its figures on the right; `column` says how they are set."""
    from rich.table import Table

    table = Table(caption=caption, caption_justify="left")
    table.add_column("model", no_wrap=True)
    for title in titles:
        table.add_column(title, justify="right", **column)
    return table


_PACKAGES = ("tinybert_hf", "torch", "transformers", "accelerate", "datasets")


@dataclass(frozen=True)
class RunReport:
    """The result of a run.

    Attributes:
        folder: the student, ready for `from_pretrained`.
        main_metric: name of the metric that the table shows first.
        metrics: teacher, student and, where it was trained, baseline: each metric by name, on the validation rows;
            under "further" the same on each further validation split.
        costs: the same models: parameters, encoder_parameters, megabytes, latency_ms, encoder_flops_per_token.
        phases: name, seconds, steps and metrics of each phase.
        start: metrics of the student before its first step; empty where they were not measured.
        seconds: how long each stage took, in the process that finished it.
        pruning: where the student's vocabulary was pruned, its figures before and after.
        device: where latency was measured.
        warnings: what a reader of the table should know.
        further_metrics: names of metrics that the table shows beside the main one.
        task: of the recipe.
        augmentation: rows and augmented_rows that the phases learnt from; empty where none were made.
        unlabelled_rows: further rows without labels that the phases learnt from.
        trivial: the models that know no more of the task than the counts of the labels.
        notes: what was said before the run, of rows and models.
        corpus: of a general distillation: what the text came to.
        throughput: likewise: tokens, tokens_per_second, padding.
        pseudo_labels: of a translation: counts of the teacher's translations that were learned from.
        worst_sentences: likewise: file in the folder with the sentences on which the student loses most.
        budget: the speed that was asked for, and what the presets had; empty where the student was named.
    """

    folder: str
    main_metric: str
    metrics: dict[str, dict[str, Any]]
    costs: dict[str, dict[str, Any]]
    phases: list[dict[str, Any]] = field(default_factory=list)
    start: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    pruning: dict[str, Any] | None = None
    device: str = "cpu"
    warnings: list[str] = field(default_factory=list)
    further_metrics: list[str] = field(default_factory=list)
    task: str = TEXT_CLASSIFICATION
    augmentation: dict[str, Any] = field(default_factory=dict)
    unlabelled_rows: int = 0
    trivial: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    corpus: dict[str, Any] = field(default_factory=dict)
    throughput: dict[str, float] = field(default_factory=dict)
    pseudo_labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    worst_sentences: str = ""
    budget: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, content: Mapping[str, Any], folder: str) -> RunReport:
        """From the content of run.json."""
        # A run.json of an earlier version says less.
        names = [one.name for one in fields(cls) if one.name != "folder"]
        return cls(folder=folder, **{name: content[name] for name in names if name in content})

    @property
    def share(self) -> float:
        """The student's main metric as a share of the teacher's; NaN where such a share says nothing."""
        share = self.share_of(STUDENT)
        return float("nan") if share is None else share

    @property
    def where(self) -> str:
        """The device, as a table names it."""
        return "CPU" if self.device == "cpu" else self.device

    def share_of(self, who: str) -> float | None:
        """The main metric of a model as a share of the teacher's; None where that says nothing (see `share_kept`)."""
        if TEACHER in self.trivial or (who == STUDENT and who in self.trivial):
            return None
        main = self.main_metric
        return share_kept(main, self.metrics[who][main], self.metrics[TEACHER][main])

    def show(self, console: Console, said: Collection[str] = ()) -> None:
        """Print the table, the warnings, and how to load the student.

        Args:
            console: where to print.
            said: warnings that stand there already; of these only the number is said.
        """
        steps: type[Steps] = found(TASKS[self.task].steps)
        console.print(steps.table(self), crop=False)
        for warning in self.warnings:
            if warning not in said:
                show_warning(console, warning)
        before = sum(warning in said for warning in self.warnings)
        if before:
            what = counted(before, "warning stands", "warnings stand")
            console.print(f"[bold red]{what} above[/bold red], and in run.json.", highlight=False)
        for line in steps.last_lines(self):
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    def alone(self) -> list[str]:
        """What to say where the teacher brought nothing."""
        alone = self.metrics.get(BASELINE, {}).get(self.main_metric)
        if alone is None or alone < self.metrics[STUDENT][self.main_metric]:
            return []
        return [
            "Trained alone, the same student is as good: here the teacher brought nothing that these rows can show. "
            "More epochs or more rows (also without labels) may change that."
        ]


def metric_through_phases(metric: str, start: Mapping[str, Any], phases: Sequence[Mapping[str, Any]]) -> str:
    """How the main metric moves on the validation rows, in a line; empty where it was not measured before.

    Args:
        metric: the main one.
        start: metrics before the first step.
        phases: results, with the metrics at their ends.
    """
    values = _through_phases(metric, start, phases)
    if len(values) < 2:
        return ""
    said = [f"{value:.4f} {when}" for when, value in values]
    return f"Student's {metric.replace('_', ' ')}: {', '.join(said)}"


def phases_that_fell(
    metric: str, start: Mapping[str, Any], phases: Sequence[Mapping[str, Any]], rows: int
) -> list[str]:
    """Warnings about phases that ended lower than they began.

    Args:
        metric: the main one.
        start: metrics before the first step.
        phases: results, with the metrics at their ends. One that left the head behind says nothing by its metric.
        rows: validation rows. What so many can show by chance, two standard errors of a mean of right and wrong
            answers, is not warned of.
    """
    values, said = _through_phases(metric, start, phases), []
    for index, ((_, before), (_, after)) in enumerate(pairwise(values)):
        left_behind = any(phases[one].get("head") == LEFT for one in (index, index - 1) if one >= 0)
        if left_behind or after >= before - max(rows, 1) ** -0.5:
            continue
        said.append(
            f"Phase {index} ({phases[index]['name']}) began with {metric.replace('_', ' ')} {before:.4f} and ended "
            f"with {after:.4f}, further below than chance explains. Try a lower learning rate (--set "
            f"phases.{index}.learning_rate=...) or fewer epochs for it, or leave it out."
        )
    return said


def _through_phases(
    metric: str, start: Mapping[str, Any], phases: Sequence[Mapping[str, Any]]
) -> list[tuple[str, float]]:
    """When, and how much; empty where one value is not known."""
    values = [("at the start", start.get(metric))]
    for one in phases:
        left = ", its head left as it was" if one.get("head") == LEFT else ""
        values.append((f"after {one['name']}{left}", one["metrics"].get(metric)))
    known = [(when, float(value)) for when, value in values if value is not None]
    return known if len(known) == len(values) else []


def show_warning(console: Console, warning: str) -> None:
    """Print what must not be overlooked, as a paragraph of its own."""
    from rich.markup import escape

    console.print(f"\n[bold red]WARNING:[/bold red] {escape(warning)}\n", highlight=False, soft_wrap=True)


def versions() -> dict[str, str]:
    """The versions that a run was made with; "not installed" where a package is imported from its sources."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return {**found, "python": platform.python_version()}
