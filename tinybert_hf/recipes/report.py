"""What a run came to: its figures, run.json, and the table at the end."""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from tinybert_hf.cards import latency_in_words
from tinybert_hf.cards.markup import literal
from tinybert_hf.opening import QUESTION_ANSWERING, TEXT_CLASSIFICATION
from tinybert_hf.recipes.pruning import pruning_in_words, text_in_words
from tinybert_hf.wording import counted, share_kept

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Four lines of losses for each training, and a progress bar, which transformers would leave out where it is quiet.
SCREEN = {"logging_steps": 0.25, "disable_tqdm": False}
TEACHER, STUDENT, BASELINE = "teacher", "student", "baseline"
TITLES = {TEACHER: "teacher", STUDENT: "student, distilled", BASELINE: "student, alone"}
_FIGURE_WIDTH = len("22.90 M")
WITHOUT_PACKAGE = "Where the package is not installed: the same with trust_remote_code=True, without the import."
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
    """

    folder: str
    main_metric: str
    metrics: dict[str, dict[str, Any]]
    costs: dict[str, dict[str, Any]]
    phases: list[dict[str, Any]] = field(default_factory=list)
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

    @classmethod
    def read(cls, content: Mapping[str, Any], folder: str) -> RunReport:
        """From the content of run.json."""
        # A run.json of an earlier version says less.
        names = [one.name for one in fields(cls) if one.name != "folder"]
        return cls(folder=folder, **{name: content[name] for name in names if name in content})

    @property
    def share(self) -> float:
        """The student's main metric as a share of the teacher's; NaN where such a share says nothing."""
        share = self._share(STUDENT)
        return float("nan") if share is None else share

    def _share(self, who: str) -> float | None:
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
        console.print(self._table(), crop=False)
        for warning in self.warnings:
            if warning not in said:
                show_warning(console, warning)
        before = sum(warning in said for warning in self.warnings)
        if before:
            what = counted(before, "warning stands", "warnings stand")
            console.print(f"[bold red]{what} above[/bold red], and in run.json.", highlight=False)
        for line in self._last_lines():
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _last_lines(self) -> list[str]:
        """Where the student is, and what can be done with it."""
        pruned = [] if self.pruning is None else self._pruned(self.pruning)
        place = literal(self.folder)
        load = f'import tinybert_hf; pipeline("{self.task}", {place})'
        elsewhere = WITHOUT_PACKAGE
        if self.task == QUESTION_ANSWERING:
            load = f"from tinybert_hf import QuestionAnswerer; QuestionAnswerer({place})(question, context)"
            elsewhere = (
                "Where the package is not installed: AutoModelForQuestionAnswering.from_pretrained(..., "
                "trust_remote_code=True) gives the logits of start and end."
            )
        return [*pruned, *self._alone(), f"The student is in {self.folder}.", f"Load it: {load}", elsewhere]

    def _alone(self) -> list[str]:
        """What to say where the teacher brought nothing."""
        alone = self.metrics.get(BASELINE, {}).get(self.main_metric)
        if alone is None or alone < self.metrics[STUDENT][self.main_metric]:
            return []
        return [
            "Trained alone, the same student is as good: here the teacher brought nothing that these rows can show. "
            "More epochs or more rows (also without labels) may change that."
        ]

    def _pruned(self, result: Mapping[str, Any]) -> list[str]:
        """Sizes and the main figure before and after, and what text loses its pieces."""
        before = result.get("metrics_before", {}).get(self.main_metric)
        after = self.metrics[STUDENT][self.main_metric]
        figure = "" if before is None else f", {self.main_metric.replace('_', ' ')} {before:.4f} -> {after:.4f}"
        baseline = " The student that was trained alone keeps the whole vocabulary." * (BASELINE in self.metrics)
        return [f"Its vocabulary was pruned: {pruning_in_words(result)}{figure}.{baseline}", text_in_words(result)]

    def _table(self) -> Table:
        from rich.markup import escape
        from rich.table import Table

        table = Table(caption=latency_in_words(self.costs, self.device), caption_justify="left")
        table.add_column("model", no_wrap=True)
        where = "CPU" if self.device == "cpu" else self.device
        beside = list(self._beside(self.metrics[STUDENT]))
        for title in (self.main_metric, "of teacher", *beside, "parameters", "MB", f"latency ({where})"):
            # Titles wrap; a figure that a narrow terminal cuts off would say nothing.
            table.add_column(escape(title.replace("_", " ")), justify="right", min_width=_FIGURE_WIDTH)
        for name, metrics in self.metrics.items():
            value, cost, share = metrics[self.main_metric], self.costs[name], self._share(name)
            table.add_row(
                TITLES[name],
                f"{value:.4f}",
                "-" if share is None else f"{share:.1%}",
                *(f"{figure:.4f}" for figure in self._beside(metrics).values()),
                f"{cost['parameters'] / 1e6:.2f} M",
                f"{cost['megabytes']:.1f}",
                f"{cost['latency_ms']:.1f} ms",
            )
        return table

    def _beside(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """What stands beside the main metric, by title: the further metrics, then the further validation splits."""
        shown = {name: metrics[name] for name in self.further_metrics}
        for part, own in metrics.get("further", {}).items():
            shown |= {f"{name}, {part}": own[name] for name in (self.main_metric, *self.further_metrics)}
        return shown


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
