"""A run that distils a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data import TASKS, tokenizing_notes
from tinybert_hf.data.settings import PROBLEM_TYPES, QUESTION_ANSWERING
from tinybert_hf.distillation import capture, label_order
from tinybert_hf.distillation.bert_parts import encoder_parts
from tinybert_hf.distillation.capture import model_inputs
from tinybert_hf.distillation.losses.prediction import mixed_logits
from tinybert_hf.distillation.losses.spans import mixed_span_logits
from tinybert_hf.distillation.projections import AnyProjections
from tinybert_hf.distillation.teacher import majority_share, majority_warning
from tinybert_hf.distillation.teachers import shares
from tinybert_hf.evaluation import measure_costs, metrics_for, predicted_logits, task_metrics
from tinybert_hf.opening import read_projections
from tinybert_hf.recipes.joint_teachers import JointTeachers, join, open_further_teachers
from tinybert_hf.recipes.plan_classification import ClassificationPlan
from tinybert_hf.recipes.report import BASELINE, STUDENT, TEACHER, RunReport
from tinybert_hf.recipes.stages import Run
from tinybert_hf.recipes.students import check_vocabulary, make_start, open_student, unlabelled_batches
from tinybert_hf.recipes.teachers import open_teacher, reopen_teacher
from tinybert_hf.training import projections_from, with_teacher_tokens

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class ClassificationRun(Run[ClassificationPlan]):
    """The stages of a classification: every model learns from the same rows."""

    @cached_property
    def student_tokenizer(self) -> PreTrainedTokenizerBase:
        """The first teacher's, but for a student that brings another one."""
        joint = self.plan.joint
        return self.tokenizer if joint is None or not joint.differences[0] else joint.student_tokenizer

    @property
    def other_tokens(self) -> bool:
        """Where a student that exists already brings its own."""
        return self.plan.joint is not None and bool(self.plan.joint.differences[0])

    @property
    def teacher_rows(self) -> Dataset:
        """Tokenised rows with labels, as the first teacher reads them."""
        return self._rows("train", self.tokenizer)

    @cached_property
    def distillation_rows(self) -> Dataset:
        """The student's rows; beside them those of the teachers that read tokens of their own."""
        rows, joint = self.baseline_rows, self.plan.joint
        for index, different in enumerate(joint.differences if joint is not None else ()):
            if different:
                assert joint is not None
                rows = with_teacher_tokens(rows, self._rows("train", joint.tokenizers[index]), teacher=index)
        return rows

    @property
    def baseline_rows(self) -> Dataset:
        """Tokenised rows with labels, as the student reads them."""
        return self._rows("train", self.student_tokenizer)

    @property
    def validation_rows(self) -> Dataset:
        """Tokenised rows to measure on."""
        return self._rows("validation", self.student_tokenizer)

    def _rows(self, part: str, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        """Rows as a tokenizer gives them, made once."""
        key = part, id(tokenizer)
        if key not in self._tokenized:
            raw = getattr(self.plan.data, part)
            self._tokenized[key] = TASKS[self.recipe.task].tokenize(raw, tokenizer, self.recipe.data)
        return self._tokenized[key]

    @cached_property
    def _tokenized(self) -> dict[tuple[str, int], Dataset]:
        return {}

    @cached_property
    def _further(self) -> list[PreTrainedModel]:
        """All teachers but the first, on their device."""
        return [model.to(self.device) for model in open_further_teachers(self.recipe)]  # type: ignore[arg-type]

    def guide(self) -> Any:
        """The teacher, or all of them."""
        if self.plan.joint is None:
            return self.teacher
        return join(self.recipe, [self.teacher, *self._further], self.plan.joint.tokenizers)

    def starting_projections(self, student: PreTrainedModel) -> AnyProjections | None:
        """Those of a general distillation or a conversion, where the student comes from one."""
        model = self.recipe.student.model
        kept = None if model is None else read_projections(model)
        if kept is None:
            return None
        found = projections_from(kept, student, self.guide(), self.phases[0])
        self.say(
            f"The projections of {model} are gone on with."
            if found is not None
            else f"Note: the projections of {model} are not used: the first phase projects nothing, or in another "
            "way (its projection), or to a teacher of another width."
        )
        return found

    def prepare_rows(self) -> None:
        """Say what tokenizing has found: of contexts that are read in windows."""
        if self.plan.data.problem_type in PROBLEM_TYPES:
            return
        for part, rows in (("train", self.teacher_rows), ("validation", self.validation_rows)):
            self.say_notes(f"{part}: {note}" for note in tokenizing_notes(rows))

    @property
    def compute_metrics(self) -> Any:
        """The figures of the problem type; None where they need more than logits and labels."""
        if self.plan.data.problem_type not in PROBLEM_TYPES:
            return None
        return metrics_for(self.plan.data.problem_type, self.plan.data.num_labels)

    def open_teacher(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """A classifier, or an encoder that is to become one."""
        return open_teacher(self.plan)

    def reopen_teacher(self, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The classifier that was fine-tuned here."""
        return reopen_teacher(folder, self.recipe.task, self.recipe.teacher.dtype)

    def check_teacher(self) -> None:
        """Take once what the losses will need, so that it fails here or never."""
        check_vocabulary(self.plan, self.student_tokenizer)
        self.teacher.eval()
        if self.plan.starts_from_teacher:
            encoder_parts(self.teacher)
        if self.plan.joint is not None:
            self._check_joint_teachers(self.plan.joint)
            return
        inputs = model_inputs(self.teacher, self._two_rows(self.teacher, self.tokenizer))
        for phase, (hidden, attention) in zip(self.recipe.phases, self.plan.layer_maps, strict=True):
            losses = phase.loss_weights()
            layers = set(hidden.teacher_layers) if "hidden_state_loss" in losses else set()
            capture(
                self.teacher,
                inputs,
                attention_layers=set(attention.teacher_layers) if "attention_loss" in losses else (),
                hidden_state_layers=layers | ({0} if "embedding_loss" in losses else set()),
            )

    def _check_joint_teachers(self, joint: JointTeachers) -> None:
        for index, (model, tokenizer) in enumerate(zip([self.teacher, *self._further], joint.tokenizers, strict=True)):
            batch = self._two_rows(model, tokenizer)
            for objective in joint.objectives:
                objective.each[index].capture_teacher(model, batch)

    def _two_rows(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
        return next(unlabelled_batches(self._rows("train", tokenizer), tokenizer, model, max_rows=2))

    def make_start(self) -> PreTrainedModel:
        """Opened, projected down from the teacher, or drawn."""
        return make_start(self.plan, self.teacher, self.tokenizer, self.teacher_rows)

    def open_student(self, folder: Path) -> PreTrainedModel:
        """A TinyBERT with the head of the task."""
        return open_student(folder, self.recipe.task)

    def measure(self, who: str, model: PreTrainedModel) -> dict[str, Any]:
        """The figures of the problem type; of several teachers those of their mean, and beside them of each."""
        if who != TEACHER:
            return self._metrics_of(predicted_logits(model, self.validation_rows, self.student_tokenizer))
        joint = self.plan.joint
        configs = (self.plan.teacher_config,) if joint is None else joint.configs
        tokenizers = (self.tokenizer,) if joint is None else (self.tokenizer, *joint.tokenizers[1:])
        logits = []
        for one, config, tokenizer in zip([model, *self._further], configs, tokenizers, strict=True):
            said = predicted_logits(one, self._rows("validation", tokenizer), tokenizer)
            named = bool(self.plan.data.label_names)
            logits.append(_in_order(said, label_order(self.plan.student_config, config)) if named else said)
        each = [self._metrics_of(one) for one in logits]
        if len(each) == 1:
            return each[0]
        weights = shares([self.recipe.teacher.weight, *(one.weight for one in self.recipe.further_teachers)])
        return {**self._metrics_of(_mixed(logits, weights, self.plan.data.problem_type)), "each": each}

    def _metrics_of(self, logits: Any) -> dict[str, Any]:
        data = self.plan.data
        return task_metrics(logits, self.validation_rows, data.validation, data.problem_type, data.label_names)

    def in_words(self, metrics: Mapping[str, Any]) -> str:
        """The main metric, and that of each where these are several teachers."""
        said = f"{self.metric} {metrics[self.metric]:.4f}"
        figures = [one[self.metric] for one in metrics.get("each", ())]
        each = [f"{name} {figure:.4f}" for name, figure in zip(self._names, figures, strict=False)]
        return f"{said}, the mean of {len(each)} teachers: {', '.join(each)}" if each else said

    @property
    def _names(self) -> list[str]:
        """Of the teachers, as the recipe has them."""
        first = self.recipe.teacher.model or "the one that was made here"
        return [first, *(one.model for one in self.recipe.further_teachers)]

    def teacher_warnings(self) -> list[str]:
        """A teacher that knows no more than the label counts is untrained, or its labels stand in another order."""
        if self.plan.data.problem_type != "single_label_classification":
            return []
        assert self.plan.data.validation is not None
        figures = self.folder.result_of("teacher metrics")
        configs = (self.plan.teacher_config,) if self.plan.joint is None else self.plan.joint.configs
        each = figures.get("each", [figures])
        whose = ["the teacher"] if len(each) == 1 else [f"the teacher {name}" for name in self._names]
        found = [
            majority_warning(
                one["accuracy"],
                self.plan.data.validation["label"],
                who=who,
                teacher_names=[str(name) for name in config.id2label.values()],
                label_names=self.plan.data.label_names,
            )
            for one, who, config in zip(each, whose, configs, strict=True)
        ]
        return [warning for warning in found if warning is not None]

    def student_warnings(self) -> list[str]:
        """A student that knows no more than the label counts has learnt nothing."""
        if self.plan.data.problem_type != "single_label_classification":
            return []
        assert self.plan.data.validation is not None
        reached = self.folder.result_of(STUDENT)["metrics"]["accuracy"]
        majority = majority_share(self.plan.data.validation["label"])
        if reached > majority:
            return []
        return [
            f"The student's accuracy is {reached:.4f}, no better than always answering the most frequent label "
            f"({majority:.4f}): it has not learnt the task. Give it more epochs or rows, or a higher learning rate."
        ]

    def report(self) -> RunReport:
        """Figures and costs of the models."""
        student = self.open_student(self.folder.path).to(self.device)
        teachers = {f"{TEACHER} {index}": one for index, one in enumerate([self.teacher, *self._further])}
        measured = {name: asdict(cost) for name, cost in measure_costs({**teachers, STUDENT: student}).items()}
        # An answer of several teachers costs what all of them cost.
        whole = {field: sum(measured[name][field] for name in teachers) for field in measured[STUDENT]}
        costs = {TEACHER: whole, STUDENT: measured[STUDENT]}
        collected = self.collected()
        if BASELINE in collected["metrics"]:
            costs[BASELINE] = costs[STUDENT]
        return RunReport(costs=costs, **collected)


def _in_order(logits: Any, order: list[int]) -> Any:
    """The last axis of an array, or of each of a list of them, in another order."""
    return [one[..., order] for one in logits] if isinstance(logits, list) else logits[..., order]


def _mixed(logits: list[Any], weights: tuple[float, ...], problem_type: str) -> Any:
    """The logits of several teachers' mean."""
    from torch import tensor

    if problem_type == QUESTION_ANSWERING:
        rows = ([tensor(one) for one in each] for each in zip(*logits, strict=True))
        return [mixed_span_logits(row, weights).numpy() for row in rows]
    return mixed_logits([tensor(one) for one in logits], weights, problem_type).numpy()
