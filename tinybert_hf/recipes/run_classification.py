"""A run that distils a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data import TASKS
from tinybert_hf.distillation import capture
from tinybert_hf.distillation.bert_parts import encoder_parts
from tinybert_hf.distillation.capture import model_inputs
from tinybert_hf.evaluation import evaluate_model, measure_costs, metrics_for
from tinybert_hf.recipes.plan_classification import ClassificationPlan
from tinybert_hf.recipes.report import BASELINE, STUDENT, TEACHER, RunReport
from tinybert_hf.recipes.stages import Run
from tinybert_hf.recipes.students import check_vocabularies, make_start, open_student, unlabelled_batches
from tinybert_hf.recipes.teachers import logits_in_order, open_teacher, reopen_teacher

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class ClassificationRun(Run[ClassificationPlan]):
    """The stages of a classification: every model learns from the same rows."""

    @cached_property
    def _train(self) -> Dataset:
        return TASKS[self.recipe.task].tokenize(self.plan.data.train, self.tokenizer, self.recipe.data)

    @property
    def teacher_rows(self) -> Dataset:
        """Tokenised rows with labels."""
        return self._train

    @property
    def distillation_rows(self) -> Dataset:
        """The same."""
        return self._train

    @property
    def baseline_rows(self) -> Dataset:
        """The same."""
        return self._train

    @cached_property
    def validation_rows(self) -> Dataset:
        """Tokenised rows to measure on."""
        return TASKS[self.recipe.task].tokenize(self.plan.data.validation, self.tokenizer, self.recipe.data)

    @property
    def compute_metrics(self) -> Any:
        """The figures of the problem type."""
        return metrics_for(self.plan.data.problem_type, self.plan.data.num_labels)

    def open_teacher(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """A classifier, or an encoder that is to become one."""
        return open_teacher(self.plan)

    def reopen_teacher(self, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The classifier that was fine-tuned here."""
        return reopen_teacher(folder, self.recipe.teacher.dtype)

    def check_teacher(self) -> None:
        """Compare the vocabularies, and take once what the losses will need, so that it fails here or never."""
        check_vocabularies(self.plan, self.tokenizer)
        inputs = model_inputs(
            self.teacher, next(unlabelled_batches(self._train, self.tokenizer, self.teacher, max_rows=2))
        )
        self.teacher.eval()
        if self.plan.starts_from_teacher:
            encoder_parts(self.teacher)
        for phase, (hidden, attention) in zip(self.recipe.phases, self.plan.layer_maps, strict=True):
            losses = phase.loss_weights()
            layers = set(hidden.teacher_layers) if "hidden_state_loss" in losses else set()
            capture(
                self.teacher,
                inputs,
                attention_layers=set(attention.teacher_layers) if "attention_loss" in losses else (),
                hidden_state_layers=layers | ({0} if "embedding_loss" in losses else set()),
            )

    def make_start(self) -> PreTrainedModel:
        """Opened, projected down from the teacher, or drawn."""
        return make_start(self.plan, self.teacher, self.tokenizer, self._train)

    def open_student(self, folder: Path) -> PreTrainedModel:
        """A TinyBertForSequenceClassification."""
        return open_student(folder)

    def measure(self, who: str, model: PreTrainedModel) -> dict[str, Any]:
        """The figures of the problem type; a teacher's labels are put into the student's order."""
        order = self.plan.label_order if who == TEACHER else list(range(self.plan.data.num_labels))
        with logits_in_order(model, order):
            return evaluate_model(model, self.validation_rows, self.tokenizer, self.plan.data.problem_type)

    def in_words(self, metrics: Mapping[str, Any]) -> str:
        """The main metric."""
        return f"{self.metric} {metrics[self.metric]:.4f}"

    def teacher_warnings(self) -> list[str]:
        """A teacher that knows no more than the label counts is untrained, or its labels stand in another order."""
        if self.plan.data.problem_type != "single_label_classification":
            return []
        assert self.plan.data.validation is not None
        labels = self.plan.data.validation["label"]
        majority = max(labels.count(label) for label in set(labels)) / len(labels)
        accuracy = self.folder.result_of("teacher metrics")["accuracy"]
        if accuracy > majority:
            return []
        teacher = ", ".join(str(name) for name in self.plan.teacher_config.id2label.values())
        return [
            f"the teacher's accuracy is {accuracy:.4f}, no better than always answering the most frequent label "
            f"({majority:.4f}). Was it fine-tuned on these labels, in this order? Teacher: {teacher}. "
            f"Data: {', '.join(self.plan.data.label_names)}."
        ]

    def report(self) -> RunReport:
        """Figures and costs of the models."""
        student = self.open_student(self.folder.path).to(self.device)
        measured = measure_costs({TEACHER: self.teacher, STUDENT: student})
        costs = {name: asdict(cost) for name, cost in measured.items()}
        collected = self.collected()
        if BASELINE in collected["metrics"]:
            costs[BASELINE] = costs[STUDENT]
        return RunReport(costs=costs, **collected)
