"""What a run asks of its task: how it is planned, which rows there are, what is measured, and what is said of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data import TaskData
from tinybert_hf.data.settings import SINGLE_LABEL
from tinybert_hf.distillation.teachers import load_teacher, majority_warning, order_warning
from tinybert_hf.evaluation import knows_nothing, main_metric
from tinybert_hf.recipes.models import projections_beside
from tinybert_hf.recipes.plan import Plan, PlannedTeacher
from tinybert_hf.recipes.report import TEACHER

if TYPE_CHECKING:
    from datasets import Dataset
    from rich.table import Table
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tinybert_hf.distillation.projections import AnyProjections
    from tinybert_hf.recipes.folder import RunFolder
    from tinybert_hf.recipes.report import RunReport
    from tinybert_hf.recipes.run import Run
    from tinybert_hf.recipes.schema import Recipe


class Steps(ABC):
    """What the tasks of one sort do each in their way; `TASKS` names the class of each task.

    Attributes:
        run: that asks. It has the teacher, its tokenizer, the folder and the screen.
        plan: of the run.
        recipe: likewise.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.plan, self.recipe = run, run.plan, run.recipe

    # Before the run.

    @classmethod
    @abstractmethod
    def make_plan(cls, recipe: Recipe, folder: RunFolder) -> Plan:
        """Check a recipe against the world.

        Raises:
            TinyBertError: anything that would stop the run later.
        """

    @classmethod
    def content(cls, recipe: Recipe) -> dict[str, Any]:
        """Settings that decide whether two runs are the same, beside or in place of those of the recipe."""
        return {}

    @classmethod
    @abstractmethod
    def describe(cls, plan: Plan) -> Iterator[str]:
        """Lines of a dry run about rows and phases."""

    @classmethod
    def shape(cls, config: Any, layers: str) -> tuple[str, str]:
        """Layers and vocabulary of a model, in words."""
        return layers, str(config.vocab_size)

    # Models.

    def open_teacher(self, model: str, dtype: str | None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """A teacher that has learnt its task.

        Args:
            model: folder or Hub id.
            dtype: as in a recipe.
        """
        return load_teacher(model, task=self.recipe.task, dtype=dtype or "float32")

    def check(self) -> None:  # noqa: B027
        """Refuse what would stop the run later, once the first teacher is open."""

    @abstractmethod
    def probe(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Mapping[str, Any]:
        """A small batch, as a teacher reads it."""

    @abstractmethod
    def start_batches(self) -> list[dict[str, Tensor]]:
        """What the teacher's hidden spaces are estimated from, where the student starts from it."""

    def starting_projections(self, student: PreTrainedModel) -> AnyProjections | None:
        """Projections that a student was saved with; None: the phases make new ones."""
        model, first = self.recipe.student.model, self.recipe.phases[0]
        return projections_beside(model, student, self.run.joined_teachers(), first, self.run.say)

    def save_beside(self, folder: Path) -> None:  # noqa: B027
        """Put what belongs to the student beside its weights."""

    # Rows, tokenised.

    @property
    def labelled_rows(self) -> Dataset | None:
        """That the first teacher is fine-tuned on; None: there are no labels."""
        return None

    @property
    def baseline_rows(self) -> Dataset | None:
        """That the student learns from alone; None: there are no labels."""
        return None

    @property
    @abstractmethod
    def distillation_rows(self) -> Any:
        """That the phases learn from."""

    @property
    @abstractmethod
    def validation_rows(self) -> Any:
        """To measure on, in the student's tokens."""

    @property
    def phase_validation_rows(self) -> Any:
        """That the phases are evaluated on."""
        return self.validation_rows

    def prepare_rows(self) -> None:  # noqa: B027
        """Make the rows that the phases learn from, where they are not the rows as they are."""

    def training_texts(self) -> Iterator[str]:
        """Every text of the training rows, for a vocabulary that is pruned by them."""
        return iter(())

    def validation_texts(self) -> Iterator[str]:
        """Every text of the validation rows."""
        return iter(())

    @abstractmethod
    def sides(self) -> Mapping[str, Iterable[str]]:
        """The texts that the student learns from, by what they are: text, or source and target."""

    @property
    def phase_options(self) -> dict[str, Any]:
        """What `run_phases` is to know besides: compute_metrics, a collator, a trainer."""
        return {}

    # Metrics.

    def main_metric(self) -> str:
        """Name of the metric that decides."""
        data = self.plan.data
        return self.recipe.metric or main_metric(data.problem_type, data.label_names)

    @abstractmethod
    def measure(
        self, who: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> dict[str, Any]:
        """The metrics of a model on the validation rows.

        Args:
            who: teacher, student or baseline.
            model: on its device.
            tokenizer: of a student that reads other tokens than the run's; None: as the run says.
        """

    def measure_teacher(self) -> dict[str, Any]:
        """Those of the teachers; empty where there is nothing to measure them by."""
        return self.measure(TEACHER, self.run.teacher)

    def measure_start(self, student: PreTrainedModel) -> dict[str, Any]:
        """Those of the student before its first step; empty where they are not measured, as where they take long."""
        return {}

    @abstractmethod
    def in_words(self, metrics: Mapping[str, Any]) -> str:
        """The metrics that matter most, for a line on the screen."""

    def teacher_warnings(self, metrics: Mapping[str, Any]) -> list[str]:
        """What is odd about the teacher's metrics."""
        return []

    def student_warnings(self, metrics: Mapping[str, Any]) -> list[str]:
        """What is odd about the student's metrics."""
        return []

    def trivial(self, metrics: Mapping[str, Any]) -> list[str]:
        """The models, of those measured, that know no more of the task than the counts of the labels."""
        return [who for who, one in metrics.items() if knows_nothing(self.plan.data, one, who) is not None]

    # The report.

    @abstractmethod
    def costs(self, student: PreTrainedModel) -> dict[str, dict[str, Any]]:
        """Size and speed of the models, by who they are."""

    def reported(self) -> dict[str, Any]:
        """Further fields of the report."""
        return {}

    @classmethod
    @abstractmethod
    def table(cls, report: RunReport) -> Table:
        """What a run came to."""

    @classmethod
    @abstractmethod
    def last_lines(cls, report: RunReport) -> list[str]:
        """Where the student is, and what can be done with it."""


# What is odd about the metrics of a run: models that know no more than the counts of the labels.

_LEARN_MORE = "So it has not learnt the task. Give it more epochs or rows, or another learning rate."
_TUNE_MORE = (
    "It was fine-tuned in this run, so it has not learnt the task, and nothing can be learnt from it. Give its "
    "fine-tuning more epochs (--teacher-epochs), more rows, or a higher teacher.finetune.learning_rate."
)
_LOOK_AT_TEACHER = "Was it fine-tuned on this task and these labels, and long enough?"


def teacher_warnings(plan: Plan, metrics: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """What to say of the teachers before a student learns from them.

    Args:
        plan: of the run.
        metrics: of the teachers on the validation rows; under "each" those of each, where there are several.
        names: of the teachers.
    """
    each = metrics.get("each", [metrics])
    whose = ["The teacher"] if len(each) == 1 else [f"The teacher {name}" for name in names]
    found = [
        _teacher_warning(plan, one, who, teacher, tuned_here=index == 0 and plan.recipe.teacher.finetune is not None)
        for index, (one, who, teacher) in enumerate(zip(each, whose, plan.teachers, strict=True))
    ]
    return [warning for warning in found if warning is not None]


def _teacher_warning(
    plan: Plan, metrics: Mapping[str, Any], who: str, teacher: PlannedTeacher, *, tuned_here: bool
) -> str | None:
    # The labels of a teacher that was fine-tuned here are those of the rows: their order cannot be wrong.
    if plan.data.problem_type == SINGLE_LABEL and not tuned_here:
        who = who[0].lower() + who[1:]
        return order_warning(metrics, who, teacher.config, plan.student_config) or majority_warning(
            metrics["accuracy"],
            plan.data.part("validation")["label"],
            who=who,
            teacher_names=[str(name) for name in (teacher.config.id2label or {}).values()],
            label_names=plan.data.label_names,
        )
    warning = knows_nothing(plan.data, metrics, who)
    return None if warning is None else f"{warning} {_TUNE_MORE if tuned_here else _LOOK_AT_TEACHER}"


def student_warnings(data: TaskData, metrics: Mapping[str, Any], who: str = "The student") -> list[str]:
    """What to say of a model that was trained here.

    Args:
        data: with the validation rows.
        metrics: of the model on them.
        who: the model, at the beginning of a sentence.
    """
    warning = knows_nothing(data, metrics, who)
    return [] if warning is None else [f"{warning} {_LEARN_MORE}"]
